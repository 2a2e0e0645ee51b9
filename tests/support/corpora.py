"""A small corpus that every retriever is tested with."""

from ponder.passages import Passage

TEXTS = {
    "curie": "Marie Curie was born in Warsaw and won two Nobel prizes.",
    "paris": "Paris is the capital of France, on the river Seine.",
    "warsaw": "Warsaw is the capital of Poland, on the river Vistula.",
    "radium": "Radium was discovered by Marie and Pierre Curie in Paris.",
    "tokyo": "東京タワー stands in Tokyo, the capital of Japan.",
    "rivers": "A river flows to the sea: the Seine, the Vistula, the Rhine.",
}


def corpus() -> list[Passage]:
    return [
        Passage(id=id, text=text, source=f"{id}.txt", start=0, end=len(text))
        for id, text in TEXTS.items()
    ]

"""A retriever for tests: it finds what it was told to find."""

from collections.abc import Mapping, Sequence

from ponder.errors import RetrievalError
from ponder.passages import Passage, Retriever


class ScriptedRetriever(Retriever):
    """Finds fixed passages.

    The queries that it was asked are kept in ``queries``.
    """

    def __init__(
        self,
        found: Mapping[str, Sequence[Passage | str]] | Sequence[Passage | str],
        *,
        name: str = "scripted",
    ) -> None:
        """Say what is found.

        Args:
            found: Passages for every query; or by a text that the query holds, upper
                and lower case alike, where the first text in it counts. A string is
                the text of a passage.
            name: Its name.
        """
        self.name = name
        self.queries: list[str] = []
        self._found = found if isinstance(found, Mapping) else {"": found}

    async def search(self, query: str, k: int) -> list[Passage]:
        """Return the passages for the query, none if there are none for it.

        Raises:
            RetrievalError: The query is ``fail``.
        """
        self.queries.append(query)
        if query == "fail":
            raise RetrievalError("The corpus 'scripted' cannot be searched.")
        for text, passages in self._found.items():
            if text.casefold() in query.casefold():
                return [_passage(p, i) for i, p in enumerate(passages)][:k]
        return []


def _passage(value: Passage | str, index: int) -> Passage:
    if isinstance(value, Passage):
        return value
    return Passage(id=f"{index}:{value[:40]}", text=value, source="scripted")

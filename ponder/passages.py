"""Pieces of documents, and the port of whoever finds them."""

from abc import ABC, abstractmethod

from pydantic import Field

from ponder.messages import Value


class Passage(Value):
    """A piece of a document, with the place that it comes from."""

    id: str = Field(min_length=1)
    """Unique in its corpus, and the same whenever the same text is indexed again."""
    text: str
    source: str = ""
    """File or address of the document."""
    title: str = ""
    start: int | None = None
    """Offset of the first character in the text of the document."""
    end: int | None = None
    """Offset behind the last character."""
    page: int | None = None
    """Page of the document, from 1."""
    score: float | None = None
    """Of the search that found it; of use within one result only."""

    @property
    def place(self) -> str:
        """Where it stands, for people: ``notes.pdf, page 3``."""
        where = self.source or self.title or self.id
        return where if self.page is None else f"{where}, page {self.page}"


class Citation(Value):
    """A claim of an answer, and the passage that it names for it."""

    claim: str
    passage: Passage
    supported: bool | None = None
    """Whether the passage supports the claim; ``None`` if that is not known."""
    score: float | None = Field(default=None, ge=0, le=1)
    """P(supported), where it was asked."""


class Retriever(ABC):
    """Finds passages."""

    name: str
    """Of the corpus and the way it is searched."""

    @abstractmethod
    async def search(self, query: str, k: int) -> list[Passage]:
        """Return passages for a query.

        Args:
            query: Any text.
            k: At most so many, 1 or more.

        Returns:
            The best first, no passage twice; none if nothing matches.

        Raises:
            RetrievalError: The corpus cannot be searched.
        """

    async def aclose(self) -> None:
        """Free what is held."""
        return None

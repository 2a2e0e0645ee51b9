"""The role that writes down what the model knows by itself about a query."""

from typing import Protocol

from ponder.agents._structured import ask
from ponder.context import RunContext
from ponder.messages import Completion
from ponder.passages import Passage
from ponder.result import Task

DOCUMENT_PROMPT = """\
Nothing useful was found for a search query. Write the passage of an encyclopedia that \
would answer it, from what you know: at most four plain sentences with names, dates \
and numbers, and only what you are sure of.

Question that it is for: {question}

Query: {query}"""

DOCUMENT_REMINDER = "Write at most four sentences that answer the query."

SOURCE = "the model's own knowledge"
"""Source of a passage that was not found anywhere."""


class DocumentWriter(Protocol):
    """Writes a passage that no search has found. See ``document_writer``."""

    async def __call__(
        self, task: Task, query: str, context: RunContext
    ) -> Passage | None:
        """Return a passage whose source says that it was not found.

        Args:
            task: The task.
            query: What was searched in vain.
            context: The place of the call, and the passage's id.

        Returns:
            ``None`` if two replies were empty.

        Raises:
            OutOfBudget: The budget admits no such call.
            ModelError: The call failed.
        """
        ...


def document_writer(
    *, max_tokens: int = 200, prompt: str = DOCUMENT_PROMPT
) -> DocumentWriter:
    """Return a writer of pseudo-documents.

    Yu et al. 2024 (Auto-RAG), https://arxiv.org/abs/2411.19443: where iterated
    retrieval does not bring enough, the knowledge in the model's parameters is drawn
    out as a document, and read like one.

    Args:
        max_tokens: Limit of the passage; 200 as in the authors' program.
        prompt: With places for ``{question}`` and ``{query}``.
    """

    async def write(task: Task, query: str, context: RunContext) -> Passage | None:
        text = await ask(
            task,
            prompt.format(question=task.question, query=query),
            _read,
            context,
            reminder=DOCUMENT_REMINDER,
            max_tokens=max_tokens,
        )
        if text is None:
            return None
        return Passage(id=context.id, text=text, source=SOURCE)

    return write


write_document = document_writer()
"""The writer with its defaults."""


def own_knowledge(passage: Passage) -> bool:
    """Say whether a passage was written by the model, and not found."""
    return passage.source == SOURCE


def _read(completion: Completion) -> str | None:
    return completion.text.strip() or None

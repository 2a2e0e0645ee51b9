"""Operations that call no model: split a problem, select among thoughts."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from ponder.context import RunContext
from ponder.errors import InvalidInput, InvalidParameter, PonderError
from ponder.graphs.operations.vertex import Part, Thoughts, Vertex
from ponder.result import Candidate, Task
from ponder.thoughts import Thought

A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True, eq=False)
class Split:
    """Split the problem of every thought into smaller problems.

    In the authors' program a ``Generate`` splits, whose parser makes several thoughts
    of one reply; here a function splits, which costs nothing and cannot err.
    ``Aggregate(parts=True)`` puts the solutions together again.
    """

    into: Callable[[Vertex], Sequence[str]]
    """Returns the smaller problems, each a complete question."""
    most: int = 64
    """Most parts of one problem."""

    kind: ClassVar[str] = "split"

    def __post_init__(self) -> None:
        """Refuse a limit below one part."""
        if self.most < 1:
            raise InvalidParameter(f"most is {self.most}: allow 1 part or more.")

    async def __call__(self, thoughts: Thoughts, context: RunContext) -> Thoughts:
        """Return a thought for each smaller problem, not worked on yet.

        Raises:
            InvalidInput: The function raised, or there are no parts, or too many.
        """
        found: list[Vertex] = []
        for i, vertex in enumerate(thoughts.items):
            questions = self._parts(vertex)
            for j, question in enumerate(questions):
                part = Part(
                    whole=vertex.task, index=j, of=len(questions), outer=vertex.part
                )
                task = Task(question=question, history=vertex.task.history)
                place = context.at("part", i, j)
                candidate = Candidate(id=place.id, text="")
                place.think(_shown(place.id, question), (vertex.id,))
                found.append(Vertex(task=task, candidate=candidate, part=part))
        return thoughts.but(found)

    def _parts(self, vertex: Vertex) -> list[str]:
        questions = [str(q) for q in _called(self.into, vertex, "splits a problem")]
        if not questions or not all(q.strip() for q in questions):
            raise InvalidInput(
                f"'{_name(self.into)}' splits a problem into {questions}: return at "
                "least one part, and none that is empty."
            )
        if len(questions) > self.most:
            raise InvalidInput(
                f"'{_name(self.into)}' splits a problem into {len(questions)} parts, "
                f"more than {self.most}: make them larger, or raise 'most'."
            )
        return questions


@dataclass(frozen=True, eq=False)
class Select:
    """Pass on some of the thoughts, such as one part of a problem to each branch."""

    which: int | Callable[[Sequence[Vertex]], Iterable[Vertex]]
    """The place of one thought, from 0, or a function that returns thoughts. Where
    there is no such place, none is passed on, with a warning."""

    kind: ClassVar[str] = "select"

    async def __call__(self, thoughts: Thoughts, context: RunContext) -> Thoughts:
        """Return the selected thoughts.

        Raises:
            InvalidInput: The function raised, or made up thoughts of its own.
        """
        items = thoughts.items
        if isinstance(self.which, int):
            chosen = items[self.which : self.which + 1] if self.which >= 0 else ()
            if not chosen:
                context.warn(f"There is no thought {self.which} among {len(items)}.")
            return thoughts.but(chosen)
        found = list(_called(self.which, items, "selects thoughts"))
        known = {v.id for v in items}
        if any(getattr(v, "id", None) not in known for v in found):
            raise InvalidInput(
                f"'{_name(self.which)}' must return some of the thoughts it is given."
            )
        return thoughts.but(found)


def _called(function: Callable[[A], Iterable[B]], value: A, purpose: str) -> list[B]:
    try:
        return list(function(value))
    except PonderError:
        raise
    except Exception as error:
        raise InvalidInput(
            f"The function '{_name(function)}' that {purpose} raised "
            f"{type(error).__name__}: {error}"
        ) from error


def _name(function: object) -> str:
    return str(getattr(function, "__name__", "function"))


def _shown(id: str, question: str) -> Thought:
    line = " ".join(question.split())
    label = line if len(line) <= 72 else f"{line[:71]}…"
    return Thought(id=id, kind="thought", label=label, data={"question": question})

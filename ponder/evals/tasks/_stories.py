"""What word problems are made of: a text, and a calculation with every step kept."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

from ponder.evals.tasks._names import FEMALE, MALE

Number = int | Fraction


@dataclass
class Working:
    """An exact calculation that writes down each of its steps."""

    lines: list[str] = field(default_factory=list)
    """Such as ``12 * 3 = 36``."""

    def __call__(self, left: Number, sign: str, right: Number) -> Fraction:
        """Return the result of one step, with ``+``, ``-``, ``*`` or ``/``."""
        a, b = Fraction(left), Fraction(right)
        results = {"+": a + b, "-": a - b, "*": a * b, "/": a / b if b else None}
        result = results[sign]
        if result is None:
            raise ZeroDivisionError(f"{a} / {b}")
        self.lines.append(f"{a} {sign} {b} = {result}")
        return result


@dataclass(frozen=True)
class Cast:
    """Two people of a story."""

    first: str
    second: str
    she: str
    """Pronoun of the first."""

    @classmethod
    def draw(cls, rng: random.Random) -> "Cast":
        """Choose two people of different names."""
        female = rng.random() < 0.5
        first = rng.choice(FEMALE if female else MALE)
        second = rng.choice([n for n in (*FEMALE, *MALE) if n != first])
        return cls(first, second, "she" if female else "he")


Story = Callable[[random.Random, Working, Cast], tuple[str, Fraction]]
"""Chooses numbers, works the answer out step by step, and tells it."""


@dataclass(frozen=True)
class Template:
    """A word problem as a function of its numbers and names."""

    steps: int
    """Calculations until the answer."""
    story: Story


TEMPLATES: dict[str, Template] = {}


def story(steps: int) -> Callable[[Story], Story]:
    """Make a story known by the name of its function (decorator).

    Args:
        steps: How many calculations it takes.
    """

    def register(make: Story) -> Story:
        TEMPLATES[make.__name__] = Template(steps, make)
        return make

    return register

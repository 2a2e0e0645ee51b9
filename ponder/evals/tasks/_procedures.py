"""Procedures that are told completely, with their state after every step."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from string import ascii_uppercase as ALPHABET

State = int | str | list[int]
"""A number, a row of letters, or a list of numbers."""


@dataclass(frozen=True)
class Procedure:
    """What to do, and what comes out of it."""

    rule: str
    """What the state is, and what a step does to it."""
    start: State
    states: list[State]
    """The state after each step."""
    steps: tuple[str, ...] = ()
    """One instruction for each step; none where the rule says it all."""


Template = Callable[[random.Random, int], Procedure]
"""Makes a procedure with so many steps."""

TEMPLATES: dict[str, Template] = {}


def template(make: Template) -> Template:
    """Make a template known by the name of its function (decorator)."""
    TEMPLATES[make.__name__] = make
    return make


@template
def sort(rng: random.Random, n: int) -> Procedure:
    """Selection sort, one swap in each step."""
    row = rng.sample(range(10, 100), n + 1)
    start, states = list(row), list[State]()
    for k in range(n):
        smallest = row.index(min(row[k:]))
        row[k], row[smallest] = row[smallest], row[k]
        states.append(list(row))
    rule = (
        "The state is a list of numbers; its places are counted from 1. In step k, "
        "find the smallest number from place k to the end of the list, and swap it "
        "with the number in place k. If it is there already, the list stays as it is."
    )
    return Procedure(rule, start, states)


@template
def reverse(rng: random.Random, n: int) -> Procedure:
    """Turn parts of a list round."""
    row = rng.sample(range(1, 50), 7)
    start, states, steps = list(row), list[State](), list[str]()
    for _ in range(n):
        first, last = sorted(rng.sample(range(7), 2))
        row[first : last + 1] = row[first : last + 1][::-1]
        states.append(list(row))
        steps.append(f"Reverse the part from place {first + 1} to place {last + 1}.")
    rule = (
        "The state is a list of numbers; its places are counted from 1. Each step "
        "reverses the order of one part and leaves the rest where it is."
    )
    return Procedure(rule, start, states, tuple(steps))


@template
def stack(rng: random.Random, n: int) -> Procedure:
    """Push and pop."""
    pile = rng.sample(range(10, 100), 2)
    start, states, steps = list(pile), list[State](), list[str]()
    for _ in range(n):
        if len(pile) > 1 and rng.random() < 0.4:
            pile = pile[:-1]
            steps.append("Pop.")
        else:
            pile = [*pile, rng.randint(10, 99)]
            steps.append(f"Push {pile[-1]}.")
        states.append(pile)
    rule = (
        "The state is a stack of numbers, written as a list from bottom to top. "
        "'Push' puts a number on top; 'Pop' takes the top number away."
    )
    return Procedure(rule, start, states, tuple(steps))


@template
def transfer(rng: random.Random, n: int) -> Procedure:
    """Move marbles between boxes."""
    boxes = [rng.randint(6, 20) for _ in range(4)]
    start, states, steps = list(boxes), list[State](), list[str]()
    for _ in range(n):
        giver = rng.choice([i for i in range(4) if boxes[i]])
        taker = rng.choice([i for i in range(4) if i != giver])
        count = rng.randint(1, min(9, boxes[giver]))
        boxes[giver] -= count
        boxes[taker] += count
        states.append(list(boxes))
        steps.append(f"Move {count} from box {giver + 1} to box {taker + 1}.")
    rule = (
        "Four boxes hold marbles. The state is the list of how many are in box 1, "
        "box 2, box 3 and box 4. Each step moves marbles from one box to another."
    )
    return Procedure(rule, start, states, tuple(steps))


@template
def walk(rng: random.Random, n: int) -> Procedure:
    """Walk on a grid."""
    ways = {"north": (0, 1), "south": (0, -1), "east": (1, 0), "west": (-1, 0)}
    x, y = rng.randint(-9, 9), rng.randint(-9, 9)
    start, states, steps = [x, y], list[State](), list[str]()
    for _ in range(n):
        way, far = rng.choice(list(ways)), rng.randint(1, 9)
        x, y = x + ways[way][0] * far, y + ways[way][1] * far
        states.append([x, y])
        steps.append(f"Go {far} {way}.")
    rule = (
        "The state is a position on a grid, written as a list of two numbers [x, y]. "
        "Going north adds to y, south takes from y, east adds to x, west takes from x."
    )
    return Procedure(rule, start, states, tuple(steps))


@template
def registers(rng: random.Random, n: int) -> Procedure:
    """Assign sums, differences and copies to three variables."""
    values = [rng.randint(1, 20) for _ in range(3)]
    start, states, steps = list(values), list[State](), list[str]()
    for _ in range(n):
        target, text, value = _assignment(rng, values)
        values[target] = value
        states.append(list(values))
        steps.append(f"{'ABC'[target]} := {text}")
    rule = (
        "Three variables A, B and C hold numbers. The state is the list of their "
        "values in this order. Each step works out the right side with the values of "
        "that moment, and stores it in the variable on the left."
    )
    return Procedure(rule, start, states, tuple(steps))


def _assignment(rng: random.Random, values: list[int]) -> tuple[int, str, int]:
    """Return target, right side and value; every value stays below 100."""
    target, (a, b) = rng.randrange(3), rng.sample(range(3), 2)
    known = rng.randint(1, 20)
    choices = [
        (f"{'ABC'[a]} + {'ABC'[b]}", values[a] + values[b]),
        (f"{'ABC'[a]} - {'ABC'[b]}", values[a] - values[b]),
        (f"{'ABC'[a]} + {known}", values[a] + known),
        (str(known), known),
    ]
    text, value = rng.choice([c for c in choices if abs(c[1]) < 100])
    return target, text, value


@template
def arithmetic(rng: random.Random, n: int) -> Procedure:
    """Add, subtract, multiply and divide without remainder."""
    value = rng.randint(10, 60)
    start, states, steps = value, list[State](), list[str]()
    for _ in range(n):
        k, factor = rng.randint(3, 60), rng.randint(2, 5)
        choices = [
            (f"Add {k}.", value + k),
            (f"Subtract {k}.", value - k),
            (f"Multiply by {factor}.", value * factor),
        ]
        divisors = [d for d in range(2, 10) if value % d == 0]
        choices += [(f"Divide by {d}.", value // d) for d in divisors[-1:]]
        step, value = rng.choice([c for c in choices if 2 <= c[1] < 1000])
        states.append(value)
        steps.append(step)
    rule = "The state is a number. Each step does one calculation with it."
    return Procedure(rule, start, states, tuple(steps))


@template
def count(rng: random.Random, n: int) -> Procedure:
    """Count a letter over a row of words."""
    letters = rng.sample(ALPHABET, 5)
    wanted, total = letters[0], 0
    states, steps = list[State](), list[str]()
    for _ in range(n):
        word = "".join(rng.choices(letters, k=rng.randint(5, 9)))
        total += word.count(wanted)
        states.append(total)
        steps.append(word)
    rule = (
        f"The state is a number that counts the letter {wanted}. There is one word for "
        f"each step: add to the state how often {wanted} occurs in it."
    )
    return Procedure(rule, 0, states, tuple(steps))


@template
def rotate(rng: random.Random, n: int) -> Procedure:
    """Rotate a row of letters."""
    row = "".join(rng.sample(ALPHABET, 7))
    start, states, steps = row, list[State](), list[str]()
    for _ in range(n):
        k = rng.randint(1, 3)
        if rng.random() < 0.5:
            row = row[k:] + row[:k]
            steps.append(f"Move {_letters('first', k)} to the end.")
        else:
            row = row[-k:] + row[:-k]
            steps.append(f"Move {_letters('last', k)} to the front.")
        states.append(row)
    rule = (
        "The state is a row of letters. Each step moves some letters from one end to "
        "the other; letters that move together keep their order."
    )
    return Procedure(rule, start, states, tuple(steps))


def _letters(which: str, count: int) -> str:
    return f"the {which} letter" if count == 1 else f"the {which} {count} letters"


@template
def substitute(rng: random.Random, n: int) -> Procedure:
    """Replace every occurrence of a letter."""
    row = "".join(rng.choices(rng.sample(ALPHABET, 5), k=9))
    start, states, steps = row, list[State](), list[str]()
    for _ in range(n):
        present = sorted(set(row))
        old = rng.choice(present)
        # Letters that merge never part again, so some variety has to be kept.
        merges = len(present) > 3 and rng.random() < 0.3
        others = set(present) if merges else set(ALPHABET) - set(present)
        new = rng.choice(sorted(others - {old}))
        row = row.replace(old, new)
        states.append(row)
        steps.append(f"Replace every {old} by {new}.")
    rule = "The state is a row of letters. Each step replaces all letters of one kind."
    return Procedure(rule, start, states, tuple(steps))


@template
def encode(rng: random.Random, n: int) -> Procedure:
    """Shift single letters along the alphabet."""
    row = rng.choices(ALPHABET, k=6)
    start, states, steps = "".join(row), list[State](), list[str]()
    for _ in range(n):
        place, shift = rng.randrange(6), rng.randint(1, 5)
        row[place] = ALPHABET[(ALPHABET.index(row[place]) + shift) % 26]
        states.append("".join(row))
        steps.append(f"Shift the letter in place {place + 1} by {shift}.")
    rule = (
        "The state is a row of letters; its places are counted from 1. To shift a "
        "letter by k is to replace it by the k-th letter after it in the alphabet, "
        "where A comes again after Z."
    )
    return Procedure(rule, start, states, tuple(steps))


@template
def edit(rng: random.Random, n: int) -> Procedure:
    """Insert and delete letters."""
    row = "".join(rng.sample(ALPHABET, 6))
    start, states, steps = row, list[State](), list[str]()
    for _ in range(n):
        place = rng.randint(1, len(row))
        if len(row) > 4 and rng.random() < 0.5:
            row = row[: place - 1] + row[place:]
            steps.append(f"Delete the letter in place {place}.")
        else:
            letter = rng.choice(ALPHABET)
            row = row[:place] + letter + row[place:]
            steps.append(f"Insert {letter} right after place {place}.")
        states.append(row)
    rule = (
        "The state is a row of letters. Places are counted from 1 in the row as it is "
        "at that moment."
    )
    return Procedure(rule, start, states, tuple(steps))


@template
def gather(rng: random.Random, n: int) -> Procedure:
    """Collect letters while going round a circle."""
    circle = "".join(rng.sample(ALPHABET, 9))
    place = rng.randrange(9)
    row = start = circle[place]
    states, steps = list[State](), list[str]()
    for _ in range(n):
        k = rng.randint(1, 8)
        place = (place + k) % 9
        row += circle[place]
        states.append(row)
        steps.append(f"Go on by {k}.")
    rule = (
        f"The letters {circle} stand in a circle: the first comes after the last. "
        f"You begin at {start}. In each step go on by so many letters, and write the "
        "letter that you reach at the end of the state, which is the row of letters "
        "collected so far."
    )
    return Procedure(rule, start, states, tuple(steps))

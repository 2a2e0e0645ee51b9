"""Word problems about time, speed, space and mixtures. All numbers come out whole."""

import random
from fractions import Fraction

from ponder.evals.tasks._stories import Cast, Working, story


@story(steps=4)
def ages(rng: random.Random, work: Working, cast: Cast) -> tuple[str, Fraction]:
    """Add ages of the future."""
    young, times, years = rng.randint(4, 18), rng.randint(2, 4), rng.randint(3, 15)
    old = work(young, "*", times)
    later = work(young, "+", years)
    text = (
        f"{cast.first} is {young} years old, and {cast.second} is {times} times as "
        f"old. How old will they be together, their two ages added, in {years} years?"
    )
    return text, work(later, "+", work(old, "+", years))


@story(steps=5)
def journey(rng: random.Random, work: Working, cast: Cast) -> tuple[str, Fraction]:
    """Find an average speed."""
    vehicle = rng.choice(["car", "bus", "van", "train"])
    first, second = rng.randint(1, 4), rng.randint(1, 4)
    hours = first + second
    slow = rng.randint(4, 7) * 10
    # A difference that the hours divide makes the average whole.
    fast = slow + hours * rng.randint(2, 6)
    one, two = work(slow, "*", first), work(fast, "*", second)
    way, time = work(one, "+", two), work(first, "+", second)
    text = (
        f"For {_hours(first)} the {vehicle} of {cast.first} goes at {slow} kilometres "
        f"an hour, and then for {_hours(second)} at {fast} kilometres an hour, without "
        "a stop. What is its average speed over the whole time, in kilometres an hour?"
    )
    return text, work(way, "/", time)


def _hours(count: int) -> str:
    return "1 hour" if count == 1 else f"{count} hours"


@story(steps=4)
def pursuit(rng: random.Random, work: Working, cast: Cast) -> tuple[str, Fraction]:
    """Catch up with somebody."""
    ahead, slow = rng.randint(1, 4), rng.randint(9, 18)
    # Not fewer hours than the lead, or the moped would be too fast.
    hours = rng.choice([h for h in range(ahead, 9) if ahead * slow % h == 0])
    fast = slow + ahead * slow // hours
    lead = work(slow, "*", ahead)
    faster = work(fast, "-", slow)
    time = work(lead, "/", faster)
    text = (
        f"{cast.first} sets out by bicycle at {slow} kilometres an hour. "
        f"{_hours(ahead)} later {cast.second} follows on a moped from the same place, "
        f"at {fast} kilometres an hour. How many kilometres from there does "
        f"{cast.second} catch up?"
    )
    return text, work(fast, "*", time)


@story(steps=5)
def mixture(rng: random.Random, work: Working, cast: Cast) -> tuple[str, Fraction]:
    """Mix two strengths."""
    drink = rng.choice(["syrup", "lemon juice", "mango juice", "vinegar"])
    first, second = rng.randint(2, 12), rng.randint(2, 12)
    weak = rng.randint(5, 30)
    strong = weak + (first + second) * rng.randint(1, 2)
    parts = work(work(first, "*", weak), "+", work(second, "*", strong))
    text = (
        f"{cast.first} pours {first} litres of a drink with {weak}% {drink} and "
        f"{second} litres of one with {strong}% {drink} into an empty barrel. What "
        f"percentage of the mixture is {drink}?"
    )
    return text, work(parts, "/", work(first, "+", second))


@story(steps=4)
def machines(rng: random.Random, work: Working, cast: Cast) -> tuple[str, Fraction]:
    """Add the output of two machines, one of which stops."""
    thing = rng.choice(["bottles", "screws", "bricks", "cards", "tiles"])
    one, two = rng.randint(12, 95), rng.randint(12, 95)
    both, alone = rng.randint(2, 8), rng.randint(2, 8)
    together = work(work(one, "+", two), "*", both)
    text = (
        f"One machine makes {one} {thing} an hour, another makes {two}. Both run for "
        f"{both} hours; then {cast.first} stops the first one, and the second goes on "
        f"for {alone} hours. How many {thing} have they made in all?"
    )
    return text, work(together, "+", work(two, "*", alone))


@story(steps=3)
def tank(rng: random.Random, work: Working, cast: Cast) -> tuple[str, Fraction]:
    """Fill a tank that leaks."""
    vessel = rng.choice(["water tank", "pond", "pool", "rain barrel"])
    leak, gain, minutes = rng.randint(2, 9), rng.randint(3, 20), rng.randint(8, 45)
    start = rng.randint(10, 150)
    full = start + gain * minutes
    rise = work(gain + leak, "-", leak)
    missing = work(full, "-", start)
    text = (
        f"A {vessel} holds {full} litres, and {start} litres are in it when "
        f"{cast.first} opens the tap. Every minute {gain + leak} litres flow in, but "
        f"{leak} litres are lost through a crack. After how many minutes is it full?"
    )
    return text, work(missing, "/", rise)


@story(steps=4)
def fence(rng: random.Random, work: Working, cast: Cast) -> tuple[str, Fraction]:
    """Fence a rectangle with a gate."""
    plot = rng.choice(["garden", "paddock", "playground", "vineyard"])
    long, wide = rng.randint(20, 70), rng.randint(8, 19)
    gate, price = rng.randint(1, 5), rng.randint(6, 25)
    round_it = work(work(long, "+", wide), "*", 2)
    text = (
        f"{cast.first} fences a rectangular {plot} that is {long} metres long and "
        f"{wide} metres wide, except for a gate of {_metres(gate)}. A metre of fence "
        f"costs {price} dollars. How many dollars does the fence cost?"
    )
    return text, work(work(round_it, "-", gate), "*", price)


def _metres(count: int) -> str:
    return "1 metre" if count == 1 else f"{count} metres"


@story(steps=6)
def tiles(rng: random.Random, work: Working, cast: Cast) -> tuple[str, Fraction]:
    """Tile a floor, with boxes to be bought whole."""
    room = rng.choice(["kitchen", "bathroom", "hall", "terrace"])
    side, box = rng.choice([20, 25, 30, 40, 50]), rng.choice([6, 8, 10, 12])
    along, across = box * rng.randint(1, 3), rng.randint(6, 20)
    spare, price = rng.randint(1, 4), rng.randint(14, 45)
    one, two = work(along * side, "/", side), work(across * side, "/", side)
    boxes = work(work(one, "*", two), "/", box)
    text = (
        f"The floor of a {room} is {along * side} centimetres long and {across * side} "
        f"centimetres wide. {cast.first} covers it with square tiles of {side} "
        f"centimetres, without gaps. They come in boxes of {box} for {price} dollars a "
        f"box. {cast.first} buys as many boxes as the floor needs and {spare} more for "
        "repairs. How many dollars is that?"
    )
    return text, work(work(boxes, "+", spare), "*", price)


@story(steps=4)
def lessons(rng: random.Random, work: Working, cast: Cast) -> tuple[str, Fraction]:
    """Add up lessons and the breaks between them."""
    event = rng.choice(["lessons", "talks", "matches", "rehearsals"])
    number, each, pause = rng.randint(3, 8), rng.randint(25, 60), rng.randint(5, 20)
    events = work(number, "*", each)
    pauses = work(work(number, "-", 1), "*", pause)
    text = (
        f"{cast.first} plans {number} {event} of {each} minutes each, with a pause of "
        f"{pause} minutes between one and the next. How many minutes pass from the "
        "beginning of the first to the end of the last?"
    )
    return text, work(events, "+", pauses)


@story(steps=4)
def aquarium(rng: random.Random, work: Working, cast: Cast) -> tuple[str, Fraction]:
    """Fill a box with water."""
    long, wide = rng.randint(5, 12) * 10, rng.randint(3, 6) * 10
    rate = rng.randint(2, 6)
    high = 10 * rate * rng.randint(1, 60 // (10 * rate) or 1)
    volume = work(work(long, "*", wide), "*", high)
    litres = work(volume, "/", 1000)
    text = (
        f"Inside, the glass tank of {cast.first} is {long} centimetres long, {wide} "
        f"centimetres wide and {high} centimetres high. A hose brings {rate} litres of "
        "water a minute, and a litre is 1000 cubic centimetres. How many minutes does "
        "it take to fill the empty tank?"
    )
    return text, work(litres, "/", rate)


@story(steps=7)
def fuel(rng: random.Random, work: Working, cast: Cast) -> tuple[str, Fraction]:
    """Share the cost of a drive there and back."""
    people, price = rng.randint(2, 5), rng.randint(1, 3)
    one, two = 50 * rng.randint(1, 5), 50 * rng.randint(1, 5)
    use = rng.randint(5, 9)
    cost = 2 * (one + two) // 100 * use * price
    # The toll makes the shares whole.
    toll = people * rng.randint(2, 9) + -cost % people
    way = work(work(one, "+", two), "*", 2)
    litres = work(work(way, "/", 100), "*", use)
    total = work(work(litres, "*", price), "+", toll)
    each = "1 dollar" if price == 1 else f"{price} dollars"
    text = (
        f"From home it is {one} kilometres to the town where {cast.first} collects "
        f"{cast.second}, and from there another {two} kilometres to the sea. In the "
        f"evening they drive the same way back. The car uses {use} litres for 100 "
        f"kilometres, a litre costs {each}, and the tolls of the day come to {toll} "
        f"dollars. All {people} people of the party share the cost equally. How many "
        "dollars does each of them pay?"
    )
    return text, work(total, "/", people)

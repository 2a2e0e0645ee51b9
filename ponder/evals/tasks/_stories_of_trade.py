"""Word problems about money, goods and people. All numbers come out whole."""

import random
from fractions import Fraction

from ponder.evals.tasks._stories import Cast, Working, story


@story(steps=2)
def change(rng: random.Random, work: Working, cast: Cast) -> tuple[str, Fraction]:
    """Pay and get change."""
    thing = rng.choice(["notebooks", "candles", "mugs", "scarves", "puzzles"])
    number = rng.randint(3, 14)
    # Nobody gets change who can pay with whole notes.
    price = rng.choice([p for p in range(4, 20) if number * p % 50])
    paid = (number * price // 50 + 1) * 50
    cost = work(number, "*", price)
    text = (
        f"At a market stall {cast.first} takes {number} {thing} at {price} dollars "
        f"each and hands over {paid} dollars. How many dollars come back?"
    )
    return text, work(paid, "-", cost)


@story(steps=2)
def concert(rng: random.Random, work: Working, cast: Cast) -> tuple[str, Fraction]:
    """Count empty seats."""
    place = rng.choice(["school hall", "theatre", "cinema", "circus tent"])
    rows, seats = rng.randint(11, 34), rng.randint(12, 28)
    taken = rng.randint(rows * seats // 2, rows * seats - 5)
    text = (
        f"A {place} has {rows} rows with {seats} seats in each. {cast.first} sold "
        f"{taken} tickets for tonight, one for each visitor, and everyone came. How "
        "many seats stay empty?"
    )
    return text, work(work(rows, "*", seats), "-", taken)


@story(steps=4)
def bakery(rng: random.Random, work: Working, cast: Cast) -> tuple[str, Fraction]:
    """Sell a part, and pack the rest."""
    goods = rng.choice(["rolls", "muffins", "bagels", "pretzels"])
    part, box = rng.randint(3, 6), rng.randint(4, 9)
    # The trays make the part whole, and the size of a tray fills the boxes.
    each, trays = box * rng.randint(2, 4), part * rng.randint(3, 9)
    baked = work(trays, "*", each)
    sold = work(baked, "/", part)
    left = work(baked, "-", sold)
    text = (
        f"In the morning {cast.first} bakes {trays} trays of {each} {goods}. One "
        f"{_ORDINALS[part]} of them are sold over the counter, and {cast.second} packs "
        f"all the others into boxes of {box}. How many boxes are filled?"
    )
    return text, work(left, "/", box)


_ORDINALS = {3: "third", 4: "quarter", 5: "fifth", 6: "sixth"}


@story(steps=5)
def discount(rng: random.Random, work: Working, cast: Cast) -> tuple[str, Fraction]:
    """Take a percentage off, and a voucher."""
    thing = rng.choice(["jacket", "lamp", "chair", "radio", "backpack"])
    price, percent = rng.randint(3, 12) * 20, rng.choice([5, 10, 15, 20, 25, 30])
    number, voucher = rng.randint(2, 6), rng.randint(4, 25)
    off = work(work(price, "*", percent), "/", 100)
    reduced = work(price, "-", off)
    together = work(reduced, "*", number)
    text = (
        f"A {thing} used to cost {price} dollars; this week there is a discount of "
        f"{percent}% on it. {cast.first} orders {number} of them for a hostel, and a "
        f"voucher takes another {voucher} dollars off the whole bill. How many dollars "
        f"does {cast.she} pay?"
    )
    return text, work(together, "-", voucher)


@story(steps=6)
def saving(rng: random.Random, work: Working, cast: Cast) -> tuple[str, Fraction]:
    """Save for something, spend, and save on."""
    thing = rng.choice(["bicycle", "guitar", "telescope", "tent", "camera"])
    part, more = rng.choice([2, 3, 4, 5]), rng.randint(3, 15)
    weekly, weeks, gift = (
        rng.randint(6, 30),
        part * rng.randint(2, 5),
        rng.randint(5, 60),
    )
    had = weekly * weeks
    price = had - had // part + gift + more * weekly
    saved = work(weekly, "*", weeks)
    spent = work(saved, "/", part)
    kept = work(work(saved, "-", spent), "+", gift)
    missing = work(price, "-", kept)
    portion = {2: "half", 3: "a third", 4: "a quarter", 5: "a fifth"}[part]
    text = (
        f"{cast.first} wants a {thing} for {price} dollars and puts {weekly} dollars "
        f"aside every week. After {weeks} weeks {cast.she} spends {portion} of the "
        f"savings on a present for {cast.second}. Then an uncle adds {gift} dollars to "
        f"the savings. For how many more weeks does {cast.first} have to put money "
        "aside?"
    )
    return text, work(missing, "/", weekly)


@story(steps=7)
def wages(rng: random.Random, work: Working, cast: Cast) -> tuple[str, Fraction]:
    """Pay overtime, and keep back the rent."""
    job = rng.choice(["warehouse", "hotel kitchen", "print shop", "garage"])
    wage, normal = rng.randint(6, 16) * 2, rng.choice([35, 38, 40])
    extra, rent = rng.randint(2, 12), rng.randint(90, 200)
    regular = work(normal, "*", wage)
    overtime = work(normal + extra, "-", normal)
    rate = work(wage, "+", work(wage, "/", 2))
    earned = work(regular, "+", work(overtime, "*", rate))
    text = (
        f"In a {job} {cast.first} gets {wage} dollars for each of the first {normal} "
        f"hours of a week, and half as much again for every hour beyond. Last week "
        f"{cast.she} worked {normal + extra} hours, and {rent} dollars for a room were "
        "kept back. How many dollars were paid out?"
    )
    return text, work(earned, "-", rent)


@story(steps=6)
def harvest(rng: random.Random, work: Working, cast: Cast) -> tuple[str, Fraction]:
    """Sell a harvest, and pay what it cost."""
    fruit, tree = rng.choice(
        [("apples", "apple"), ("plums", "plum"), ("pears", "pear")]
    )
    trees, each, price = rng.randint(20, 60), rng.randint(12, 40), rng.randint(2, 5)
    helpers, hours, wage = rng.randint(2, 4), rng.randint(5, 9), rng.randint(9, 14)
    lorry = rng.randint(60, 240)
    income = work(work(trees, "*", each), "*", price)
    labour = work(work(helpers, "*", hours), "*", wage)
    text = (
        f"The {trees} {tree} trees of {cast.first} bear {each} kilograms of {fruit} "
        f"each, and a shop buys all of it for {price} dollars a kilogram. {helpers} "
        f"helpers work {hours} hours each for {wage} dollars an hour, and a lorry "
        f"costs {lorry} dollars. How many dollars does {cast.first} have left?"
    )
    return text, work(work(income, "-", labour), "-", lorry)


@story(steps=5)
def library(rng: random.Random, work: Working, cast: Cast) -> tuple[str, Fraction]:
    """Keep the inventory of a library."""
    shelves, each = rng.randint(12, 40), rng.choice([20, 30, 40, 50])
    percent = rng.choice([10, 20, 30, 40])
    returned = rng.randint(3, shelves * each * percent // 100 - 1)
    books = work(shelves, "*", each)
    lent = work(work(books, "*", percent), "/", 100)
    text = (
        f"A village library owns exactly as many books as fit on its {shelves} "
        f"shelves, {each} on each. In June {percent}% of them are lent out. In July "
        f"{returned} of those come back to {cast.first}, and nothing else is lent. How "
        "many books are on the shelves then?"
    )
    return text, work(work(books, "-", lent), "+", returned)


@story(steps=5)
def instalments(rng: random.Random, work: Working, cast: Cast) -> tuple[str, Fraction]:
    """Pay a deposit, and the rest by the month."""
    thing = rng.choice(["sofa", "piano", "motorbike", "kitchen", "boat"])
    months, percent = rng.choice([6, 8, 10, 12]), rng.choice([20, 25, 40, 50])
    price, fee = months * 100 * rng.randint(1, 4), rng.randint(2, 9)
    deposit = work(work(price, "*", percent), "/", 100)
    rest = work(price, "-", deposit)
    text = (
        f"{cast.first} buys a {thing} for {price} dollars, pays {percent}% at once and "
        f"the rest in {months} equal monthly instalments without interest. With every "
        f"instalment the bank takes a fee of {fee} dollars. How many dollars leave the "
        f"account of {cast.first} in each of these months?"
    )
    return text, work(work(rest, "/", months), "+", fee)


@story(steps=8)
def outing(rng: random.Random, work: Working, cast: Cast) -> tuple[str, Fraction]:
    """Pay for a group with half fares, a discount and a bus."""
    place = rng.choice(["zoo", "castle", "aquarium", "planetarium"])
    price, percent = rng.choice([10, 20, 30, 40]), rng.choice([10, 20, 30])
    adults = rng.randint(3, 9)
    children = 2 * rng.randint(6, 15)
    bus = rng.randint(80, 240)
    full = work(adults, "*", price)
    half = work(children, "*", work(price, "/", 2))
    tickets = work(full, "+", half)
    off = work(work(tickets, "*", percent), "/", 100)
    total = work(work(tickets, "-", off), "+", bus)
    text = (
        f"{cast.first} takes {adults} adults and {children} children to the {place}; "
        f"{cast.first} is one of the adults. A ticket is {price} dollars for an adult "
        f"and half of that for a child. As a group they get {percent}% off all "
        f"tickets. The bus costs {bus} dollars. How many dollars does the trip cost?"
    )
    return text, total


@story(steps=5)
def school(rng: random.Random, work: Working, cast: Cast) -> tuple[str, Fraction]:
    """Divide a school by percentages and parts."""
    percent, part = rng.choice([20, 25, 40, 50, 60]), rng.choice([2, 3, 4, 5])
    pupils = part * 20 * rng.randint(3, 12)
    bus = work(work(pupils, "*", percent), "/", 100)
    others = work(pupils, "-", bus)
    bike = work(others, "/", part)
    portion = {2: "half", 3: "a third", 4: "a quarter", 5: "a fifth"}[part]
    text = (
        f"{cast.first} asks all {pupils} pupils of a school how they come there. "
        f"{percent}% take the bus. Of the others {portion} come by bicycle, and the "
        "rest walk. How many walk?"
    )
    return text, work(others, "-", bike)


@story(steps=3)
def recipe(rng: random.Random, work: Working, cast: Cast) -> tuple[str, Fraction]:
    """Scale a recipe."""
    food, dish = rng.choice(
        [("flour", "pancakes"), ("rice", "paella"), ("lentils", "soup")]
    )
    base, guests = rng.randint(2, 6), rng.randint(7, 30)
    grams = base * rng.choice([60, 70, 80, 90, 110, 120])
    stock = (grams // base * guests // 500 + 1) * 500
    per_person = work(grams, "/", base)
    needed = work(per_person, "*", guests)
    text = (
        f"For {base} people a recipe for {dish} takes {grams} grams of {food}. "
        f"{cast.first} cooks it for {guests} people and has {stock} grams of {food}. "
        "How many grams are left over?"
    )
    return text, work(stock, "-", needed)

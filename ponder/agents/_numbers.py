"""Answers brought to plain text, and plain numbers with their units."""

import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

LONGEST_NUMBER = 160
"""Characters; anything longer is text."""

_WRAPPERS = [
    re.compile(pattern, re.DOTALL)
    for pattern in (
        r"\*\*((?:(?!\*\*).)+)\*\*",
        r"__((?:(?!__).)+)__",
        r"\*([^*]+)\*",
        r"`+([^`]+)`+",
        r"\$\$([^$]+)\$\$",
        r"\$([^$]+)\$",
        r"\\\(((?:(?!\\\)).)+)\\\)",
        r"\\\[((?:(?!\\\]).)+)\\\]",
        r"\\(?:text|mathrm|mathbf|textbf)\{([^{}]*)\}",
        r"\"([^\"]+)\"",
        r"“([^”]+)”",
    )
]


def clean(answer: str) -> str:
    """Take off mark-up around a whole answer."""
    before = None
    while answer != before:
        before = answer
        answer = answer.strip().rstrip(".,;:").rstrip()
        if answer.count("**") == 1:
            answer = answer.removeprefix("**").removesuffix("**").strip()
        for wrapper in _WRAPPERS:
            if match := wrapper.fullmatch(answer):
                answer = match[1]
    return answer


# Words after a number that are not its unit.
_NOT_UNITS = frozenset(
    "and or to out over of by in than less more times plus minus divided mod pi sqrt "
    "sin cos tan log ln exp half halves third thirds quarter quarters".split()
)
_SCALES = {"dozen": 12, "hundred": 100, "thousand": 10**3, "million": 10**6}
_SCALES |= {"billion": 10**9, "trillion": 10**12}
_CURRENCIES = {"$": "dollar", "€": "euro", "£": "pound", "¥": "yen"}
_MARKS = {"percent": "%", "degree": "°", "deg": "°"}
_MEASURES = {
    word: words.split()[0]
    for words in (
        "second sec s, minute min, hour hr hrs h, day, week, month, year yr yrs, "
        "millimeter millimetre mm, centimeter centimetre cm, meter metre m, "
        "kilometer kilometre km, inch inche, foot feet ft, yard yd, mile, "
        "milligram mg, gram g, kilogram kg kgs, ounce oz, pound lb lbs, ton, "
        "milliliter millilitre ml, liter litre l, gallon, cent, dollar, euro, "
        "square sq, cubic"
    ).split(", ")
    for word in words.split()
}
"""Words of units that say which one it is, by all that stands for them."""
_NUMBER = re.compile(
    r"""(?P<sign>[-+])?\s*(?P<currency>[$€£¥])?\s*(?P<minus>-)?
        (?:(?P<mixed>\d+)\s+(?=\d+\s*/))?(?P<whole>\d{1,3}(?:,\d{3})+|\d+)?(?:\.(?P<decimals>\d*))?
        (?:e(?P<exponent>[-+]?\d{1,3})|\s*/\s*(?P<denominator>\d+))?
        (?:\s*(?P<mark>%|°)|(?P<unit>\s*[a-z][a-z/²³]*(?:\^[23])?
        (?:[\s-]+[a-z/²³]+(?:\^[23])?){0,4}))?\.?""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Number:
    """A plain number and the words of its unit."""

    value: Fraction
    unit: frozenset[str]

    def same(self, other: "Number") -> bool:
        """Tell whether values are equal and units do not contradict each other."""
        if self.value != other.value:
            return False
        ours, theirs = self.measures, other.measures
        if ours and theirs:
            return ours <= theirs or theirs <= ours
        return not self.unit or not other.unit or bool(self.unit & other.unit)

    @property
    def measures(self) -> frozenset[str]:
        """What it is measured in: what was sold, and when, may be said or not."""
        return frozenset(_MEASURES[word] for word in self.unit if word in _MEASURES)


@lru_cache(maxsize=4096)
def read_number(answer: str) -> Number | None:
    """Read an answer that is a plain number, perhaps with a unit."""
    if len(answer) > LONGEST_NUMBER:
        return None
    match = _NUMBER.fullmatch(plain(answer))
    if match is None or not (match["whole"] or match["decimals"]):
        return None
    unit = (match["unit"] or "").replace("-", " ").split()
    if unit and (unit[0] in _NOT_UNITS or not _is_unit(unit[0], match["unit"])):
        return None
    value = _value(match)
    if value is None:
        return None
    while unit and unit[0] in _SCALES:
        value *= _SCALES[unit.pop(0)]
    names = {_singular(word) for word in unit}
    names |= {_CURRENCIES[match["currency"]]} if match["currency"] else set()
    names |= {match["mark"]} if match["mark"] else set()
    return Number(value, frozenset(_MARKS.get(name, name) for name in names))


def _value(match: re.Match[str]) -> Fraction | None:
    digits = (match["whole"] or "0").replace(",", "")
    value = Fraction(f"{digits}.{match['decimals'] or '0'}")
    if match["exponent"]:
        value *= Fraction(10) ** int(match["exponent"])
    if match["denominator"]:
        if int(match["denominator"]) == 0:
            return None
        value /= int(match["denominator"])
    value += int(match["mixed"] or 0)
    return -value if "-" in (match["sign"], match["minus"]) else value


# Other letters after a number are algebra: "2 x", "2xy".
_SHORT_UNITS = frozenset("m g s h l w v".split())
_ATTACHED_UNITS = _SHORT_UNITS | frozenset(
    "cm mm km kg mg ml kb mb gb am pm hz khz mhz hr hrs min mph ft yd oz lb".split()
)


def _is_unit(word: str, written: str) -> bool:
    if not written[0].isspace():
        return word in _ATTACHED_UNITS or len(word) > 3
    return word in _ATTACHED_UNITS or len(word) > 2


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") else word


_LATEX = [
    (re.compile(r"\\[dt]?frac\s*(\d)\s*(\d)"), r"\\frac{\1}{\2}"),
    # A mixed number: 1\frac{1}{2} is 1 1/2 and not 11/2.
    (re.compile(r"(?<=\d)\s*(?=\\[dt]?frac)"), " "),
    (re.compile(r"\\[dt]?frac\s*\{([^{}]+)\}\s*\{([^{}]+)\}"), r"(\1)/(\2)"),
    (re.compile(r"\\(?:text|mathrm|mathbf|textbf)\s*\{([^{}]*)\}"), r" \1 "),
    (re.compile(r"\^\s*\{?\s*\\circ\s*\}?|\\degree"), "°"),
    (re.compile(r"\{,\}|(?<=\d)\\[,!](?=\d{3})"), ","),
    (re.compile(r"\\[,;:! ]|\\left|\\right|~"), " "),
    (re.compile(r"\\([%$€£])"), r"\1"),
    (re.compile(r"\((-?\d+)\)/\((\d+)\)"), r"\1/\2"),
]


def plain(answer: str) -> str:
    """Bring an answer to plain lower-case characters."""
    text = unicodedata.normalize("NFC", clean(answer)).replace("\u2212", "-")
    if len(re.findall(r"(?<!\\)\$", text)) == 2:
        text = re.sub(r"(?<!\\)\$", "", text)
    for pattern, replacement in _LATEX:
        text = pattern.sub(replacement, text)
    return " ".join(text.casefold().split())

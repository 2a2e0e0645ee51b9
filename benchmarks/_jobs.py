"""The work that every contestant of the engine benchmark is given."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks._quiet import quiet

WORDS = """
river stone window garden silver morning letter bridge winter candle forest
mountain paper island shadow summer kitchen travel market engine captain harbor
village doctor music purple circle planet orange dinner castle desert flower
""".split()
STORY = "Write a very long story, of at least three thousand words, about these words."
QUESTION = """\
Write a very long story, of at least three thousand words, about {words}. \
Begin at once."""
APPENDED = "\n\nIs the story coherent so far? Answer Yes or No:"
"""The judge's question, put behind the text that it judges."""
OPENING = "Once upon a time, in the first of many long chapters,"
"""How every answer begins: a model that has begun a story does not end it at once."""
WORKING = "Let us work this out step by step, and write down every step:"
"""How every answer to a word problem begins."""
MARK = "\ufffc"


@dataclass(frozen=True)
class Setup:
    """How a contestant is opened: the same for all."""

    path: Path
    threads: int
    n_ctx: int
    """Tokens that all branches together need, a shared prefix counted once."""
    slots: int
    """Sequences that are alive together."""
    slot_ctx: int
    """Tokens that the longest single sequence needs."""
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Chat:
    """A rendered chat: the same text for all, whoever applies the template."""

    system: str
    before: str
    after: str

    def prompt(self, user: str) -> str:
        """Return the prompt up to where the assistant begins."""
        return f"{self.before}{user}{self.after}"


@dataclass(frozen=True)
class Fanout:
    """Branches from one prompt."""

    chat: Chat
    user: str
    prompt: tuple[int, ...]
    """The token ids of the rendered chat and ``beginning``."""
    opening: tuple[int, ...]
    """The token ids of ``beginning`` alone."""
    branches: int
    tokens: int
    """New tokens of each branch."""
    temperature: float
    seed: int
    beginning: str = OPENING
    """How every answer begins."""
    independent: bool = False
    """Ask a server with one request for each branch, all at once."""


@dataclass(frozen=True)
class Tree:
    """A full search tree: every node is expanded and judged, level by level."""

    chat: Chat
    user: str
    prompt: tuple[int, ...]
    """The token ids of the rendered chat and ``OPENING``."""
    opening: tuple[int, ...]
    """The token ids of ``OPENING`` alone."""
    depth: int
    children: int
    tokens: int
    temperature: float
    seed: int
    judge: str
    """``append``: ask behind the text. Else a prompt with {question}, {solution}."""
    appended: tuple[int, ...]
    """The token ids of ``APPENDED``."""

    @property
    def nodes(self) -> int:
        """How many nodes are generated and judged."""
        return sum(self.children**level for level in range(1, self.depth + 1))


Job = Fanout | Tree
Sample = dict[str, Any]
"""``seconds``, ``tokens`` and what else a contestant knows."""


def word_problem(seed: int) -> str:
    """Return a question whose working takes some hundred tokens."""
    draw = random.Random(seed)
    shelves, boxes, pens = (draw.randint(11, 48) for _ in range(3))
    price, sold, rent = draw.randint(2, 9), draw.randint(100, 900), draw.randint(20, 99)
    return (
        f"A shop has {shelves} shelves. Each holds {boxes} boxes of {pens} pens. It "
        f"sells {sold} pens on Monday and twice as many on Tuesday, at {price} dollars "
        f"each, and pays {rent} dollars of rent a day. How many pens are left, how "
        "much did it earn on each day after rent, and how much in all?"
    )


class Prompts:
    """Makes prompts of exact length with the tokenizer and template of a model."""

    def __init__(self, path: Path) -> None:
        """Load the vocabulary alone."""
        from llama_cpp import Llama
        from llama_cpp.llama_chat_format import Jinja2ChatFormatter

        # Without weights it warns that no context length is known.
        quiet()
        self.vocabulary = Llama(str(path), vocab_only=True, verbose=False)
        special = {
            name: self.vocabulary.detokenize([token], special=True).decode()
            for name, token in (
                ("eos_token", self.vocabulary.token_eos()),
                ("bos_token", self.vocabulary.token_bos()),
            )
        }
        self._render = Jinja2ChatFormatter(
            self.vocabulary.metadata["tokenizer.chat_template"], **special
        )

    def ids(self, text: str) -> tuple[int, ...]:
        """Return the token ids of a rendered text."""
        return tuple(
            self.vocabulary.tokenize(text.encode(), add_bos=False, special=True)
        )

    def chat(self, system: str) -> Chat:
        """Return the frame of a chat with this system message."""
        messages = [
            {"role": "system", "content": system},
            {"role": "user", "content": MARK},
        ]
        before, _, after = self._render(messages=messages).prompt.partition(MARK)
        return Chat(system, before, after)

    def long_chat(
        self, length: int, seed: int, user: str = STORY, beginning: str = OPENING
    ) -> tuple[Chat, tuple[int, ...]]:
        """Return a chat of exactly ``length`` tokens, its answer begun.

        Different seeds differ from the first word on, so no cache helps from one
        round to the next.
        """
        draw = random.Random(seed)
        single = [word for word in WORDS if len(self.ids(f" {word}")) == 1]
        system = f"Words of list {seed}:"
        missing = length - len(self.opened(self.chat(system), user, beginning))
        if missing < 0:
            raise ValueError(f"A prompt needs at least {length - missing} tokens.")
        system = " ".join([system, *draw.choices(single, k=missing)])
        ids = self.opened(self.chat(system), user, beginning)
        if len(ids) != length:
            raise ValueError(f"Wanted a prompt of {length} tokens, got {len(ids)}.")
        return self.chat(system), ids

    def opened(
        self, chat: Chat, user: str, beginning: str = OPENING
    ) -> tuple[int, ...]:
        """Return the token ids of a chat whose answer has begun."""
        return self.ids(chat.prompt(user)) + self.ids(beginning)

    def fanout(
        self, *, length: int, branches: int, tokens: int, temperature: float, seed: int
    ) -> Fanout:
        """Return the job of a fan-out; see ``Fanout``."""
        chat, ids = self.long_chat(length, seed)
        opening = self.ids(OPENING)
        return Fanout(chat, STORY, ids, opening, branches, tokens, temperature, seed)

    def answers(
        self, *, length: int, branches: int, tokens: int, temperature: float, seed: int
    ) -> Fanout:
        """Return the job of a fan-out whose branches all solve one word problem.

        That is what strategies ask for; branches then say much the same.
        """
        user = word_problem(seed)
        chat, ids = self.long_chat(length, seed, user, WORKING)
        opening = self.ids(WORKING)
        return Fanout(
            chat, user, ids, opening, branches, tokens, temperature, seed,
            beginning=WORKING,
        )  # fmt: skip

    def tree(
        self,
        *,
        depth: int,
        children: int,
        tokens: int,
        temperature: float,
        seed: int,
        judge: str,
    ) -> Tree:
        """Return the job of a tree; see ``Tree``."""
        chat = self.chat(f"Exercise {seed}. You are a storyteller.")
        words = random.Random(seed).sample(WORDS, 6)
        user = QUESTION.format(words=", ".join(words))
        return Tree(
            chat,
            user,
            self.opened(chat, user),
            self.ids(OPENING),
            depth,
            children,
            tokens,
            temperature,
            seed,
            judge,
            self.ids(APPENDED),
        )


class Trie:
    """Token sequences stored by their common prefixes."""

    def __init__(self, sequences: Iterable[Sequence[int]] = ()) -> None:
        """Store sequences."""
        self._next: dict[tuple[int, int], int] = {}
        for sequence in sequences:
            self.add(sequence)

    def add(self, sequence: Sequence[int]) -> None:
        """Store one sequence."""
        node = 0
        for token in sequence:
            node = self._next.setdefault((node, token), len(self._next) + 1)

    def __len__(self) -> int:
        """Return how many distinct prefixes are stored."""
        return len(self._next)

    def path(self, sequence: Sequence[int]) -> list[int]:
        """Return the nodes along a sequence as far as it is stored."""
        nodes, node = [], 0
        for token in sequence:
            found = self._next.get((node, token))
            if found is None:
                break
            nodes.append(node := found)
        return nodes


def prompt_tokens(
    prompts: Sequence[Sequence[int]], written: Sequence[tuple[int, Sequence[int]]]
) -> tuple[int, int]:
    """Count the prompt tokens that an ideal engine has to compute.

    Args:
        prompts: Every prompt that was submitted.
        written: For each completion the length of its prompt, and prompt and
            completion together.

    Returns:
        The distinct prefix tokens of all prompts, and how many of these are left if
        tokens that the engine had decoded when it wrote them count as known. (The
        last token of a completion has been drawn, but not decoded.)
    """
    trie = Trie(prompts)
    known: set[int] = set()
    for length, whole in written:
        known.update(trie.path(whole[:-1])[length:])
    return len(trie), len(trie) - len(known)

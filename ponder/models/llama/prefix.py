"""Which sequences hold which tokens: a radix tree over the cells of the cache.

The tree mirrors what is physically there. A node stands for cells that the same set
of sequences shares, so the lengths of all nodes add up to the cells in use. Two
sequences that computed the same tokens apart hold different cells, and are two nodes
that begin alike.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field


@dataclass(eq=False, slots=True)
class _Node:
    """A run of cells; positions ``start`` to ``start + len(tokens)``."""

    parent: "_Node | None"
    start: int
    tokens: list[int]
    children: dict[int, list["_Node"]] = field(default_factory=dict)
    """By first token; a list, because runs that begin alike may be distinct."""
    ending: set[int] = field(default_factory=set)
    """Sequences whose last cell is the last of this node."""

    @property
    def end(self) -> int:
        return self.start + len(self.tokens)

    def offspring(self) -> Iterator["_Node"]:
        for nodes in self.children.values():
            yield from nodes


class PrefixTree:
    """Sequences of tokens that share cells where they were forked."""

    def __init__(self) -> None:
        self._root = _Node(None, 0, [])
        self._leaf: dict[int, _Node] = {}
        self.cells = 0
        """Distinct cells in use."""

    def __contains__(self, sequence: int) -> bool:
        return sequence in self._leaf

    def length(self, sequence: int) -> int:
        """Return how many tokens a sequence holds, 0 if it is unknown."""
        node = self._leaf.get(sequence)
        return node.end if node else 0

    def tokens(self, sequence: int) -> list[int]:
        """Return the tokens that a sequence holds."""
        runs: list[list[int]] = []
        node = self._leaf.get(sequence)
        while node is not None:
            runs.append(node.tokens)
            node = node.parent
        return [token for run in reversed(runs) for token in run]

    def match(self, tokens: Sequence[int]) -> tuple[int | None, int]:
        """Find the sequence that shares the longest prefix.

        Args:
            tokens: What is looked for.

        Returns:
            A sequence and how many of its first tokens are those of ``tokens``;
            ``(None, 0)`` if no sequence shares any.
        """
        wanted = list(tokens)
        if not wanted:
            return None, 0
        best, length = self._root, 0
        pending = [self._root]
        while pending:
            node = pending.pop()
            for child in node.children.get(wanted[node.end], ()):
                common = common_prefix(child.tokens, wanted[node.end : child.end])
                if node.end + common > length:
                    best, length = child, node.end + common
                if child.end == node.end + common < len(wanted):
                    pending.append(child)
        return (self._holder(best), length) if length else (None, 0)

    def _holder(self, node: _Node) -> int:
        while not node.ending:
            node = next(node.offspring())
        return next(iter(node.ending))

    def fork(self, source: int, target: int, length: int) -> None:
        """Let a new sequence share the first ``length`` cells of another."""
        self._end_at(target, self._cut(self._leaf[source], length))

    def start(self, sequence: int) -> None:
        """Add an empty sequence."""
        self._end_at(sequence, self._root)

    def _end_at(self, sequence: int, node: _Node) -> None:
        self._leaf[sequence] = node
        node.ending.add(sequence)

    def _cut(self, node: _Node, length: int) -> _Node:
        """Return the ancestor that ends at ``length``, splitting where needed."""
        while node.start >= length and node.parent is not None:
            node = node.parent
        return node if node.end == length else self._split(node, length)

    def _split(self, node: _Node, length: int) -> _Node:
        assert node.parent is not None
        at = length - node.start
        upper = _Node(node.parent, node.start, node.tokens[:at])
        siblings = node.parent.children[node.tokens[0]]
        siblings[siblings.index(node)] = upper
        node.parent, node.start, node.tokens = upper, length, node.tokens[at:]
        upper.children[node.tokens[0]] = [node]
        return upper

    def append(self, sequence: int, tokens: Sequence[int]) -> None:
        """Add new cells at the end of a sequence."""
        if not tokens:
            return
        node = self._leaf[sequence]
        self.cells += len(tokens)
        if node is not self._root and not node.children and len(node.ending) == 1:
            node.tokens.extend(tokens)
            return
        child = _Node(node, node.end, list(tokens))
        node.children.setdefault(tokens[0], []).append(child)
        node.ending.discard(sequence)
        self._end_at(sequence, child)

    def trim(self, sequence: int, length: int) -> None:
        """Drop the cells of a sequence from position ``length`` on."""
        old = self._leaf[sequence]
        if length >= old.end:
            return
        old.ending.discard(sequence)
        self._end_at(sequence, self._cut(old, length))
        self._prune(old)

    def remove(self, sequence: int) -> int:
        """Forget a sequence.

        Returns:
            How many cells this frees: those that no other sequence shares.
        """
        before = self.cells
        node = self._leaf.pop(sequence)
        node.ending.discard(sequence)
        self._prune(node)
        return before - self.cells

    def _prune(self, node: _Node) -> None:
        while node.parent is not None and not node.ending and not node.children:
            parent = node.parent
            siblings = parent.children[node.tokens[0]]
            siblings.remove(node)
            if not siblings:
                del parent.children[node.tokens[0]]
            self.cells -= len(node.tokens)
            node = parent

    def is_redundant(self, sequence: int) -> bool:
        """Tell whether other sequences hold all cells of this one."""
        node = self._leaf[sequence]
        return bool(node.children) or len(node.ending) > 1 or node is self._root


def common_prefix(a: Sequence[int], b: Sequence[int]) -> int:
    """Return how many first items two sequences of the same type share."""
    n = min(len(a), len(b))
    if a[:n] == b[:n]:
        return n
    low, high = 0, n
    # Invariant: the first ``low`` items agree, the first ``high`` do not.
    while high - low > 1:
        middle = (low + high) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle
    return low

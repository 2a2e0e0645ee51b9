from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ponder.models.llama.prefix import PrefixTree, common_prefix

TOKEN = st.integers(0, 2)
TOKENS = st.lists(TOKEN, max_size=8)


class AgainstNaive(RuleBasedStateMachine):
    """The tree against a table of sequences whose cells have identities."""

    def __init__(self) -> None:
        super().__init__()
        self.tree = PrefixTree()
        self.cells: dict[int, list[tuple[int, int]]] = {}
        self.made = 0

    def cell(self, token: int) -> tuple[int, int]:
        self.made += 1
        return (self.made, token)

    def pick(self, data: st.DataObject) -> int:
        return data.draw(st.sampled_from(sorted(self.cells)))

    @rule(tokens=TOKENS)
    def start(self, tokens: list[int]) -> None:
        name = self.made = self.made + 1
        self.tree.start(name)
        self.cells[name] = []
        self.extend(name, tokens)

    def extend(self, name: int, tokens: list[int]) -> None:
        self.tree.append(name, tokens)
        self.cells[name] += [self.cell(t) for t in tokens]

    @precondition(lambda self: self.cells)
    @rule(data=st.data(), tokens=TOKENS)
    def append(self, data: st.DataObject, tokens: list[int]) -> None:
        self.extend(self.pick(data), tokens)

    @precondition(lambda self: self.cells)
    @rule(data=st.data())
    def fork(self, data: st.DataObject) -> None:
        source = self.pick(data)
        length = data.draw(st.integers(0, len(self.cells[source])))
        name = self.made = self.made + 1
        self.tree.fork(source, name, length)
        self.cells[name] = self.cells[source][:length]

    @precondition(lambda self: self.cells)
    @rule(data=st.data())
    def trim(self, data: st.DataObject) -> None:
        name = self.pick(data)
        length = data.draw(st.integers(0, len(self.cells[name])))
        self.tree.trim(name, length)
        del self.cells[name][length:]

    @precondition(lambda self: self.cells)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        name = self.pick(data)
        mine = set(self.cells.pop(name))
        others = {cell for cells in self.cells.values() for cell in cells}
        assert self.tree.remove(name) == len(mine - others)
        assert name not in self.tree

    @precondition(lambda self: self.cells)
    @rule(tokens=TOKENS)
    def match(self, tokens: list[int]) -> None:
        best = max(
            common_prefix([t for _, t in cells], tokens)
            for cells in self.cells.values()
        )
        name, length = self.tree.match(tokens)
        assert length == best
        if best:
            assert name is not None
            assert self.tree.tokens(name)[:best] == tokens[:best]
        else:
            assert name is None

    @invariant()
    def agrees(self) -> None:
        for name, cells in self.cells.items():
            assert self.tree.tokens(name) == [t for _, t in cells]
            assert self.tree.length(name) == len(cells)
            others = {
                cell
                for other, held in self.cells.items()
                if other != name
                for cell in held
            }
            assert self.tree.is_redundant(name) == (set(cells) <= others or not cells)
        distinct = {cell for cells in self.cells.values() for cell in cells}
        assert self.tree.cells == len(distinct)


TestAgainstNaive = AgainstNaive.TestCase
TestAgainstNaive.settings = settings(max_examples=30, stateful_step_count=20)


@given(TOKENS, TOKENS)
def test_common_prefix_is_what_agrees(a: list[int], b: list[int]) -> None:
    n = common_prefix(a, b)

    assert a[:n] == b[:n]
    assert n in (len(a), len(b)) or a[n] != b[n]


def test_equal_tokens_computed_apart_are_counted_apart() -> None:
    tree = PrefixTree()
    for name in (1, 2):
        tree.start(name)
        tree.append(name, [5, 6, 7])

    assert tree.cells == 6
    assert not tree.is_redundant(1)


def test_forks_share_what_they_have_in_common() -> None:
    tree = PrefixTree()
    tree.start(0)
    tree.append(0, list(range(100)))
    for name in range(1, 17):
        tree.fork(0, name, 100)
        tree.append(name, [name])

    assert tree.cells == 116
    assert tree.is_redundant(0)
    assert tree.match([*range(100), 7, 8]) == (7, 101)

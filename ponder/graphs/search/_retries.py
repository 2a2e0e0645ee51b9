"""Which nodes are taken again where all samples failed."""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from ponder.graphs.search.policy import PATIENCE
from ponder.graphs.search.tree import Node


@dataclass
class Retries:
    """What a search knows of nodes of which nothing came."""

    failures: Counter[int] = field(default_factory=Counter)
    """How often nothing came of a node, by id."""
    lost: int = 0
    """Nodes in a row that were given up."""

    def again(self, taken: Iterable[Node], fruitful: Collection[Node]) -> list[Node]:
        """Return the nodes to take again; the others are given up at last.

        After several that were given up in a row, one time has to do: the model may be
        dead.

        Args:
            taken: The nodes of the last plan, all told.
            fruitful: Those of which something came.
        """
        times = PATIENCE if self.lost < PATIENCE else 1
        found, given_up = list[Node](), 0
        for node in taken:
            failed = 0 if node in fruitful else self.failures[node.id] + 1
            self.failures[node.id] = failed % times
            if 0 < failed < times:
                found.append(node)
            given_up += failed >= times
        self.lost = 0 if fruitful else self.lost + given_up
        return found

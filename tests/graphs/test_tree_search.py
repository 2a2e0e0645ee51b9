"""The state machine that drives search policies."""

import inspect
from typing import Any

import pytest

from ponder.graphs.base import Strategy, strategies
from ponder.graphs.search.policy import Policy
from ponder.graphs.tree_search import TreeSearch

SEARCHES = sorted(n for n, k in strategies().items() if issubclass(k, TreeSearch))


@pytest.mark.parametrize("name", SEARCHES)
def test_a_policy_and_its_machine_share_no_name(name: str) -> None:
    kind = strategies()[name]
    machine: set[str] = set()
    policy: set[str] = set()
    for cls in kind.__mro__[1:]:
        own = {n for n in (*vars(cls), *_fields(cls)) if not _private(n)}
        if issubclass(cls, Strategy):
            machine |= own
        elif issubclass(cls, Policy) and cls is not Policy and "[" not in cls.__name__:
            policy |= own

    assert not machine & policy


def _fields(cls: type[Any]) -> list[str]:
    return [n for n in inspect.get_annotations(cls) if n != "model_config"]


def _private(name: str) -> bool:
    pydantics = name.startswith(("__", "model_", "_abc_"))
    return pydantics or name in ("_calculate_keys", "_iter", "_copy_and_set_values")

"""What the search core itself costs, without a model, beside treequest.

Samples get random scores, so all time is the policy's. treequest (Apache-2.0) is the
peer, and needed by this benchmark alone: ``pip install treequest==0.3.3``. Run it from
the root of the repository::

    python -m benchmarks.search
"""

import argparse
import gc
import importlib
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks._report import Recorder, StaleFile, judged, number, table
from ponder.graphs.search.ab_mcts_a import AbMctsAPolicy
from ponder.graphs.search.ab_mcts_m import AbMctsMPolicy
from ponder.graphs.search.beam import BeamPolicy
from ponder.graphs.search.best_first import BestFirstPolicy
from ponder.graphs.search.mcts import MctsPolicy
from ponder.graphs.search.particles import ParticlePolicy
from ponder.graphs.search.policy import Policy
from ponder.graphs.search.simulate import World, search
from ponder.graphs.search.tree import Expansion, Step

PEER = "treequest"
ENDLESS = 10**9
"""Levels: a policy that is cut off at a depth would not make all the samples."""
WIDTH = 64
"""Of beam and particles."""
SAMPLES_PER_NODE = 2
"""Children of an expanded node in UCT, the peer's default."""


class MissingPeer(Exception):
    """The peer is not installed."""


# Contestants.


def world(seed: int) -> World:
    """Return a world in which no path ends and nothing can be learned."""
    draw = random.Random(seed).random

    def expand(expansion: Expansion) -> list[Step]:
        return [Step(score=draw(), logprob=-draw()) for _ in expansion.ids]

    return expand


def whole(policy: Policy[Any], samples: int, seed: int) -> dict[str, Any]:
    """Search from the start until so many samples were told."""
    expand = world(seed)
    start = time.perf_counter()
    tree = search(policy, expand, seed=seed, limit=samples)
    seconds = time.perf_counter() - start
    if tree.asked < samples:
        raise RuntimeError(f"{policy} ended after {tree.asked} samples.")
    return {
        "seconds": seconds,
        "samples": tree.asked,
        "depth": max(node.depth for node in tree.nodes.values()),
        "width": len(tree.root.children),
    }


def last_steps(
    policy: Policy[Any], nodes: int, steps: int, seed: int
) -> dict[str, Any]:
    """Grow a tree sample by sample, and time the last of them."""
    expand, tree = world(seed), policy.start(seed=seed)

    def step() -> None:
        for expansion in policy.ask(tree, 1):
            policy.tell(tree, expansion, expand(expansion))

    sample = _timed(step, nodes, steps)
    _check(len(tree.nodes) - 1, nodes)
    return sample


def last_steps_of_peer(
    name: str, options: dict[str, Any], nodes: int, steps: int, seed: int
) -> dict[str, Any]:
    """Do the same with an algorithm of treequest, in place."""
    import numpy as np

    # It draws from numpy's global state.
    np.random.seed(seed)
    algorithm = getattr(peer(), name)(**options)
    state, draw = algorithm.init_tree(), random.Random(seed).random
    actions = {"sample": lambda parent: ("", draw())}

    def step() -> None:
        nonlocal state
        state = algorithm.step(state, actions, inplace=True)

    sample = _timed(step, nodes, steps)
    _check(len(algorithm.get_state_score_pairs(state)), nodes)
    return sample


def peer() -> Any:
    """Return the module of the peer.

    Raises:
        MissingPeer: It is not installed.
    """
    try:
        return importlib.import_module(PEER)
    except ImportError as error:
        raise MissingPeer(
            f"This benchmark measures against {PEER}, which no other part of ponder "
            f"needs. Install it with: pip install {PEER}==0.3.3"
        ) from error


def _timed(step: Callable[[], None], nodes: int, steps: int) -> dict[str, Any]:
    start = time.perf_counter()
    for _ in range(nodes - steps):
        step()
    middle = time.perf_counter()
    for _ in range(steps):
        step()
    end = time.perf_counter()
    return {"ms_per_step": 1000 * (end - middle) / steps, "seconds": end - start}


def _check(made: int, wanted: int) -> None:
    if made != wanted:
        raise RuntimeError(f"{made} nodes were made instead of {wanted}.")


# Cases.


@dataclass(frozen=True)
class Case:
    """Contestants that do the same work; the first is ponder, the second the peer."""

    name: str
    contestants: dict[str, Callable[[int], dict[str, Any]]]
    """Each takes a seed."""
    measure: str
    """``seconds``, or ``ms_per_step``."""
    at_most: float | None = None
    """Target of the first, in the unit of the measure."""
    times: float | None = None
    """Target: how many times as long the peer takes."""


def cases(samples: int, nodes: int, mixed: int, steps: int) -> list[Case]:
    """Return all cases."""
    fast: dict[str, Policy[Any]] = {
        "best-first": BestFirstPolicy(),
        "beam": BeamPolicy(b1=WIDTH, b2=4, t=ENDLESS),
        "particles": ParticlePolicy(n=WIDTH, depth=ENDLESS),
        "uct": MctsPolicy(k=SAMPLES_PER_NODE),
    }
    searches: list[tuple[str, Policy[Any], float]] = [
        *((f"whole-{name}", policy, 10.0) for name, policy in fast.items()),
        ("whole-ab-mcts-a", AbMctsAPolicy(), 60.0),
    ]
    ours = partial(partial, last_steps)
    theirs = partial(partial, last_steps_of_peer)
    uct = {"samples_per_action": SAMPLES_PER_NODE}
    return [
        *(
            Case(name, {"ponder": partial(whole, policy, samples)}, "seconds", most)
            for name, policy, most in searches
        ),
        Case(
            "step-uct",
            {
                "ponder": ours(fast["uct"], nodes, steps),
                PEER: theirs("StandardMCTS", uct, nodes, steps),
            },
            "ms_per_step",
            times=2.0,
        ),
        Case(
            "step-ab-mcts-a",
            {
                "ponder": ours(AbMctsAPolicy(), nodes, steps),
                PEER: theirs("ABMCTSA", {}, nodes, steps),
            },
            "ms_per_step",
            times=10.0,
        ),
        Case(
            "step-ab-mcts-m",
            {"ponder": ours(AbMctsMPolicy(), mixed, steps)},
            "ms_per_step",
            50.0,
        ),
    ]


def run(recorder: Recorder, rounds: int, wanted: Sequence[Case]) -> None:
    """Measure what is not in the file yet, contestants taking turns."""
    for case in wanted:
        for round_ in range(rounds):
            for name, contestant in case.contestants.items():
                if not recorder.has(case.name, round_, name):
                    # What earlier contestants left must not be collected here.
                    gc.collect()
                    recorder.add(case.name, round_, name, contestant(round_))
            at = f"{case.name}: round {round_ + 1} of {rounds}"
            print(at, file=sys.stderr, flush=True)


def report(recorder: Recorder, wanted: Sequence[Case]) -> tuple[str, bool]:
    """Return the table, and whether all targets are met."""
    rows, verdicts = [], []
    for case in wanted:
        rows.append(_row(recorder, case))
        verdicts.append(rows[-1][-1])
    head = f"rounds,unit,ponder,range,{PEER},times as fast,target,verdict".split(",")
    return table(["", *head], rows), not {"FAIL", "no data"} & set(verdicts)


def _row(recorder: Recorder, case: Case) -> list[str]:
    values = sorted(recorder.values(case.name, "ponder", case.measure).values())
    ours = recorder.median(case.name, "ponder", case.measure)
    theirs = recorder.median(case.name, PEER, case.measure)
    ratio = recorder.ratio(case.name, case.measure, PEER, "ponder")
    faster = ratio.per_round if ratio else None
    target = f">= {case.times:g} x" if case.times else f"<= {case.at_most:g}"
    return [
        case.name,
        str(len(values)),
        "s" if case.measure == "seconds" else "ms/step",
        number(ours, 3),
        f"{number(values[0], 3)} to {number(values[-1], 3)}" if values else "-",
        number(theirs, 3),
        number(faster, 1),
        target,
        judged(
            faster if case.times else ours, at_least=case.times, at_most=case.at_most
        ),
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--samples", type=int, default=100_000, help="whole searches")
    parser.add_argument("--nodes", type=int, default=2000, help="UCT and AB-MCTS-A")
    parser.add_argument("--mixed-nodes", type=int, default=500, help="AB-MCTS-M")
    parser.add_argument("--steps", type=int, default=100, help="timed, the last ones")
    parser.add_argument("--only", action="append", metavar="CASE")
    parser.add_argument("--out", type=Path, default=Path("out/search.json"))
    options = parser.parse_args(argv)
    sizes = {
        "samples": options.samples,
        "nodes": options.nodes,
        "mixed": options.mixed_nodes,
        "steps": options.steps,
    }
    known = cases(**sizes)
    wanted = [c for c in known if not options.only or c.name in options.only]
    if not wanted:
        names = ", ".join(case.name for case in known)
        print(f"No such case. Known: {names}", file=sys.stderr)
        return 2
    try:
        if any(PEER in case.contestants for case in wanted):
            peer()
        recorder = Recorder(
            options.out,
            "search",
            sizes,
            packages=f"ponder numpy scipy {PEER}",
            sources="ponder/graphs/search benchmarks",
        )
    except (MissingPeer, StaleFile) as error:
        print(error, file=sys.stderr)
        return 2
    run(recorder, options.rounds, wanted)
    text, kept = report(recorder, wanted)
    recorder.save(table=text.splitlines())
    print(text)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())

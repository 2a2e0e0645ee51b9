r"""Speed of the local engine against its peers, on one machine and in one run.

Run it from the root of the repository, on a machine that does nothing else::

    python -m benchmarks.engine

docs/benchmarks.md says what each number means. The file is written after every
measurement; the same command goes on where an interrupted one stopped.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks._contestants import Worker, setup_for
from benchmarks._jobs import Fanout, Job, Prompts, Sample
from benchmarks._report import (
    ERROR,
    Ratio,
    Recorder,
    StaleFile,
    judged,
    machine,
    number,
    table,
)
from ponder.agents.verifier import JUDGE_PROMPT
from ponder.errors import PonderError
from ponder.models.catalog import Catalogued, LocalFile, resolve
from ponder.settings import load_settings

PACKAGES = "ponder llama-cpp-python xllamacpp llguidance numpy"
N_CMPL, INDEPENDENT = "server n_cmpl", "server independent"
BARE, PLAIN = "bare", "bare plain"


@dataclass(frozen=True)
class Case:
    """A job, and who does it."""

    name: str
    job: Callable[[Prompts, int], Job]
    """Makes the job of a seed; every seed has another text of the same length."""
    contestants: tuple[str, ...]


@dataclass(frozen=True)
class Target:
    """What a number of ponder's has to reach."""

    case: str
    measure: str
    peer: str = ""
    """Empty: a bound on ponder's own number."""
    at_least: float | None = None
    at_most: float | None = None


TARGETS = (
    *(
        Target(f"fanout-{branches}", measure, peer, at_least=bound)
        for branches, bound in ((16, 0.95), (8, 1.1), (12, 1.1))
        for peer in (BARE, PLAIN)
        for measure in ("rate", "decode_rate")
    ),
    *(
        Target("answers-8", measure, peer, at_least=1.1)
        for peer in (BARE, PLAIN)
        for measure in ("rate", "decode_rate")
    ),
    Target("fanout-16", "rate", N_CMPL, at_least=1.15),
    Target("fanout-16", "rate", INDEPENDENT, at_least=8),
    *(
        target
        for tree in ("tree", "tree-reprompt")
        for target in (
            Target(tree, "rate", "llama_class", at_least=2),
            Target(tree, "rate", N_CMPL, at_least=3),
            Target(tree, "computed_over_distinct", at_most=1.05),
            Target(tree, "computed_over_needed", at_most=1.05),
        )
    ),
)


def cases(options: argparse.Namespace) -> list[Case]:
    """Return all cases under these options."""

    def fanout(branches: int) -> Callable[[Prompts, int], Job]:
        return lambda prompts, seed: prompts.fanout(
            length=options.prompt,
            branches=branches,
            tokens=options.tokens,
            temperature=options.temperature,
            seed=seed,
        )

    def answers(branches: int) -> Callable[[Prompts, int], Job]:
        return lambda prompts, seed: prompts.answers(
            length=options.prompt,
            branches=branches,
            tokens=options.tokens,
            temperature=options.temperature,
            seed=seed,
        )

    def tree(judge: str) -> Callable[[Prompts, int], Job]:
        return lambda prompts, seed: prompts.tree(
            depth=options.depth,
            children=options.children,
            tokens=options.tree_tokens,
            temperature=options.temperature,
            seed=seed,
            judge=judge,
        )

    everyone = ("ponder", BARE, PLAIN, "llama_class", N_CMPL)
    tree_makers = ("ponder", "llama_class", N_CMPL)
    return [
        Case("one-stream", fanout(1), everyone),
        Case("fanout-16", fanout(16), (*everyone, INDEPENDENT)),
        Case("fanout-8", fanout(8), ("ponder", BARE, PLAIN)),
        Case("fanout-12", fanout(12), ("ponder", BARE, PLAIN)),
        Case("answers-8", answers(8), ("ponder", BARE, PLAIN)),
        Case("tree", tree("append"), tree_makers),
        Case("tree-reprompt", tree(JUDGE_PROMPT), tree_makers),
    ]


# Running the cases.


class Benchmark:
    """Runs cases, the contestants taking turns in every round."""

    def __init__(
        self, recorder: Recorder, prompts: Prompts, options: argparse.Namespace
    ) -> None:
        """Prepare; nothing is measured yet."""
        self.recorder, self.prompts, self.options = recorder, prompts, options

    def run(self, wanted: Sequence[Case]) -> None:
        """Measure what is not in the file yet."""
        for i, case in enumerate(wanted, start=1):
            missing = [
                (round_, name)
                for round_ in range(self.options.rounds)
                for name in _rotated(case.contestants, round_)
                if not self.recorder.has(case.name, round_, name)
            ]
            say(f"case {i} of {len(wanted)}: {case.name}, {len(missing)} to measure")
            if missing:
                self._case(case, missing)

    def _case(self, case: Case, missing: list[tuple[int, str]]) -> None:
        for done, (round_, name) in enumerate(missing, start=1):
            sample = self._alone(case, round_, name)
            self.recorder.add(case.name, round_, name, sample)
            at = f"{done} of {len(missing)}: round {round_ + 1}"
            say(f"  {at}, {brief(name, sample)}")

    def _alone(self, case: Case, round_: int, name: str) -> Sample:
        """Measure a contestant with no other one loaded, which could cost it speed."""
        worker = self._open(name, case)
        if isinstance(worker, str):
            return {ERROR: worker}
        try:
            sample = self._measured(worker, self._job(case, round_, name))
        except KeyboardInterrupt:
            worker.kill()
            raise
        # One that crashed has nothing left to close.
        with suppress(BrokenProcessPool):
            worker.close()
        return sample

    def _open(self, name: str, case: Case) -> "Worker | str":
        """Open a contestant and warm it up; return what went wrong if it cannot."""
        job = case.job(self.prompts, 0)
        options = {
            "server_kv": self.options.server_kv,
            "profile": self.options.profiles,
            "server_plain": self.options.server_plain,
            "flash_attention": False if self.options.plain_attention else None,
        }
        setup = setup_for(job, self.options.path, self.options.threads, options)
        try:
            worker = Worker(_process(name), setup)
            worker.run(_small(job))
        except Exception as error:
            return f"cannot be opened: {reason(error)}"
        return worker

    def _job(self, case: Case, round_: int, name: str) -> Job:
        """Give every contestant a text of its own: none finds another's in a cache."""
        seed = 1 + round_ * len(case.contestants) + case.contestants.index(name)
        job = case.job(self.prompts, seed)
        if isinstance(job, Fanout):
            return replace(job, independent=name == INDEPENDENT)
        return job

    def _measured(self, worker: Worker, job: Job) -> Sample:
        try:
            sample = worker.run(job)
        except Exception as error:
            return {ERROR: reason(error)}
        sample["rate"] = sample["tokens"] / sample["seconds"]
        if sample.get("decode_tokens"):
            sample["decode_rate"] = sample["decode_tokens"] / sample["decode_seconds"]
        return sample


def _process(contestant: str) -> str:
    """Return the name of the class that does the work: both servers are one."""
    return "server" if contestant in (N_CMPL, INDEPENDENT) else contestant


def _rotated(names: Sequence[str], by: int) -> list[str]:
    """Let every round begin with another contestant."""
    shift = by % len(names)
    return [*names[shift:], *names[:shift]]


def _small(job: Job) -> Job:
    if isinstance(job, Fanout):
        return replace(job, tokens=2)
    return replace(job, depth=1, tokens=2)


# The report.


def brief(name: str, sample: Sample) -> str:
    """Return one line for one sample."""
    if ERROR in sample:
        return f"{name}: {sample[ERROR]}"
    return f"{name}: {sample['seconds']:.1f} s, {sample['rate']:.1f} tok/s"


def reason(error: BaseException) -> str:
    """Return what went wrong: of several failures at once, the first."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"


def say(text: str) -> None:
    """Show progress."""
    print(text, file=sys.stderr, flush=True)


def results(recorder: Recorder, wanted: Sequence[Case]) -> str:
    """Return the table of all medians."""
    measures = {
        "seconds": 1,
        "tokens": 0,
        "rate": 1,
        "decode_rate": 1,
        "computed": 0,
    }
    rows = []
    for case in wanted:
        for name in case.contestants:
            values = [
                number(recorder.median(case.name, name, measure), digits)
                for measure, digits in measures.items()
            ]
            count = str(len(recorder.values(case.name, name, "seconds")))
            rows.append([f"{case.name}: {name}", count, *values])
    head = "rounds,seconds,tokens,tok/s,decode tok/s,prompt computed".split(",")
    return table(["case: contestant", *head], rows)


def verdicts(recorder: Recorder, wanted: Sequence[Case]) -> list[dict[str, Any]]:
    """Return how ponder stands to each target."""
    names = {case.name for case in wanted}
    return [_verdict(recorder, target) for target in TARGETS if target.case in names]


def _verdict(recorder: Recorder, target: Target) -> dict[str, Any]:
    ratio: Ratio | None = None
    if target.peer:
        ratio = recorder.ratio(target.case, target.measure, "ponder", target.peer)
        value = ratio.of_medians if ratio else None
    else:
        value = recorder.median(target.case, "ponder", target.measure)
    return {
        "case": target.case,
        "measure": target.measure,
        "peer": target.peer,
        "value": value,
        "per_round": ratio.per_round if ratio else None,
        "lowest": ratio.lowest if ratio else None,
        "highest": ratio.highest if ratio else None,
        "at_least": target.at_least,
        "at_most": target.at_most,
        "verdict": judged(value, at_least=target.at_least, at_most=target.at_most),
    }


def targets(found: Sequence[dict[str, Any]]) -> str:
    """Return the table of targets."""
    rows = [
        [
            f"{v['case']}: {v['measure']} against {v['peer'] or 'the ideal'}",
            number(v["value"], 2),
            number(v["per_round"], 2),
            f"{number(v['lowest'], 2)} to {number(v['highest'], 2)}",
            f">= {v['at_least']}"
            if v["at_least"] is not None
            else f"<= {v['at_most']}",
            v["verdict"],
        ]
        for v in found
    ]
    head = ["ponder's", "of medians", "per round", "range", "target", "verdict"]
    return table(head, rows)


def unequal(recorder: Recorder, wanted: Sequence[Case]) -> list[str]:
    """Name contestants that wrote fewer tokens than asked for, by 1 % or more."""
    notes = []
    for case in wanted:
        tokens = {
            name: recorder.median(case.name, name, "tokens")
            for name in case.contestants
        }
        most = max((t for t in tokens.values() if t is not None), default=0.0)
        notes += [
            f"{case.name}: {name} wrote {t:.0f} tokens, others {most:.0f}: its texts "
            "ended early. Rates allow for that, times do not."
            for name, t in tokens.items()
            if t is not None and t < 0.99 * most
        ]
    return notes


# The command.


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.engine",
        description="Measure the local engine against its peers.",
    )
    add = parser.add_argument
    add("--model", default="qwen2.5-coder-1.5b", help="catalogue name or GGUF path")
    add("--rounds", type=int, default=5)
    add("--only", action="append", metavar="CASE", help="may be given several times")
    add("--out", type=Path, default=Path("out/engine.json"))
    add("--quick", action="store_true", help="1 round of small jobs: does it run?")
    add("--threads", type=int, default=machine([])["cores"])
    add("--prompt", type=int, default=512, help="tokens of the shared prefix")
    add("--tokens", type=int, default=64, help="new tokens of each branch")
    add("--temperature", type=float, default=0.7)
    add("--depth", type=int, default=4, help="levels of the tree below its root")
    add("--children", type=int, default=3, help="of each node of the tree")
    add("--tree-tokens", type=int, default=32, help="new tokens of each node")
    add("--server-kv", choices=("split", "unified"), default="split")
    add("--server-plain", action="store_true", help="no repacked weights in the server")
    add("--plain-attention", action="store_true", help="no flash attention in ponder")
    options = parser.parse_args(argv)
    if options.quick:
        options.rounds, options.prompt, options.tokens = 1, 128, 8
        options.depth, options.tree_tokens = 2, 8
    options.profiles = options.out.with_suffix(".profiles").absolute()
    return options


def model_path(name: str) -> Path:
    """Return the GGUF file of a model.

    Raises:
        PonderError: There is no such local model.
        FileNotFoundError: It is not on this machine.
    """
    settings = load_settings()
    found = resolve(name, settings)
    if isinstance(found, Catalogued):
        path = found.entry.path(settings)
    elif isinstance(found, LocalFile):
        path = found.path
    else:
        raise FileNotFoundError(f"'{name}' is a remote model; give a local one.")
    if not path.exists():
        raise FileNotFoundError(
            f"There is no {path}. Fetch it with: ponder models pull {name}"
        )
    return path


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print the tables."""
    options = arguments(argv)
    try:
        options.path = model_path(options.model)
        recorder = Recorder(
            options.out,
            "engine",
            _settings(options),
            packages=PACKAGES,
            sources="ponder/models/llama benchmarks",
        )
    except (PonderError, StaleFile, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 2
    known = cases(options)
    wanted = [c for c in known if not options.only or c.name in options.only]
    if not wanted:
        print(
            f"No such case. Known: {', '.join(c.name for c in known)}", file=sys.stderr
        )
        return 2
    try:
        Benchmark(recorder, Prompts(options.path), options).run(wanted)
    except KeyboardInterrupt:
        say(f"Stopped; the same command goes on from {options.out}.")
        return 130
    found = verdicts(recorder, wanted)
    notes = unequal(recorder, wanted)
    recorder.save(targets=found, notes=notes)
    print("\n\n".join([results(recorder, wanted), targets(found), *notes]))
    return 1 if any(ERROR in s for s in recorder.samples) else 0


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    """Return the options that decide what a sample means."""
    kept = (
        "model threads prompt tokens temperature depth children tree_tokens "
        "server_kv server_plain plain_attention"
    )
    return {name: getattr(options, name) for name in kept.split()}


if __name__ == "__main__":
    sys.exit(main())

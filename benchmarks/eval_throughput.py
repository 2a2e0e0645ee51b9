"""Whether a study keeps the engine as busy as 32 branches of one prompt do.

Run it from the root of the repository::

    python -m benchmarks.eval_throughput

The study answers word problems by self-consistency with 8 samples, 8 problems in
flight; its rate counts everything: prompts, grading, logs. The rate of the engine is
that of 32 branches from one short prompt, without the prompt. Longer branches are
slower ones, whoever asks for them, so the engine's are as long as the answers of the
study were on average; its rate for branches of 64 tokens is told beside it.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks._jobs import Prompts, Setup
from benchmarks._ponder import Ponder
from benchmarks._report import Recorder, StaleFile, judged, number, table
from ponder.evals.plan import cells, make_plan
from ponder.evals.study import Study
from ponder.graphs.base import strategy
from ponder.models.catalog import Catalogued, LocalFile, resolve
from ponder.settings import load_settings

CASE, STUDY = "throughput", "study, 8 problems in flight"
ENGINE, SHORT = "engine, 32 branches as long", "engine, 32 branches of 64 tokens"
TARGET = 0.85
BRANCHES, TOKENS, PREFIX, SAMPLES = 32, 64, 128, 8


def engine_round(
    ponder: Ponder, prompts: Prompts, seed: int, tokens: int = TOKENS
) -> dict[str, Any]:
    """Return the decode rate of branches from one prompt, in tokens per second."""
    job = prompts.fanout(
        length=PREFIX, branches=BRANCHES, tokens=tokens, temperature=0.7, seed=seed
    )
    sample = ponder.run(job)
    rate = sample["decode_tokens"] / sample["decode_seconds"]
    return {"rate": rate, "length": tokens}


def study_round(
    ponder: Ponder, options: argparse.Namespace, seed: int
) -> dict[str, Any]:
    """Return the output tokens per second of a whole study."""
    plan = make_plan(
        {
            "tasks": ("variants",),
            "model": ponder.model.name,
            "limit": options.problems,
            "seed": seed,
            "in_flight": 8,
            "defaults": {"max_tokens": options.tokens},
        },
        "eval_throughput",
    )
    with tempfile.TemporaryDirectory() as folder:
        study = Study(plan, Path(folder), model=ponder.model)
        before = ponder.model.statistics.generated_tokens
        start = time.perf_counter()
        ponder.loop.run(_eight(study))
        seconds = time.perf_counter() - start
    written = ponder.model.statistics.generated_tokens - before
    return {
        "rate": written / seconds,
        "seconds": seconds,
        "tokens": written,
        "length": written / (SAMPLES * options.problems),
    }


async def _eight(study: Study) -> None:
    """Run the baseline alone, with 8 samples of each problem."""
    cell = cells(study.plan)[0]
    eight = strategy(cell.strategy, {"n": SAMPLES}).spec()
    (done,) = await study.run_cells([cell.model_copy(update={"strategy": eight})])
    short = [r for r in done.records if len(r.attempts) < SAMPLES]
    if short:
        raise RuntimeError(f"{len(short)} problems have fewer than {SAMPLES} samples.")


def report(recorder: Recorder) -> tuple[str, bool]:
    """Return the table, and whether the target is met."""
    ours = recorder.median(CASE, STUDY, "rate")
    theirs = recorder.median(CASE, ENGINE, "rate")
    ratio = ours / theirs if ours and theirs else None
    rows = [
        [
            name,
            str(len(recorder.values(CASE, name, "rate"))),
            number(recorder.median(CASE, name, "length")),
            number(recorder.median(CASE, name, "rate")),
        ]
        for name in (STUDY, ENGINE, SHORT)
    ]
    verdict = judged(ratio, at_least=TARGET, at_most=None)
    text = (
        f"{table(['', 'rounds', 'tokens a branch', 'tok/s'], rows)}\n\n"
        f"study / engine: {number(ratio, 2)} (target >= {TARGET}: {verdict})"
    )
    recorder.save(ratio=ratio)
    return text, ratio is not None and ratio >= TARGET


def _sample(
    name: str,
    ponder: Ponder,
    options: argparse.Namespace,
    recorder: Recorder,
    seed: int,
) -> dict[str, Any]:
    if name == STUDY:
        return study_round(ponder, options, seed)
    length = recorder.median(CASE, STUDY, "length") if name == ENGINE else None
    return engine_round(ponder, ponder.prompts, seed, round(length or TOKENS))


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.eval_throughput")
    parser.add_argument("--model", default="local")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--problems", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=384)
    parser.add_argument("--n-ctx", type=int, default=32768)
    parser.add_argument("--out", type=Path, default=Path("out/eval_throughput.json"))
    options = parser.parse_args(argv)
    settings = load_settings()
    found = resolve(options.model, settings)
    if not isinstance(found, LocalFile | Catalogued):
        print(f"{options.model} is no local model.", file=sys.stderr)
        return 2
    path = found.path if isinstance(found, LocalFile) else found.entry.path(settings)
    try:
        recorder = Recorder(
            options.out,
            "eval_throughput",
            {k: v for k, v in vars(options).items() if k not in ("out", "rounds")},
            packages="ponder llama-cpp-python inspect-ai",
            sources="ponder benchmarks",
        )
    except StaleFile as error:
        print(error, file=sys.stderr)
        return 2
    ponder = Ponder(Setup(path, 2, options.n_ctx, 64, 2048))
    for round_ in range(options.rounds):
        for name in (STUDY, ENGINE, SHORT):
            if recorder.has(CASE, round_, name):
                continue
            sample = _sample(name, ponder, options, recorder, 1000 + round_)
            recorder.add(CASE, round_, name, sample)
            print(f"round {round_ + 1}: {name}: {sample['rate']:.1f} tok/s",
                  file=sys.stderr, flush=True)  # fmt: skip
    text, kept = report(recorder)
    print(text)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())

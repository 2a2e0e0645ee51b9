"""How long ``import ponder`` takes, and what it drags in.

Run it from the root of the repository::

    python -m benchmarks.import_time
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks._report import Recorder, StaleFile, judged, number, table

MODULES = ("ponder", "langgraph.graph", "litellm")
HEAVY = ("litellm", "llama_cpp", "torch", "sympy")
"""What ``import ponder`` must not load."""
LIMIT = 1.0
"""Seconds, the median of a fresh interpreter."""
CASE = "import"
PROGRAM = """
import importlib, json, sys, time
start = time.perf_counter()
importlib.import_module(sys.argv[1])
seconds = time.perf_counter() - start
print(json.dumps({"seconds": seconds, "modules": len(sys.modules),
                  "loaded": [m for m in sys.argv[2:] if m in sys.modules]}))
"""


def measure(module: str) -> dict[str, Any]:
    """Import a module in a fresh interpreter.

    Args:
        module: Its name.

    Returns:
        ``seconds`` of the import alone, how many ``modules`` there are after it, and
        which of ``HEAVY`` it ``loaded``.
    """
    # LiteLLM would else fetch its price list from the network.
    environment = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, module, *HEAVY],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def report(recorder: Recorder) -> tuple[str, bool]:
    """Return the table, and whether ponder keeps its limits."""
    rows = []
    for module in MODULES:
        values = sorted(recorder.values(CASE, module, "seconds").values())
        seconds = recorder.median(CASE, module, "seconds")
        limit = LIMIT if module == "ponder" else None
        rows.append(
            [
                f"import {module}",
                str(len(values)),
                number(seconds, 2),
                f"{number(values[0], 2)} to {number(values[-1], 2)}",
                number(recorder.median(CASE, module, "modules"), 0),
                f"<= {limit}" if limit else "",
                judged(seconds, at_least=None, at_most=limit) if limit else "",
            ]
        )
    ours = [s for s in recorder.samples if s["contestant"] == "ponder"]
    loaded = sorted({name for sample in ours for name in sample["loaded"]})
    head = ["", "rounds", "seconds", "range", "modules", "target", "verdict"]
    verdict = "FAIL" if loaded else "pass"
    text = (
        f"{table(head, rows)}\n\n`import ponder` loads of {', '.join(HEAVY)}: "
        f"{', '.join(loaded) or 'none'} ({verdict})"
    )
    recorder.save(heavy_loaded=loaded)
    seconds = recorder.median(CASE, "ponder", "seconds")
    return text, not loaded and seconds is not None and seconds <= LIMIT


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.import_time")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, default=Path("out/import_time.json"))
    options = parser.parse_args(argv)
    try:
        recorder = Recorder(
            options.out,
            "import_time",
            {},
            packages="ponder langgraph litellm pydantic",
            sources="ponder",
        )
    except StaleFile as error:
        print(error, file=sys.stderr)
        return 2
    for module in MODULES:
        # The first import after an installation compiles to bytecode.
        measure(module)
    for round_ in range(options.rounds):
        for module in MODULES:
            if not recorder.has(CASE, round_, module):
                recorder.add(CASE, round_, module, measure(module))
        print(f"round {round_ + 1} of {options.rounds}", file=sys.stderr, flush=True)
    text, kept = report(recorder)
    print(text)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())

"""What all benchmarks share: a file that can be resumed, medians, tables, facts."""

import hashlib
import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

ERROR = "error"
"""Key of a sample that holds a failure instead of measurements."""


class StaleFile(Exception):
    """A result file belongs to another machine, version or choice of settings."""


@dataclass(frozen=True)
class Ratio:
    """How one contestant stands against another, in the same rounds."""

    of_medians: float
    """Median of the one over the median of the other."""
    per_round: float
    """Median of the ratios within each round: blind to slow drifts of the machine."""
    lowest: float
    highest: float
    rounds: int


class Recorder:
    """The samples of one benchmark, written to a JSON file after each of them."""

    def __init__(
        self,
        path: Path,
        benchmark: str,
        settings: Mapping[str, Any],
        *,
        packages: str,
        sources: str,
    ) -> None:
        """Open the file, and go on where an earlier run of the same kind stopped.

        Args:
            path: The JSON file.
            benchmark: Its name.
            settings: Everything that decides what a sample means.
            packages: Distributions whose versions matter, separated by spaces.
            sources: Folders of the code that is measured, separated by spaces.

        Raises:
            StaleFile: The file holds samples that cannot stand beside new ones.
        """
        self.path = path
        self.data: dict[str, Any] = {
            "benchmark": benchmark,
            "machine": machine(packages.split()),
            "settings": dict(settings),
            "code": fingerprint(sources.split()),
            "samples": [],
        }
        if path.exists():
            self._resume(json.loads(path.read_text(encoding="utf-8")))

    def _resume(self, old: Mapping[str, Any]) -> None:
        for part in ("benchmark", "machine", "settings", "code"):
            # Through JSON, where a tuple is a list.
            new = json.loads(json.dumps(self.data[part]))
            if old.get(part) != new:
                raise StaleFile(
                    f"{self.path} was measured with another {part}:\n"
                    f"  there: {old.get(part)}\n  now:   {new}\n"
                    "Choose another --out, or delete the file."
                )
        self.data["samples"] = [s for s in old["samples"] if ERROR not in s]

    @property
    def samples(self) -> list[dict[str, Any]]:
        """All samples so far."""
        samples: list[dict[str, Any]] = self.data["samples"]
        return samples

    def has(self, case: str, round_: int, contestant: str) -> bool:
        """Whether this sample is there already."""
        wanted = (case, round_, contestant)
        return any(
            (s["case"], s["round"], s["contestant"]) == wanted for s in self.samples
        )

    def add(
        self, case: str, round_: int, contestant: str, values: Mapping[str, Any]
    ) -> None:
        """Keep a sample, and write the file."""
        self.samples.append(
            {
                "case": case,
                "round": round_,
                "contestant": contestant,
                "at": datetime.now(UTC).isoformat(timespec="seconds"),
                "load": round(os.getloadavg()[0], 2),
                **values,
            }
        )
        self.save()

    def save(self, **more: Any) -> None:
        """Write the file, whole or not at all."""
        self.data.update(more)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_name(f"{self.path.name}.part")
        part.write_text(json.dumps(self.data, indent=1) + "\n", encoding="utf-8")
        part.replace(self.path)

    def values(self, case: str, contestant: str, measure: str) -> dict[int, float]:
        """Return what was measured, by round; rounds without it are left out."""
        return {
            s["round"]: s[measure]
            for s in self.samples
            if s["case"] == case
            and s["contestant"] == contestant
            and s.get(measure) is not None
        }

    def median(self, case: str, contestant: str, measure: str) -> float | None:
        """Return the median over the rounds, ``None`` if nothing was measured."""
        values = self.values(case, contestant, measure)
        return median(values.values()) if values else None

    def ratio(self, case: str, measure: str, ours: str, theirs: str) -> Ratio | None:
        """Compare two contestants over the rounds that both have.

        Args:
            case: The case.
            measure: What is compared.
            ours: The contestant above the line.
            theirs: The contestant below it.
        """
        mine = self.values(case, ours, measure)
        other = self.values(case, theirs, measure)
        both = sorted(mine.keys() & other.keys())
        if not both:
            return None
        ratios = [mine[r] / other[r] for r in both]
        return Ratio(
            median(mine[r] for r in both) / median(other[r] for r in both),
            median(ratios),
            min(ratios),
            max(ratios),
            len(both),
        )


def fingerprint(folders: Sequence[str]) -> str:
    """Return a hash of all Python code below folders of the repository."""
    root = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256()
    for folder in folders:
        for file in sorted((root / folder).rglob("*.py")):
            digest.update(str(file.relative_to(root)).encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def machine(packages: Sequence[str]) -> dict[str, Any]:
    """Return the facts without which a number means nothing."""
    return {
        "cores": _cores(),
        "cpu": _cpu(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in packages},
    }


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpu() -> str:
    """Name the processor and the vector extensions that inference kernels use."""
    try:
        info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor()
    pairs = [line.split(":", 1) for line in info.splitlines() if ":" in line]
    # The first core stands for all: later ones must not overwrite it.
    fields = {key.strip(): value.strip() for key, value in reversed(pairs)}
    known = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8")
    flags = [flag for flag in known if flag in fields.get("flags", "").split()]
    return f"{fields.get('model name', platform.processor())} ({' '.join(flags)})"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows as aligned text; every column but the first is right-aligned."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    lines = [head, ["-" * width for width in widths], *rows]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def number(value: float | None, digits: int = 1) -> str:
    """Return a number for a table; a dash where there is none."""
    return "-" if value is None else f"{value:,.{digits}f}"


def judged(
    value: float | None, *, at_least: float | None, at_most: float | None
) -> str:
    """Return ``pass``, ``FAIL``, or ``no data``."""
    if value is None:
        return "no data"
    low = at_least is None or value >= at_least
    high = at_most is None or value <= at_most
    return "pass" if low and high else "FAIL"

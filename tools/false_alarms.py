"""How often do the checks of a run reject a correct variant?

    python -m tools.false_alarms [--runs 20] [--busy-core]

Each run measures all default workloads with all default variants, at a short time per variant, and
prints what it rejected. With --busy-core another process keeps a core busy all the while. Exit
status 1 if anything was rejected.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from time import monotonic
from typing import Annotated

import typer

from bench import ROOT
from bench.records import store
from bench.selftest.background_load import background_load

RUN = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "--benchmark-only")
RUN += ("--benchmark-max-time=0.05", "--run-name=run")


def rejected(options: tuple[str, ...]) -> tuple[Counter[str], list[str]]:
    """One run: the number of measurements of each status, and the reasons of those rejected."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, *RUN, f"--reports={folder}", *options]
        subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
        _, measurements, _ = store.read(Path(folder) / "run" / store.FILE)
    variants = [m for m in measurements if m.role != "gemm baseline"]
    reasons = [
        f"{m.workload.id}, {m.variant}: {m.reason}" for m in variants if m.status == "disagrees"
    ]
    return Counter(m.status for m in variants), reasons


def main(
    options: Annotated[list[str] | None, typer.Argument(help="more options of the runs")] = None,
    runs: Annotated[int, typer.Option(min=1)] = 20,
    busy: Annotated[bool, typer.Option("--busy-core", help="beside another process")] = False,
) -> None:
    """Print each run, and in the end how many measurements were rejected."""
    counts: Counter[str] = Counter()
    with background_load(busy):
        for number in range(1, runs + 1):
            begin = monotonic()
            found, reasons = rejected(tuple(options or ()))
            counts += found
            statuses = ", ".join(f"{count} {status}" for status, count in sorted(found.items()))
            print(f"run {number}: {statuses}, in {monotonic() - begin:.0f} s")
            for reason in reasons:
                print(f"    {reason}", flush=True)
    beside = "beside a busy core" if busy else "on a machine left alone"
    print(
        f"{counts['disagrees']} of {counts.total()} measurements rejected in {runs} runs {beside}"
    )
    raise typer.Exit(1 if counts["disagrees"] else 0)


if __name__ == "__main__":
    typer.run(main)

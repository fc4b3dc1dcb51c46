"""Does a ratio depend on the other variants of its workload, or on their order on the command line?

    python -m tools.workload_composition [--repeats 10]

Measures the first two variants of a default run in one workload in three ways: alone, alone in
reversed order, and with all other variants. Every repeat has fresh processes. In nine of ten
repeats, the ratios of two ways should differ by no more than their joint 95 % interval.
"""

from __future__ import annotations

import json
import math
from itertools import combinations
from pathlib import Path
from typing import Annotated

import typer

from backends import registry
from bench.analysis import verdicts
from bench.analysis.verdicts import Estimate
from bench.config import grid, validation
from bench.config.grid import Request
from bench.config.protocol import Settings
from bench.measurement.workload_run import WorkloadRun
from bench.records import machine
from bench.selftest import store
from bench.workers.pool import WorkerPool, silent


def main(
    repeats: Annotated[int, typer.Option(help="of each way")] = 10,
    out: Annotated[Path | None, typer.Option(help="a JSON file for the ratios")] = None,
) -> None:
    """Print the ratios of each way and repeat, and how many pairs of ways agree."""
    request = Request(
        tasks=("sentiment",),
        phases=("bptt",),
        devices=("cpu",),
        dtypes=("float32",),
        threads=validation.threads(()),
    )
    (workload,) = grid.workloads(request)
    names = [n for n in registry.default_names() if not registry.missing(registry.find(n))]
    b, a, *others = names
    ways = {"alone": [b, a], "reversed": [a, b], "with all others": [b, a, *others]}
    found: dict[str, list[Estimate]] = {way: [] for way in ways}
    between = store.between_process(store.load())
    for repeat in range(repeats):
        for way, variants in ways.items():
            with WorkerPool(machine.cores_to_pin(), 600.0) as pool:
                run = WorkloadRun(pool, workload, variants, Settings(seed=repeat), silent)
                outcomes = run.run()
            first, second = (outcomes[name].measurement for name in (a, b))
            estimate = verdicts.compare(first, second, between)
            found[way].append(estimate)
            low, high = estimate.interval
            (conditions,) = run.conditions
            share = conditions.timed_seconds / conditions.rounds_seconds
            print(
                f"{repeat} {way}: {a} / {b} {estimate.ratio:.3f} ({low:.3f} to {high:.3f}), "
                f"{conditions.rounds} rounds, {100 * share:.0f} % of their wall time timed, "
                f"{conditions.repeated} blocks repeated, "
                f"{conditions.disturbed} disturbed ones kept",
                flush=True,
            )
    pairs = combinations(ways, 2)
    summary = {f"{one}, {other}": _agree(found[one], found[other]) for one, other in pairs}
    for way, agreeing in summary.items():
        print(f"{way}: {agreeing} of {repeats} repeats within the joint 95 % interval")
    if out is not None:
        ratios = {way: [e.ratio for e in estimates] for way, estimates in found.items()}
        out.write_text(json.dumps({"ratios": ratios, "agree": summary}, indent=1) + "\n")


def _agree(one: list[Estimate], other: list[Estimate]) -> int:
    """In how many repeats the two differ by at most sqrt(half width^2 + half width^2)."""
    return sum(
        abs(a.log_ratio - b.log_ratio) <= math.hypot(a.half_width, b.half_width)
        for a, b in zip(one, other, strict=True)
    )


if __name__ == "__main__":
    typer.run(main)

"""Does a ratio depend on who else is in the cell, or on the order in which variants are named?

    python -m bench.proofs.company [--repeats 10]

The first two variants of a default run in one cell: alone, alone and named the other way round, and
with all the others. Every repeat has fresh processes. The ratios of two ways should differ by no
more than their joint 95 % interval, in nine of ten repeats.
"""

from __future__ import annotations

import json
import math
from itertools import combinations
from pathlib import Path
from typing import Annotated

import typer

from backends import registry
from bench import machine, remembered, verdicts
from bench.grid import Request, cells
from bench.lab import Lab
from bench.race import CellRun, Settings
from bench.verdicts import Estimate


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
        threads=(len(machine.available_cores()),),
    )
    (cell,) = cells(request)
    b, a, *others = (n for n in registry.default_names() if not registry.find(n).missing())
    ways = {"alone": [b, a], "reversed": [a, b], "in company": [b, a, *others]}
    found: dict[str, list[Estimate]] = {way: [] for way in ways}
    offset = remembered.offset(remembered.load())
    cores = machine.available_cores() if machine.pinning() else None
    for repeat in range(repeats):
        for way, variants in ways.items():
            with Lab(cores, 600.0) as lab:
                run = CellRun(lab, cell, variants, Settings(seed=repeat), lambda _: None)
                outcomes = run.run()
            first, second = (outcomes[name].measurement for name in (a, b))
            estimate = verdicts.compare(first, second, offset)
            found[way].append(estimate)
            low, high = estimate.interval
            (race,) = run.races
            share = race.timed_seconds / race.rounds_seconds
            print(
                f"{repeat} {way}: {a} / {b} {estimate.ratio:.3f} ({low:.3f} to {high:.3f}), "
                f"{race.rounds} rounds, {100 * share:.0f} % of their wall time timed, "
                f"{race.repeated} blocks repeated, {race.disturbed} disturbed",
                flush=True,
            )
    summary = {f"{one}, {other}": _agree(found[one], found[other]) for one, other in _pairs(ways)}
    for way, agreeing in summary.items():
        print(f"{way}: {agreeing} of {repeats} within their joint 95 % interval")
    if out is not None:
        ratios = {way: [e.ratio for e in estimates] for way, estimates in found.items()}
        out.write_text(json.dumps({"ratios": ratios, "agree": summary}, indent=1) + "\n")


def _pairs(ways: dict[str, list[str]]) -> list[tuple[str, str]]:
    return list(combinations(ways, 2))


def _agree(one: list[Estimate], other: list[Estimate]) -> int:
    """In how many repeats the two differ by no more than sqrt(half width^2 + half width^2)."""
    return sum(
        abs(a.log_ratio - b.log_ratio) <= math.hypot(a.half_width, b.half_width)
        for a, b in zip(one, other, strict=True)
    )


if __name__ == "__main__":
    typer.run(main)

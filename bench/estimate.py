"""What a run will do and about how long it takes: for `--dry-run`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bench.flops import step_flops
from bench.grid import Cell
from bench.race import WARM_SECONDS, Settings, has_floor
from bench.rounds import LEAST_ROUNDS, THROUGHPUT_EVERY, Block

if TYPE_CHECKING:
    from bench.case import Case

# Of an ordinary core; an estimate is right to a factor of two or so.
FLOPS_PER_SECOND_AND_THREAD = 10e9
STEP_OVERHEAD_SECONDS = 20e-6  # a layer, direction and time step
START_SECONDS = 6.0  # an interpreter and its framework
BUILD_SECONDS = 1.0  # a variant in a cell: build, trace, compile, check


def cell_seconds(cell: Cell, variants: int, settings: Settings) -> float:
    """Expected seconds of a cell: building and checking, warming up, rounds."""
    rate = FLOPS_PER_SECOND_AND_THREAD * cell.threads
    overhead = STEP_OVERHEAD_SECONDS * cell.size.steps * len(list(cell.spec.stack()))
    flops = step_flops(cell.spec, cell.size.batch, cell.size.steps, cell.phase)
    step = flops / rate + overhead * (1.0 if cell.phase == "forward" else 3.0)
    each, entries = BUILD_SECONDS + 10 * step, variants
    if settings.timed and variants:
        block = Block(timed_seconds=settings.timed_seconds)
        timed = max(block.timed_steps * step, block.timed_seconds)
        hot = max(block.hot_steps * step, block.hot_seconds)
        least = max(LEAST_ROUNDS, settings.min_rounds) * (hot + timed * (1 + 1 / THROUGHPUT_EVERY))
        each += WARM_SECONDS + max(settings.max_seconds, least)
        entries += 1 + has_floor(cell) if settings.beside else 0
        if settings.processes > 1:
            each += START_SECONDS  # of processes that are fresh in each cell
    return entries * each * settings.processes


def print_plan(plan: Mapping[Cell, Sequence[Case]], settings: Settings) -> None:
    """Every cell, its variants, what keeps any from running, and the time all of it will take."""
    seconds, keys = 0.0, set()
    for cell, cases in plan.items():
        refusals = {case.variant: case.refusal() for case in cases}
        running = [case for case in cases if not refusals[case.variant]]
        keys |= {case.key for case in running}
        seconds += cell_seconds(cell, len(running), settings)
        print(f"{cell.id}: {', '.join(case.variant for case in running) or 'nothing runs'}")
        for name, refusal in refusals.items():
            if refusal is not None:
                status, reason = refusal
                print(f"    {name} is {status}: {reason}")
    if settings.processes == 1:
        seconds += START_SECONDS * len(keys)
    tests = sum(map(len, plan.values()))
    print(f"{tests} tests in {len(plan)} cells, about {_duration(seconds)}")


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"

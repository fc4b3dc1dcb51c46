"""What a run will do and about how long it takes: for `--dry-run`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bench.grid import Cell
from bench.rounds import HOT_STEPS, LEAST_ROUNDS, WARM_SECONDS, Settings
from tasks.spec import ModelSpec

if TYPE_CHECKING:
    from bench.session import Case

# Of an ordinary core; an estimate is right to a factor of two or so.
FLOPS_PER_SECOND_AND_THREAD = 10e9
STEP_OVERHEAD_SECONDS = 20e-6  # a layer, direction and time step
START_SECONDS = 6.0  # an interpreter and its framework
BUILD_SECONDS = 1.0  # a variant in a cell: build, trace, compile, check


def forward_flops(spec: ModelSpec, batch: int, steps: int) -> float:
    """2 T B G H (I + H) a layer and direction, and 2 N F C for a head, N = T B or B."""
    flops = 0.0
    for layer, _, _ in spec.stack():
        width = spec.layer_input_size(layer) + spec.hidden_size
        flops += 2.0 * steps * batch * spec.gates * spec.hidden_size * width
    if spec.output_size is not None:
        rows = batch * (steps if spec.readout == "every_step" else 1)
        flops += 2.0 * rows * spec.feature_size * spec.output_size
    return flops


def cell_seconds(cell: Cell, variants: int, settings: Settings) -> float:
    """Expected seconds of a cell: building and checking, warming up, rounds."""
    passes = 1.0 if cell.phase == "forward" else 3.0
    rate = FLOPS_PER_SECOND_AND_THREAD * cell.threads
    step = passes * (
        forward_flops(cell.spec, cell.size.batch, cell.size.steps) / rate
        + STEP_OVERHEAD_SECONDS * cell.size.steps * len(list(cell.spec.stack()))
    )
    each = BUILD_SECONDS + 10 * step
    if settings.timed:
        block = (HOT_STEPS + 1) * step
        least = max(LEAST_ROUNDS, settings.min_rounds) * max(block, settings.timed_seconds)
        each += WARM_SECONDS + max(settings.max_seconds, least)
    return variants * each * settings.processes


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
    seconds += START_SECONDS * len(keys) * settings.processes
    tests = sum(map(len, plan.values()))
    print(f"{tests} tests in {len(plan)} cells, about {_duration(seconds)}")


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"

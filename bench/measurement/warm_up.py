"""Warms up a built and checked model for its rounds."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

from bench.config.protocol import SLOW_SECONDS, WARM_SECONDS, WARM_STEPS, Block
from bench.measurement import machine_state
from bench.measurement.rounds import TimedModel
from bench.records.workload import Workload
from bench.workers.process import Ask, Worker

# A GPU is warm when its last LOOKS clocks differ by at most STEADY_MHZ, relatively, or after
# STEADY_SECONDS.
STEADY_MHZ, STEADY_SECONDS, LOOKS = 0.02, 10.0, 3


def warmed_up(
    name: str,
    worker: Worker,
    ask: Ask,
    workload: Workload,
    block: Block,
    make: Callable[..., TimedModel] = TimedModel,
    **options: Any,
) -> TimedModel:
    """The model of `worker`, which answers `ask`, after its warm-up steps; it gets `options`."""
    worker.survey()  # by now it has started all its threads and processes
    block = block.of_steps(warm_up(ask, workload))
    return make(name, ask, workload.phase, block, cpu_seconds=worker.cpu_seconds, **options)


def warm_up(ask: Ask, workload: Workload) -> float:
    """Run warm-up steps; on a GPU until its clock is steady, or for STEADY_SECONDS.

    Returns the seconds of a step. One that is slow is the only one.
    """
    options = {"phase": workload.phase, "seconds": WARM_SECONDS, "steps": WARM_STEPS}
    seconds: float = ask("warm", **{**options, "steps": 1})
    if WARM_SECONDS < WARM_STEPS * seconds < WARM_STEPS * SLOW_SECONDS:
        seconds = ask("warm", phase=workload.phase, seconds=0.0, steps=WARM_STEPS - 1)
    if workload.device == "cpu" or seconds >= SLOW_SECONDS:
        return seconds
    begin, clocks = perf_counter(), list[float]()
    while perf_counter() - begin < STEADY_SECONDS:
        ask("warm", **options)
        mhz = machine_state.clocks(workload.device).mhz
        clocks += [] if mhz is None else [mhz]
        last = clocks[-LOOKS:]
        if len(last) == LOOKS and max(last) - min(last) <= STEADY_MHZ * max(last):
            break
    return seconds

"""Blocks and rounds: what the time of a step is made of, for a workload as for a selftest.

In each round every model runs one block, in a seeded random order, while all others are stopped. A
block: warm-up steps, untimed; steps with a sync each, whose median is the round's value (latency);
in every third round as many steps back to back with one sync at their end (throughput). Rounds go
on until the ratios are narrow enough or the time is used up, ten at least. A block in which others
kept the machine busy is taken again, within limits, and counted.

Blocks are short, for what a machine does to one of them it does to the next one too: steps 17 ms
long whose times scatter by 15 % have a correlation of 0.6 with the next step, 0.4 five steps on and
0.2 after twenty (2 cores of a shared host).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np

from bench.analysis import estimators
from bench.config.protocol import (
    LEAST_REPEATS,
    LOOK_AGAIN,
    MOST_REPEATED,
    NARROW,
    THROUGHPUT_EVERY,
    Block,
)
from bench.measurement import machine_state
from bench.records import machine, schema
from bench.workers.pool import Progress, silent
from bench.workers.process import Ask


@dataclass
class TimedModel:
    """One built model in its worker, and what its blocks gave, round by round."""

    name: str
    ask: Ask
    phase: str
    block: Block
    slowdown: float = 0.0  # injected share of a step, to test the harness
    counts: bool = True  # do the rounds go on for its sake
    # CPU seconds of its process until now, while that stands; None where nobody can tell.
    cpu_seconds: Callable[[], float | None] = lambda: None
    seconds: list[float] = field(default_factory=list)  # medians of synced steps
    throughput_seconds: list[float] = field(default_factory=list)  # of some rounds
    device_seconds: list[float] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    raw: list[np.ndarray] = field(default_factory=list)

    def run(self, unbroken: bool) -> tuple[np.ndarray, float | None, float | None, float, float]:
        """One block; see `Operations.block`."""
        taken, *rest = self.ask(
            "block",
            phase=self.phase,
            warmup_steps=self.block.warmup_steps,
            warmup_seconds=self.block.warmup_seconds,
            timed_steps=self.block.timed_steps,
            timed_seconds=self.block.timed_seconds,
            unbroken=unbroken,
            slowdown=self.slowdown,
        )
        return np.frombuffer(taken, np.float64), *rest

    def keep(
        self, position: int, taken: np.ndarray, back_to_back: float | None, on_device: float | None
    ) -> None:
        """What a block gave; called in one go, so that rounds stay whole."""
        self.seconds.append(float(np.median(taken)))
        self.throughput_seconds += [back_to_back] if back_to_back is not None else []
        self.device_seconds += [on_device] if on_device is not None else []
        self.positions.append(position)
        self.raw.append(taken)


@dataclass
class Rounds:
    """The rounds of some models; `run` is the whole of it.

    `running` gives the models that still take part; `attempt` runs a model's block and takes it out
    where that fails.
    """

    running: Callable[[], Sequence[TimedModel]]
    attempt: Callable[[TimedModel, Callable[[], None]], None]
    device: str = "cpu"
    cores: Sequence[int] | None = None  # that the workers are bound to; None: any
    progress: Progress = silent
    narrow: float | None = NARROW  # half the width of a ratio's interval; None: all the time
    latency_alone: bool = False  # no throughput, and the time limit counts timed steps alone
    _watch: machine_state.Watch = field(init=False)
    _count: int = field(init=False)  # of the cores
    _timed_seconds: float = 0.0
    _blocks: int = 0
    _repeated: int = 0
    _disturbed: int = 0
    _others: list[tuple[float, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._watch = machine_state.Watch(self.cores)
        self._count = len(machine.available_cores() if self.cores is None else self.cores)

    def run(
        self, rng: np.random.Generator, *, least: int, seconds: float
    ) -> schema.ProcessConditions:
        """At least `least` rounds, and `seconds` in all unless the ratios are narrow before."""
        begin, number, look = perf_counter(), 0, least

        def spent() -> float:
            return self._timed_seconds if self.latency_alone else perf_counter() - begin

        others: list[float] = []
        looks: list[machine_state.Clocks] = []
        stopped: schema.Stopped = "time used up"
        while self.running() and (number < least or spent() < seconds):
            unbroken = not self.latency_alone and number % THROUGHPUT_EVERY == 0
            number += 1
            self.progress(f"round {number} of at least {least}")
            models = list(self.running())
            self._others = []
            for position, index in enumerate(rng.permutation(len(models))):
                self._take(models[index], position, unbroken)
            if self._others:
                used, passed = map(sum, zip(*self._others, strict=True))
                others.append(round(used / passed, 3))
            looks.append(machine_state.clocks(self.device, self.cores))
            if number >= look:
                if self.narrow is not None and narrow(self.running(), self.narrow):
                    stopped = "narrow enough"
                    break
                look = math.ceil(number * LOOK_AGAIN)
        return schema.ProcessConditions(
            rounds=number,
            stopped=stopped,
            before_seconds=0.0,
            rounds_seconds=perf_counter() - begin,
            timed_seconds=self._timed_seconds,
            after_seconds=0.0,
            blocks=self._blocks,
            repeated=self._repeated,
            disturbed=self._disturbed,
            others_cores=tuple(others),
            clock_mhz=tuple(look.mhz for look in looks if look.mhz is not None),
            gpu_celsius=tuple(look.gpu_celsius for look in looks if look.gpu_celsius is not None),
            throttled=tuple(sorted({reason for look in looks for reason in look.throttled})),
        )

    def _take(self, model: TimedModel, position: int, unbroken: bool) -> None:
        self.attempt(model, lambda: self._block(model, position, unbroken))

    def _block(self, model: TimedModel, position: int, unbroken: bool) -> None:
        while True:
            before = model.cpu_seconds()
            self._watch.begin()
            taken, back_to_back, on_device, own_seconds, wall_seconds = model.run(unbroken)
            after = model.cpu_seconds()
            if before is not None and after is not None:
                own_seconds = after - before  # with what its threads spun until they stood
            used, passed = self._watch.others(own_seconds)
            self._blocks += 1
            self._others += [(used, passed)] if used is not None else []
            disturbed = machine_state.disturbing(used, passed, self._count)
            if not disturbed or self._repeated >= LEAST_REPEATS + MOST_REPEATED * self._blocks:
                break
            self._repeated += 1
        self._disturbed += disturbed
        self._timed_seconds += wall_seconds
        model.keep(position, taken, back_to_back, on_device)


def narrow(models: Sequence[TimedModel], enough: float) -> bool:
    """Do the rounds know every ratio to the fastest model to within `enough`, 95 %, either way."""
    values = [np.log(model.seconds) for model in models if model.counts]
    if len(values) < 2:
        return False
    best = min(values, key=np.median)
    quantile = estimators.quantile(len(best) - 1)
    errors = (estimators.standard_error(v - best) for v in values if v is not best)
    return all(quantile * error <= enough for error in errors)

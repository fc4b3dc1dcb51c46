"""Blocks and rounds, from which step times come, in workloads and selftests.

In each round every model runs one block, in a seeded random order, while all others are stopped. A
block starts with untimed warm-up steps. Then come steps with a sync each; their median is the value
of the round (latency). In every third round, as many steps follow with a single sync at their end
(throughput). There are at least ten rounds. They end when the ratios are known well enough or the
time is used up. A block that background load disturbed is repeated, within limits, and counted. A
block of steps above half a second is one step.

Blocks are short because disturbances last: adjacent blocks then share them, and they cancel in the
ratio. On 2 cores of a shared host, steps of 17 ms that scatter by 15 % have a correlation of 0.6
with the next step, 0.4 five steps later and 0.2 twenty steps later.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from bench import signals
from bench.analysis import estimators
from bench.config.protocol import (
    LEAST_REPEATS,
    LOOK_AGAIN,
    MOST_REPEATED,
    NARROW,
    SLOW_ROUNDS,
    THROUGHPUT_EVERY,
    Block,
)
from bench.measurement import machine_state
from bench.records import machine, schema
from bench.workers.pool import Progress, silent
from bench.workers.process import Ask
from bench.workers.seen_answers import SeenAnswer


@dataclass
class TimedModel:
    """One built model in its worker, and the results of its blocks, round by round."""

    name: str
    ask: Ask
    phase: str
    block: Block
    slowdown: float = 0.0  # injected share of a step, to test the harness
    counts: bool = True  # whether the rounds continue until its ratio is known
    repeats: bool = True  # whether a disturbed block can be made again
    disturbed: int = 0  # blocks that were disturbed and kept
    steps: Sequence[int] = ()  # T of each batch, where they differ
    first_seconds: Sequence[float] = ()  # of the first call with each of these T
    transfers: bool = False  # a stream: no throughput, but as many steps with their transfers
    looks: int = 0  # steps before each block whose results `judge` gets
    judge: Callable[[list[SeenAnswer]], None] = lambda looked: None
    # CPU seconds of its stopped process until now; None if unknown.
    cpu_seconds: Callable[[], float | None] = lambda: None
    seconds: list[float] = field(default_factory=list)  # medians of synced steps
    throughput_seconds: list[float] = field(default_factory=list)  # of some rounds
    device_seconds: list[float] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    raw: list[np.ndarray] = field(default_factory=list)
    with_transfers: list[np.ndarray] = field(default_factory=list)  # seconds of such steps
    _moved: np.ndarray = field(default_factory=lambda: np.empty(0))  # those of the last block
    # Of every block, also of a repeated one: the seconds of its synced steps, and their batches.
    blocks: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)

    def run(self, unbroken: bool) -> tuple[np.ndarray, float | None, float | None, float, float]:
        """Run one block, and judge what it returned; see `TimedSteps.block`."""
        taken, of_batch, back_to_back, on_device, own, wall, looked = self.ask(
            "block",
            phase=self.phase,
            warmup_steps=self.block.warmup_steps,
            warmup_seconds=self.block.warmup_seconds,
            timed_steps=self.block.timed_steps,
            timed_seconds=self.block.timed_seconds,
            unbroken=unbroken and not self.transfers and not self.block.one_step,
            slowdown=self.slowdown,
            looks=0 if self.block.one_step else self.looks,
            read=self.looks > 0,
        )
        self.blocks.append((np.frombuffer(taken, np.float64), np.frombuffer(of_batch, np.int16)))
        if looked:
            self.judge(looked)
        seconds = self.blocks[-1][0]
        if self.transfers:
            moved, cpu, more = self.ask("with_transfers", steps=len(seconds))
            self._moved, own, wall = np.frombuffer(moved, np.float64), own + cpu, wall + more
        return seconds, back_to_back, on_device, own, wall

    @property
    def finished(self) -> bool:
        """Whether it takes part in no further round, although others do."""
        return False

    def seconds_at(self, number: int) -> float:
        """Median seconds of a synced step on batch `number`, in all blocks."""
        return float(np.median(np.concatenate([t[of == number] for t, of in self.blocks])))

    def medians(self) -> tuple[float, float | None]:
        """Seconds of a step, with a sync each and without; None if the latter was not measured."""
        unsynced = float(np.median(self.throughput_seconds)) if self.throughput_seconds else None
        return float(np.median(self.seconds)), unsynced

    def keep(
        self, position: int, taken: np.ndarray, back_to_back: float | None, on_device: float | None
    ) -> None:
        """Keep the results of a block, all at once, so that no round is incomplete.

        Its value is the median of its steps; where T varies, the mean of the medians of each T.
        """
        value = float(np.median(taken))
        if self.steps:
            of_batch = self.blocks[-1][1]
            value = float(np.mean([np.median(taken[of_batch == n]) for n in np.unique(of_batch)]))
        self.seconds.append(value)
        self.throughput_seconds += [back_to_back] if back_to_back is not None else []
        self.device_seconds += [on_device] if on_device is not None else []
        self.positions.append(position)
        self.raw.append(taken)
        if self.transfers:
            self.with_transfers.append(self._moved)


@dataclass
class Rounds:
    """The rounds of some models, which `run` makes.

    `running` returns the models that still take part. `attempt` runs a model's block, and removes
    the model if that fails.
    """

    running: Callable[[], Sequence[TimedModel]]
    attempt: Callable[[TimedModel, Callable[[], None]], None]
    device: str = "cpu"
    cores: Sequence[int] | None = None  # the cores of the workers; None: any
    progress: Progress = silent
    narrow: float | None = NARROW  # half width at which rounds end; None: use all the time
    latency_alone: bool = False  # no throughput, and only timed steps count for the time limit
    _watch: machine_state.Watch = field(init=False)
    _count: int = field(init=False)  # number of cores
    _timed_seconds: float = 0.0
    _blocks: int = 0
    _repeated: int = 0
    _disturbed: int = 0
    _paused: int = 0
    _others: list[tuple[float, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._watch = machine_state.Watch(self.cores)
        self._count = len(machine.available_cores() if self.cores is None else self.cores)

    def run(
        self, rng: np.random.Generator, *, least: int, seconds: float
    ) -> schema.ProcessConditions:
        """Make at least `least` rounds, then more until `seconds` are used or ratios are known.

        Where a block is a single step, they are at least SLOW_ROUNDS.
        """
        if any(model.block.one_step for model in self.running()):
            least = max(least, SLOW_ROUNDS)
        begin, number, look = signals.awake_seconds(), 0, least

        def spent() -> float:
            return self._timed_seconds if self.latency_alone else signals.awake_seconds() - begin

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
            rounds_seconds=signals.awake_seconds() - begin,
            timed_seconds=self._timed_seconds,
            after_seconds=0.0,
            blocks=self._blocks,
            repeated=self._repeated,
            disturbed=self._disturbed,
            others_cores=tuple(others),
            clock_mhz=tuple(look.mhz for look in looks if look.mhz is not None),
            gpu_celsius=tuple(look.gpu_celsius for look in looks if look.gpu_celsius is not None),
            throttled=tuple(sorted({reason for look in looks for reason in look.throttled})),
            paused=self._paused,
        )

    def _take(self, model: TimedModel, position: int, unbroken: bool) -> None:
        self.attempt(model, lambda: self._block(model, position, unbroken))

    def _block(self, model: TimedModel, position: int, unbroken: bool) -> None:
        while True:
            before, suspensions = model.cpu_seconds(), signals.received.suspensions
            self._watch.begin()
            taken, back_to_back, on_device, own_seconds, wall_seconds = model.run(unbroken)
            after = model.cpu_seconds()
            if signals.received.suspensions > suspensions:
                continue  # nobody knows what ran beside it meanwhile
            if before is not None and after is not None:
                own_seconds = after - before  # with its threads' spinning until they stopped
            used, passed = self._watch.others(own_seconds)
            self._blocks += 1
            self._others += [(used, passed)] if used is not None else []
            paused = self._watch.paused()
            self._paused += paused
            disturbed = paused or machine_state.disturbing(used, passed, self._count)
            most = LEAST_REPEATS + MOST_REPEATED * self._blocks
            if not disturbed or not model.repeats or self._repeated >= most:
                break
            self._repeated += 1
        self._disturbed += disturbed
        model.disturbed += disturbed
        self._timed_seconds += wall_seconds
        model.keep(position, taken, back_to_back, on_device)


def narrow(models: Sequence[TimedModel], enough: float) -> bool:
    """Whether every ratio to the fastest model has a 95 % interval of at most ± `enough`."""
    values = [np.log(model.seconds) for model in models if model.counts]
    if len(values) < 2:
        return False
    best = min(values, key=np.median)
    quantile = estimators.quantile(len(best) - 1)
    errors = (estimators.standard_error(v - best) for v in values if v is not best)
    return all(quantile * error <= enough for error in errors)

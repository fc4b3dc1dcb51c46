"""`rnnbench selftest`: what this harness finds on this machine where the truth is known.

For each variant, pairs of fresh processes of one program are compared as two variants of a cell
are. Between them there is nothing to find (A/A), until one of them is made to wait busily for a
known share of each of its steps. Beside that, the same by pytest-benchmark's own sequential loop.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from backends import registry
from bench import machine, provenance, record, remembered, trials, verdicts
from bench.gate import Gate
from bench.grid import Cell
from bench.interpreter import Key, WorkerError, WorkerRaisedError
from bench.lab import Lab
from bench.race import WARM_SECONDS, WARM_STEPS
from bench.rounds import LEAST_ROUNDS, Block, Rounds, Side
from bench.trials import StockTrial, Trial

SLOWDOWNS = (0.03, 0.05, 0.10, 0.20)
RAW, RESULT = "trials.jsonl", "selftest.json"

# Until the process that started it, whose number it is given, is gone, however that ended.
_BURN = "import os, sys\nwhile os.getppid() == int(sys.argv[1]): pass"


class DisagreesError(ValueError):
    """A variant computes something else than it should."""


@dataclass(frozen=True)
class Plan:
    """How much of it."""

    cell: Cell
    variants: Sequence[str]
    pairs: int = 4  # of fresh processes, a variant
    repeats: int = 3  # A/A trials a pair
    injected: int = 1  # trials a pair and slow-down
    stock: int = 1  # A/A trials of the stock loop a pair
    stock_injected: bool = True  # and one of it a pair and slow-down
    seconds: float = 1.0  # a side and trial
    stranger: bool = False  # a process of somebody else's burns one core during the trials
    minutes: float | None = None  # no trial begins after them; None: no limit
    seed: int = 0

    @property
    def trials(self) -> int:
        """Of a pair."""
        ours = self.repeats + self.injected * len(SLOWDOWNS)
        return ours + self.stock + len(self.stock_slowdowns)

    @property
    def stock_slowdowns(self) -> tuple[float, ...]:
        """Of the stock loop: those that stand beside our own."""
        return SLOWDOWNS if self.stock_injected and self.stock and self.injected else ()

    @property
    def all_pairs(self) -> int:
        return len(self.variants) * self.pairs

    def estimated_seconds(self) -> float:
        """About how long; starting and building a process pair is taken as 12 s."""
        return self.all_pairs * (12.0 + self.trials * 3.0 * self.seconds)


def run(plan: Plan, lab: Lab, folder: Path, say: Callable[[str], None]) -> record.Selftest:
    """Measure, and write each trial into `folder` as it ends; gives what they come to.

    A worker's failure costs the trials of its pair, and is told. Raises ValueError where no trial
    without a slow-down ended.
    """
    end = math.inf if plan.minutes is None else time.monotonic() + 60 * plan.minutes
    started = datetime.now(UTC).isoformat(timespec="seconds")
    gate = Gate(plan.cell, plan.seed)
    ours: list[Trial] = []
    theirs: list[StockTrial] = []
    problems: list[str] = []
    with (folder / RAW).open("ab") as raw:
        for trial in _trials(plan, lab, gate, end, say, problems):
            (ours if isinstance(trial, Trial) else theirs).append(trial)  # type: ignore[arg-type]
            raw.write(msgspec.json.encode(trial) + b"\n")
            raw.flush()
    if not any(trial.slowdown == 0 for trial in ours):
        why = problems[0] if problems else "the time was used up before"
        raise ValueError(f"no trial without a slow-down ended: {why}")
    result = summary(plan, ours, theirs, started, problems)
    (folder / RESULT).write_bytes(msgspec.json.encode(result) + b"\n")
    return result


def read_raw(file: Path) -> tuple[list[Trial], list[StockTrial]]:
    """The trials that a selftest wrote."""
    ours: list[Trial] = []
    theirs: list[StockTrial] = []
    for line in file.read_bytes().splitlines():
        fields = msgspec.json.decode(line)
        if isinstance(fields["first_seconds"], list):
            ours.append(msgspec.convert(fields, Trial))
        else:
            theirs.append(msgspec.convert(fields, StockTrial))
    return ours, theirs


def summary(
    plan: Plan,
    ours: Sequence[Trial],
    theirs: Sequence[StockTrial],
    started: str,
    problems: Sequence[str] = (),
) -> record.Selftest:
    """Of the trials, at one process and at as many as it recommends."""
    found = trials.offset(ours, started)
    recommended = trials.recommended_processes(ours, found, plan.seconds)
    counts = sorted({1, min(recommended or trials.MOST_RECOMMENDED, plan.pairs)})
    others = [t.others_cores for t in ours if t.others_cores is not None]
    return record.Selftest(
        started=started,
        machine=machine.describe(),
        cell=plan.cell.id,
        seconds=plan.seconds,
        threads=plan.cell.threads,
        trials=tuple(trials.summarise(ours, theirs, counts, started)),
        offset=found,
        recommended_processes=recommended,
        others_cores=float(np.median(others)) if others else None,
        disturbed=float(np.mean([t.disturbed for t in ours])),
        left_out=plan.all_pairs * plan.trials - len(ours) - len(theirs),
        problems=tuple(map(provenance.without_paths, dict.fromkeys(problems))),
    )


def keep(result: record.Selftest, plan: Plan) -> Path | None:
    """For later runs on this machine; not if others were busy on it, or trials were left out."""
    useless = plan.stranger or result.left_out or result.disturbed > verdicts.MOST_DISTURBED
    return None if useless else remembered.save(result)


def _pairs(plan: Plan) -> Iterator[tuple[str, int]]:
    """Variants in turn, so that what changes over an hour is no variant's alone."""
    for pair in range(plan.pairs):
        for variant in plan.variants:
            yield variant, pair


def _trials(
    plan: Plan,
    lab: Lab,
    gate: Gate,
    end: float,
    say: Callable[[str], None],
    problems: list[str],
) -> Iterator[Trial | StockTrial]:
    """Of all pairs; none begins when the clock has reached `end`. `problems` gets what failed."""
    for number, (variant, pair) in enumerate(_pairs(plan)):
        if time.monotonic() >= end:
            return
        say(f"{variant}, pair {pair + 1} of {plan.pairs}")
        try:
            with closing(_pair(plan, lab, gate, variant, number, say)) as pair_trials:
                for trial in pair_trials:
                    if time.monotonic() >= end:
                        break
                    try:
                        done = trial()
                    except WorkerRaisedError as error:  # it lives on, and so do the other trials
                        problems.append(f"{variant}: {error}")
                    else:
                        yield done
        except (WorkerError, registry.BrokenBackendError, DisagreesError) as error:
            problems.append(f"{variant}: {error}")
        lab.keep_only(())


def _pair(
    plan: Plan, lab: Lab, gate: Gate, variant: str, number: int, say: Callable[[str], None]
) -> Generator[Callable[[], Trial | StockTrial], None, None]:
    """All trials of one pair of fresh processes, in random order.

    Where the time is limited, one without a slow-down comes first: without it, others say nothing.
    """
    cell = plan.cell
    keys = [Key(variant, cell.dtype, cell.device, cell.threads, copy) for copy in (0, 1)]
    rng = np.random.default_rng((plan.seed, number))
    # Who starts first is drawn, as in a cell.
    drawn = np.random.default_rng().permutation(2)
    started = {copy: _side(plan, lab, gate, keys[copy], say) for copy in drawn}
    sides = [started[copy] for copy in range(len(keys))]
    shares = [0.0] * plan.repeats + [*SLOWDOWNS] * plan.injected
    todo: list[Callable[[], Trial | StockTrial]] = [
        partial(_trial, plan, lab, sides, variant, number, share, rng) for share in shares
    ]
    shares = [0.0] * plan.stock + [*plan.stock_slowdowns]
    todo += [partial(_stock, plan, lab, keys, variant, number, share) for share in shares]
    with _stranger(plan.stranger):
        if plan.minutes is not None:
            yield todo.pop(0)
        for index in rng.permutation(len(todo)):
            yield todo[index]


def _side(plan: Plan, lab: Lab, gate: Gate, key: Key, say: Callable[[str], None]) -> Side:
    """A model built, checked and warmed up, as in a cell."""
    ask = partial(lab.get(key, say).call, timeout=lab.timeout)
    gate.build(ask)
    _, _, found = gate.before(ask, key.variant)
    if found.failures:
        raise DisagreesError(f"it disagrees, and is no use for a test: {found.failures[0]}")
    ask("warm", phase=plan.cell.phase, seconds=WARM_SECONDS, steps=WARM_STEPS)
    lab.get(key).survey()
    cpu_seconds = lab.get(key).cpu_seconds
    return Side(key.variant, ask, plan.cell.phase, Block(), cpu_seconds=cpu_seconds)


def _trial(
    plan: Plan,
    lab: Lab,
    sides: Sequence[Side],
    variant: str,
    pair: int,
    slowdown: float,
    rng: np.random.Generator,
) -> Trial:
    first, second = (
        replace(side, slowdown=share, seconds=[], throughput_seconds=[], positions=[], raw=[])
        for side, share in zip(sides, (0.0, slowdown), strict=True)
    )
    race = Rounds(
        running=lambda: [first, second],
        attempt=lambda _, block: block(),
        device=plan.cell.device,
        cores=lab.cores_of(plan.cell.threads),
        narrow=None,
        latency_alone=True,
    ).run(rng, least=LEAST_ROUNDS, seconds=2 * plan.seconds)
    kept = race.blocks - race.repeated
    return Trial(
        variant=variant,
        pair=pair,
        slowdown=slowdown,
        first_seconds=tuple(first.seconds),
        second_seconds=tuple(second.seconds),
        disturbed=race.disturbed / kept,
        others_cores=float(np.median(race.others_cores)) if race.others_cores else None,
        timed_share=race.timed_seconds / race.rounds_seconds,
    )


def _stock(
    plan: Plan, lab: Lab, keys: Sequence[Key], variant: str, pair: int, slowdown: float
) -> StockTrial:
    """One process after the other; what waits is not stopped, as that loop stops nothing."""
    medians = []
    for key, other, share in zip(keys, reversed(keys), (0.0, slowdown), strict=True):
        lab.get(other).wake()
        options: dict[str, Any] = {"phase": plan.cell.phase, "seconds": plan.seconds}
        medians.append(lab.get(key).call("stock", lab.timeout, slowdown=share, **options))
    return StockTrial(
        variant=variant,
        pair=pair,
        slowdown=slowdown,
        first_seconds=medians[0],
        second_seconds=medians[1],
    )


@contextmanager
def _stranger(wanted: bool) -> Iterator[None]:
    """Comes once the models are built and checked, which would take minutes beside it."""
    if not wanted:
        yield
        return
    burning = subprocess.Popen([sys.executable, "-c", _BURN, str(os.getpid())])
    try:
        yield
    finally:
        burning.kill()
        burning.wait()

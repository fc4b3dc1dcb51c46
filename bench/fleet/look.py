"""A node looks at itself, on the cores that it was given, before it measures."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from backends import registry
from bench.analysis import estimators, text, verdicts
from bench.config import grid, validation
from bench.config.grid import Request
from bench.measurement import machine_state
from bench.records import machine, provenance
from bench.selftest import run as selftest
from bench.selftest import trials
from bench.selftest.trials import Trial
from bench.workers import core_locks
from bench.workers.pool import WorkerPool

LOOK_SECONDS = 1.0
MOST_LOOKS = 6  # the job before this one may still be clearing up
PAUSE_SECONDS = 4.0
MOST_DIFFERENT = 0.10  # two processes of one program; identical ones differ by about 2 %
AA_SECONDS = 0.3  # of timed steps, per process


def look(variants: Sequence[str], *, allow_busy: bool = False) -> Iterator[str]:
    """What is wrong with this node, in words; nothing if it may measure.

    A framework that is missing, or cannot be imported, is wrong; so is background load, unless it
    is allowed. This waits while another run measures on these cores.
    """
    cores = machine.all_cores()
    with core_locks.held(cores, "a look at this node", lambda holder: None):
        found = [*missing(variants)]
        found = found or [*([] if allow_busy else busy(cores))]
        found = found or [*differs_from_itself(variants)]
    yield from map(provenance.without_paths, found)


def missing(variants: Sequence[str]) -> Iterator[str]:
    """Each variant that is known not to run here."""
    for name in variants:
        try:
            problem = registry.missing(registry.find(name))
        except registry.BrokenBackendError as error:
            problem = str(error)
        if problem:
            yield problem


def busy(cores: Sequence[int]) -> Iterator[str]:
    """Whether something else computes on these cores in every one of several looks."""
    load = 0.0
    for number in range(MOST_LOOKS):
        if number:
            time.sleep(PAUSE_SECONDS)
        watch = machine_state.Watch(cores if machine.pinning() else None)
        watch.begin()
        time.sleep(LOOK_SECONDS)
        seconds, passed = watch.others(0.0)
        load = 0.0 if seconds is None else seconds / passed
        if load <= machine_state.DISTURBING_CORES:
            return
    yield f"{load:.2f} of {text.plural(len(cores), 'core')} busy with other programs"


def differs_from_itself(variants: Sequence[str]) -> Iterator[str]:
    """Each variant that does not start, or of which two processes differ (A/A)."""
    request = Request(
        tasks=("hihello",),
        phases=("forward",),
        devices=("cpu",),
        dtypes=("float32",),
        threads=validation.threads([]),
        sizes=("source",),
    )
    plan = selftest.Plan(
        next(grid.workloads(request)),
        variants,
        pairs=1,
        repeats=1,
        injected=0,
        pytest_benchmark=0,
        seconds=AA_SECONDS,
    )
    pool = WorkerPool(machine.cores_to_pin(), 600.0, "the limit of a look")
    with tempfile.TemporaryDirectory() as folder, pool:
        try:
            problems = selftest.run(plan, pool, Path(folder), lambda _: None).problems
        except ValueError as error:  # no trial at all
            problems = (str(error),)
        made, _ = trials.read_raw(Path(folder) / selftest.RAW)
    yield from problems
    yield from _differing(made)


def _differing(trials: Sequence[Trial]) -> Iterator[str]:
    between = verdicts.ASSUMED
    for trial in trials:
        found = verdicts.estimate([trial.logs], between.deviation, between.degrees)
        away = abs(found.log_ratio) - math.log1p(MOST_DIFFERENT)
        disturbed = trial.disturbed > verdicts.MOST_DISTURBED
        if disturbed or not math.isfinite(found.standard_error) or away <= 0:
            continue
        error = (1 - estimators.CONFIDENCE) / 2 / len(trials)  # of all variants together
        if estimators.beyond(away / found.standard_error, found.degrees) < error:
            ratio = text.ratio(math.exp(abs(found.log_ratio)))
            yield f"two processes of {trial.variant} differ by a factor of {ratio} (A/A)"

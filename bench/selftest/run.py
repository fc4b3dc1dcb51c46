"""`rnnbench selftest`: tests the harness on this machine in cases whose true result is known.

For each variant, pairs of fresh processes of the same program are compared as if they were two
variants. Without a slow-down the true ratio is 1 (A/A). With one, a busy wait slows one process
down by a known share of each step. The same pairs also run in pytest-benchmark's sequential loop.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from backends import registry
from bench.analysis import verdicts
from bench.config.protocol import LEAST_ROUNDS, Block
from bench.correctness.checks import WorkloadChecks
from bench.measurement.rounds import Rounds, TimedModel
from bench.measurement.warm_up import warmed_up
from bench.measurement.worker_keys import worker_key
from bench.records import machine, provenance, schema
from bench.records.workload import Workload
from bench.selftest import store, trials
from bench.selftest.background_load import background_load
from bench.selftest.trials import BaselineTrial, Trial
from bench.workers.pool import Pool, Progress
from bench.workers.process import WorkerError, WorkerKey, WorkerRaisedError

SLOWDOWNS = (0.03, 0.05, 0.10, 0.20)
RAW, RESULT = "trials.jsonl", "selftest.json"


class DisagreesError(ValueError):
    """A variant disagrees with the oracle."""


@dataclass(frozen=True)
class Plan:
    """The size of a selftest."""

    workload: Workload
    variants: Sequence[str]
    short: Workload | None = None  # of steps of microseconds, with as many A/A trials
    pairs: int = 4  # of fresh processes, per variant
    repeats: int = 1  # A/A trials per pair
    injected: int = 1  # trials per pair and slow-down
    pytest_benchmark: int = 0  # A/A trials of pytest-benchmark's loop per pair
    pytest_benchmark_injected: bool = False  # that loop also has one trial per pair and slow-down
    seconds: float = trials.WORKLOAD_SECONDS  # of timed steps, per process and trial
    background_load: bool = False  # another process keeps one core busy during the trials
    minutes: float | None = None  # no trial begins later; None: no limit
    seed: int = 0

    @property
    def trials(self) -> int:
        """Number of trials per pair."""
        ours = self.repeats * (1 if self.short is None else 2) + self.injected * len(SLOWDOWNS)
        return ours + self.pytest_benchmark + len(self.baseline_slowdowns)

    @property
    def baseline_slowdowns(self) -> tuple[float, ...]:
        """The slow-downs that pytest-benchmark's loop tries."""
        wanted = self.pytest_benchmark_injected and self.pytest_benchmark and self.injected
        return SLOWDOWNS if wanted else ()

    @property
    def all_pairs(self) -> int:
        return len(self.variants) * self.pairs

    def estimated_seconds(self) -> float:
        """The expected duration, with 10 s for starting and building a pair of processes."""
        return self.all_pairs * (10.0 + self.trials * 3.0 * self.seconds)


def run(plan: Plan, pool: Pool, folder: Path, progress: Progress) -> schema.Selftest:
    """Measure, and write each trial into `folder` as it ends; return the summary.

    A failing worker loses the trials of its pair, and the result reports it. Raises ValueError if
    no trial without a slow-down was completed.
    """
    end = math.inf if plan.minutes is None else time.monotonic() + 60 * plan.minutes
    started = datetime.now(UTC).isoformat(timespec="seconds")
    checks = WorkloadChecks(plan.workload, plan.seed)
    ours: list[Trial] = []
    baseline: list[BaselineTrial] = []
    problems: list[str] = []
    with (folder / RAW).open("ab") as raw:
        for trial in _trials(plan, pool, checks, end, progress, problems):
            (ours if isinstance(trial, Trial) else baseline).append(trial)  # type: ignore[arg-type]
            raw.write(msgspec.json.encode(trial) + b"\n")
            raw.flush()
    if not any(trial.slowdown == 0 and not trial.short for trial in ours):
        why = problems[0] if problems else "the time was used up"
        raise ValueError(f"no trial without a slow-down was completed: {why}")
    result = summary(plan, ours, baseline, started, problems)
    (folder / RESULT).write_bytes(msgspec.json.encode(result) + b"\n")
    return result


def summary(
    plan: Plan,
    ours: Sequence[Trial],
    baseline: Sequence[BaselineTrial],
    started: str,
    problems: Sequence[str] = (),
) -> schema.Selftest:
    """The summary of the trials, for one process and for the recommended number."""
    found = trials.between_process(ours, started)
    made, ours = len(ours), [trial for trial in ours if not trial.short]
    recommended = trials.recommended_processes(ours, found, plan.seconds)
    counts = sorted({1, min(recommended or trials.MOST_RECOMMENDED, plan.pairs)})
    others = [t.others_cores for t in ours if t.others_cores is not None]
    return schema.Selftest(
        started=started,
        machine=machine.describe(),
        workload=plan.workload,
        seconds=plan.seconds,
        trials=tuple(trials.summarise(ours, baseline, counts, started)),
        between_process=found,
        recommended_processes=recommended,
        process_seconds=trials.median_cost(ours, "process_seconds"),
        round_seconds=trials.median_cost(ours, "round_seconds"),
        best_rounds=trials.best_rounds(ours, found),
        others_cores=float(np.median(others)) if others else None,
        disturbed=float(np.mean([t.disturbed for t in ours])),
        left_out=plan.all_pairs * plan.trials - made - len(baseline),
        problems=tuple(map(provenance.without_paths, dict.fromkeys(problems))),
    )


def keep(result: schema.Selftest, plan: Plan) -> Path | None:
    """Keep it for later runs on this machine, unless it was disturbed or trials are missing."""
    useless = plan.background_load or result.left_out or result.disturbed > verdicts.MOST_DISTURBED
    return None if useless else store.save(result)


def _pairs(plan: Plan) -> Iterator[tuple[str, int]]:
    """The pairs with the variants in turn, so that slow changes of the machine affect all."""
    for pair in range(plan.pairs):
        for variant in plan.variants:
            yield variant, pair


def _trials(
    plan: Plan,
    pool: Pool,
    checks: WorkloadChecks,
    end: float,
    progress: Progress,
    problems: list[str],
) -> Iterator[Trial | BaselineTrial]:
    """The trials of all pairs. None begins after `end`; failures are added to `problems`."""
    for number, (variant, pair) in enumerate(_pairs(plan)):
        if time.monotonic() >= end:
            return
        progress(f"{variant}, pair {pair + 1} of {plan.pairs}")
        try:
            with closing(_pair(plan, pool, checks, variant, number, progress)) as pair_trials:
                for trial in pair_trials:
                    if time.monotonic() >= end:
                        break
                    try:
                        done = trial()
                    except WorkerRaisedError as error:  # the worker lives; other trials go on
                        problems.append(f"{variant}: {error}")
                    else:
                        yield done
        except (WorkerError, registry.BrokenBackendError, DisagreesError) as error:
            problems.append(f"{variant}: {error}")
        pool.keep_only(())


def _pair(
    plan: Plan, pool: Pool, checks: WorkloadChecks, variant: str, number: int, progress: Progress
) -> Generator[Callable[[], Trial | BaselineTrial], None, None]:
    """All trials of one pair of fresh processes, in random order.

    If the time is limited, a trial without a slow-down comes first: the others need one.
    """
    keys = [worker_key(plan.workload, variant, copy) for copy in (0, 1)]
    rng = np.random.default_rng((plan.seed, number))
    # The process that starts first is random, as in a workload run.
    order = np.random.default_rng().permutation(2)
    begin = time.perf_counter()
    started = {copy: _timed_model(plan, pool, checks, keys[copy], progress) for copy in order}
    each = (time.perf_counter() - begin) / len(keys)
    models = [started[copy] for copy in range(len(keys))]
    shares = [0.0] * plan.repeats + [*SLOWDOWNS] * plan.injected
    todo: list[Callable[[], Trial | BaselineTrial]] = [
        partial(_trial, plan, pool, models, variant, number, share, rng, each) for share in shares
    ]
    shares = [0.0] * plan.pytest_benchmark + [*plan.baseline_slowdowns]
    todo += [partial(_baseline_trial, plan, pool, keys, variant, number, share) for share in shares]
    with background_load(plan.background_load):
        if plan.minutes is not None:
            yield todo.pop(0)
        for index in rng.permutation(len(todo)):
            yield todo[index]
    if plan.short is None:
        return
    short = WorkloadChecks(plan.short, plan.seed)
    again = {copy: _timed_model(plan, pool, short, keys[copy], progress) for copy in order}
    models = [again[copy] for copy in range(len(keys))]
    with background_load(plan.background_load):
        for _ in range(plan.repeats):
            yield partial(_short_trial, plan, pool, models, variant, number, rng)


def _timed_model(
    plan: Plan, pool: Pool, checks: WorkloadChecks, key: WorkerKey, progress: Progress
) -> TimedModel:
    """A model that is built, checked and warmed up, as in a workload run."""
    worker = pool.get(key, progress)
    ask = partial(worker.call, timeout=pool.timeout)
    checks.build(ask)
    _, _, found = checks.before(ask, key.variant)
    if found.failures:
        raise DisagreesError(f"it disagrees with the oracle: {found.failures[0]}")
    return warmed_up(key.variant, worker, ask, checks.workload, Block())


def _short_trial(
    plan: Plan,
    pool: Pool,
    models: Sequence[TimedModel],
    variant: str,
    pair: int,
    rng: np.random.Generator,
) -> Trial:
    found = _trial(plan, pool, models, variant, pair, 0.0, rng)
    return msgspec.structs.replace(found, short=True, round_seconds=None)


def _trial(
    plan: Plan,
    pool: Pool,
    models: Sequence[TimedModel],
    variant: str,
    pair: int,
    slowdown: float,
    rng: np.random.Generator,
    process_seconds: float | None = None,
) -> Trial:
    first, second = (
        replace(model, slowdown=share, seconds=[], throughput_seconds=[], positions=[], raw=[])
        for model, share in zip(models, (0.0, slowdown), strict=True)
    )
    conditions = Rounds(
        running=lambda: [first, second],
        attempt=lambda _, block: block(),
        device=plan.workload.device,
        cores=pool.cores_of(plan.workload.threads),
        narrow=None,
        latency_alone=True,
    ).run(rng, least=LEAST_ROUNDS, seconds=2 * plan.seconds)
    kept = conditions.blocks - conditions.repeated
    others = conditions.others_cores
    return Trial(
        variant=variant,
        pair=pair,
        slowdown=slowdown,
        first_seconds=tuple(first.seconds),
        second_seconds=tuple(second.seconds),
        disturbed=conditions.disturbed / kept,
        others_cores=float(np.median(others)) if others else None,
        timed_share=conditions.timed_seconds / conditions.rounds_seconds,
        process_seconds=process_seconds,
        round_seconds=conditions.rounds_seconds / conditions.rounds / len(models),
    )


def _baseline_trial(
    plan: Plan, pool: Pool, keys: Sequence[WorkerKey], variant: str, pair: int, slowdown: float
) -> BaselineTrial:
    """One process after the other; the waiting one is not stopped, as that loop stops nothing."""
    medians = []
    for key, other, share in zip(keys, reversed(keys), (0.0, slowdown), strict=True):
        pool.get(other).wake()
        options: dict[str, Any] = {"phase": plan.workload.phase, "seconds": plan.seconds}
        worker = pool.get(key)
        medians.append(worker.call("pytest_benchmark", pool.timeout, slowdown=share, **options))
    return BaselineTrial(
        variant=variant,
        pair=pair,
        slowdown=slowdown,
        first_seconds=medians[0],
        second_seconds=medians[1],
    )

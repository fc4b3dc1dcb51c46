"""Records sets of processes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec
import numpy as np

from bench.config import grid
from bench.config.grid import Request
from bench.config.protocol import LEAST_ROUNDS, Block
from bench.correctness.checks import WorkloadChecks
from bench.measurement.rounds import Rounds, TimedModel
from bench.measurement.warm_up import warmed_up
from bench.measurement.worker_keys import worker_key
from bench.records import machine
from bench.records.workload import Workload
from bench.workers.pool import WorkerPool
from bench.workers.process import WorkerKey
from tools.between_processes import arms
from tools.between_processes.recorded import Head, Process

SLOWDOWN = 0.10  # of the live trials
SECONDS = 0.5  # of timed steps, per process: what a workload of a run has
_PACKAGES = ("numpy", "torch", "jax", "keras", "tensorflow", "tensorflow-cpu")
_LARGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")


@dataclass(frozen=True)
class Series:
    """The sets of one variant."""

    variant: str
    sets: int  # of the arm as now
    of_arms: int  # of these, sets with all arms
    fixed: int  # of these, sets with fixed addresses too
    live: int = 10  # of these, sets with trials of which one process is slowed

    def arms_of(self, number: int) -> list[str]:
        """Those of a set."""
        if number >= self.of_arms:
            return [arms.NOW]
        return [
            name for name, arm in arms.ARMS.items() if arm.random_addresses or number < self.fixed
        ]


SERIES = (
    Series("numpy", 30, 10, 10),
    Series("torch", 30, 20, 10),
    Series("jax", 30, 10, 5),
    Series("keras-tensorflow", 30, 0, 0),
)


def workloads() -> list[Workload]:
    """One of steps of milliseconds, in which the arms are compared, and one of microseconds."""
    found = []
    for task, size in (("sentiment", "base"), ("hihello", "source")):
        request = Request(
            tasks=(task,),
            phases=("bptt",),
            devices=("cpu",),
            dtypes=("float32",),
            threads=(0,),
            sizes=(size,),
        )
        found.append(next(grid.workloads(request)))
    return found


def measure(file: Path, minutes: float, series: tuple[Series, ...] = SERIES) -> None:
    """Write a line for each process, set by set, the variants in turn; none begins later."""
    end = time.monotonic() + 60 * minutes
    with (
        file.open("ab") as out,
        WorkerPool(machine.cores_to_pin(), 600.0) as pool,
        closing(_sets(pool, series)) as sets,
    ):
        out.write(msgspec.json.encode(_head()) + b"\n")
        for processes in sets:
            out.write(b"".join(msgspec.json.encode(one) + b"\n" for one in processes))
            out.flush()
            one = processes[0]
            print(f"set {one.set}: {one.variant}, {len(processes)} records", flush=True)
            if time.monotonic() > end:
                break


def _head() -> Head:
    return Head(
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=machine.describe(),
        versions={name: found for name in _PACKAGES if (found := _version(name))},
        arms={name: arm.what for name, arm in arms.ARMS.items()},
        large_pages=_LARGE_PAGES.read_text().strip() if _LARGE_PAGES.exists() else "unknown",
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _sets(pool: WorkerPool, series: tuple[Series, ...]) -> Iterator[list[Process]]:
    for number in range(max(one.sets for one in series)):
        for one in series:
            if number < one.sets:
                yield _one_set(pool, one, number)
                pool.keep_only(())


def _one_set(pool: WorkerPool, series: Series, number: int) -> list[Process]:
    """The processes of a set in both workloads: all arms in the first one, one in the other."""
    first, second = workloads()
    members = [(arm, copy) for arm in series.arms_of(number) for copy in (0, 1)]
    found = _in_workload(pool, first, series, number, members)
    alone = [member for member in members if member[0] == arms.NOW]
    return found + _in_workload(pool, second, series, number, alone)


def _key(workload: Workload, variant: str, arm: str, copy: int) -> WorkerKey:
    return worker_key(workload, variant, 2 * list(arms.ARMS).index(arm) + copy)


def _in_workload(
    pool: WorkerPool,
    workload: Workload,
    series: Series,
    number: int,
    members: list[tuple[str, int]],
) -> list[Process]:
    """Start what has not started, in random order; build, warm up, and make the rounds."""
    checks = WorkloadChecks(workload, 0)
    models: dict[tuple[str, int], TimedModel] = {}
    before: dict[tuple[str, int], float] = {}
    for index in np.random.default_rng().permutation(len(members)):
        arm, copy = members[index]
        begin = time.perf_counter()
        with arms.within(arms.ARMS[arm]):
            worker = pool.get(_key(workload, series.variant, arm, copy))
        ask = partial(worker.call, timeout=pool.timeout)
        checks.build(ask)
        models[arm, copy] = warmed_up(f"{arm} {copy}", worker, ask, workload, Block())
        before[arm, copy] = time.perf_counter() - begin
    rounds = _rounds(pool, workload, list(models.values()))
    conditions = rounds.run(
        np.random.default_rng(), least=LEAST_ROUNDS, seconds=SECONDS * len(models)
    )
    slowed = _slowed(pool, workload, models) if number < series.live else {}
    lines = []
    for (arm, copy), model in models.items():
        about = model.ask("about")
        lines.append(
            Process(
                set=number,
                variant=series.variant,
                arm=arm,
                copy=copy,
                workload=workload.id,
                before_seconds=round(before[arm, copy], 3),
                rounds_seconds=round(conditions.rounds_seconds / len(models), 3),
                seconds=tuple(round(value, 9) for value in model.seconds),
                slowed_seconds=slowed.get((arm, copy), ()),
                page_faults=about["page_faults"],
                switches=about["switches"],
                peak_bytes=about["peak_host_bytes"],
                disturbed=round(conditions.disturbed / max(1, conditions.blocks), 3),
            )
        )
        model.ask("release")
    return lines


def _slowed(
    pool: WorkerPool, workload: Workload, models: dict[tuple[str, int], TimedModel]
) -> dict[tuple[str, int], tuple[float, ...]]:
    """A live trial: the two processes as now once more, the second one slowed down."""
    shares = {(arms.NOW, 0): 0.0, (arms.NOW, 1): SLOWDOWN}
    fresh = {
        member: replace(
            models[member], slowdown=share, seconds=[], throughput_seconds=[], positions=[], raw=[]
        )
        for member, share in shares.items()
    }
    rounds = _rounds(pool, workload, list(fresh.values()))
    rounds.run(np.random.default_rng(), least=LEAST_ROUNDS, seconds=SECONDS * len(fresh))
    return {
        member: tuple(round(value, 9) for value in model.seconds) for member, model in fresh.items()
    }


def _rounds(pool: WorkerPool, workload: Workload, models: list[TimedModel]) -> Rounds:
    return Rounds(
        running=lambda: models,
        attempt=lambda _, block: block(),
        device=workload.device,
        cores=pool.cores_of(workload.threads),
        narrow=None,
        latency_alone=True,
    )

"""The checks around a timed workload, with one short block of steps, on one model.

The model is so large that a step which skips work takes clearly less time.
"""

from __future__ import annotations

from functools import partial

from backends.interface import PHASES
from bench.config import grid
from bench.correctness.checks import WorkloadChecks
from bench.kit.subject import Subject, refusal
from bench.records.schema import Agreement
from bench.records.workload import Workload

TIMED_STEPS, TIMED_SECONDS = 5, 0.05  # at least
TASKS_IN_ORDER = ("sentiment", "sin_sequence", "hihello")
SIZE = "base"  # a step takes several milliseconds, longer than reading its result


def workloads(subject: Subject, cell: str, dtype: str, threads: int) -> list[Workload]:
    """The first task that the variant takes with this cell, once per phase that it takes."""
    for task in TASKS_IN_ORDER:
        request = grid.Request(
            tasks=[task],
            phases=PHASES,
            devices=[subject.device],
            dtypes=[dtype],
            threads=[threads],
            sizes=[SIZE],
            model={"cell": [cell]},
        )
        taken = [
            workload
            for workload in grid.workloads(request)
            if refusal(subject, workload.spec, dtype, workload.phase) is None
        ]
        if taken:
            return taken
    return []


def run(subject: Subject, workload: Workload, seed: int) -> tuple[list[Agreement], str | None]:
    """The comparisons, and a message if the timed steps skip work."""
    checks, ask = WorkloadChecks(workload, seed), partial(subject.ask, workload.dtype)
    checks.build(ask)
    _, _, before = checks.before(ask, subject.name)
    if before.failures:
        return [before], None
    step_seconds = ask("warm", phase=workload.phase, seconds=TIMED_SECONDS, steps=TIMED_STEPS)
    last = checks.last(ask)
    after = checks.after(ask, subject.name, TIMED_STEPS)
    found = [each for each in (before, last, after) if each is not None]
    skipped = None
    if not any(each.failures for each in found):
        skipped = checks.skipped_work(ask, step_seconds)
    ask("release")
    return found, skipped

"""The checks around a timed workload, with some blocks of a run, on one model.

The model is so large that a step which skips work takes clearly less time.
"""

from __future__ import annotations

from functools import partial

from bench.config import grid
from bench.config.phases import PHASES, STREAM
from bench.config.protocol import THROUGHPUT_EVERY, Block
from bench.correctness.judged_answers import LOOKS
from bench.correctness.streams import checks_of
from bench.kit.subject import Subject, refusal, streams
from bench.measurement.rounds import TimedModel
from bench.records.schema import Agreement
from bench.records.workload import Workload

BLOCKS = 12  # of a run's; so many calls that a habit of the 21st shows
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
        taken = [workload for workload in grid.workloads(request) if takes(subject, workload)]
        if taken:
            return taken
    return []


def takes(subject: Subject, workload: Workload) -> bool:
    """Whether the variant takes the phase of this workload."""
    spec, dtype = workload.spec, workload.dtype
    if workload.phase == STREAM:
        return streams(subject, spec, dtype)
    return refusal(subject, spec, dtype, workload.phase) is None


def run(subject: Subject, workload: Workload, seed: int) -> tuple[list[Agreement], str | None]:
    """The comparisons, and a message if the timed steps skip work."""
    checks, ask = checks_of(workload, seed), partial(subject.ask, workload.dtype)
    checks.build(ask)
    _, _, before = checks.before(ask, subject.name)
    if before.failures:
        return [before], None
    found = [before]
    looks = checks.looks(ask, subject.name)
    transfers = workload.phase == STREAM
    model = TimedModel(subject.name, ask, workload.phase, Block(), transfers=transfers)
    if looks is not None:
        model.looks, model.judge = LOOKS, lambda looked: found.extend(looks.judge(looked))
    for number in range(BLOCKS):
        taken, throughput, on_device, *_ = model.run(number % THROUGHPUT_EVERY == 0)
        model.keep(0, taken, throughput, on_device)
        if any(each.failures for each in found):
            return found, None
    found += [each for each in [checks.last(ask)] if each is not None]
    found += looks.finish() if looks is not None else []
    found.append(checks.after(ask, subject.name, ask("updates")))
    skipped = None
    if not any(each.failures for each in found):
        skipped = checks.skipped_work(ask, *model.medians(), model.blocks)
    ask("release")
    return found, skipped

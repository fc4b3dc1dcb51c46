"""The gate of a timed run, with one short block of steps, on one model large enough to cheat in."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from bench import record
from bench.check.examine import offered
from bench.check.subject import Subject
from bench.gate import Gate
from bench.grid import LEARNING_RATE, Cell
from tasks import TASKS
from tasks.spec import OptimizerSpec

TIMED_STEPS, TIMED_SECONDS = 5, 0.05  # at least
OPTIMIZER = OptimizerSpec("adam", learning_rate=LEARNING_RATE)
SIZE = "base"  # a step of several milliseconds: reading its result takes less


def cells(subject: Subject, cell: str, dtype: str, threads: int) -> Iterator[Cell]:
    """The first task that the variant takes with this cell, in each phase that it takes."""
    for name in ("sentiment", "sin_sequence", "hihello"):
        spec, size = TASKS[name].spec(SIZE, cell=cell), TASKS[name].sizes[SIZE]
        phases = [p for p, reason in offered(subject, spec, dtype).items() if reason is None]
        for phase in phases:
            optimizer = OPTIMIZER if phase == "train_step" else None
            yield Cell(phase, name, SIZE, size, spec, subject.device, dtype, threads, optimizer)
        if phases:
            return


def run(subject: Subject, cell: Cell, seed: int) -> tuple[list[record.Agreement], str | None]:
    """What was compared, and what to say of a variant that computes less than it is timed for."""
    gate, ask = Gate(cell, seed), partial(subject.ask, cell.dtype)
    gate.build(ask)
    _, _, before = gate.before(ask, subject.name)
    if before.failures:
        return [before], None
    step_seconds = ask("warm", phase=cell.phase, seconds=TIMED_SECONDS, steps=TIMED_STEPS)
    last = gate.last(ask)
    after = gate.after(ask, subject.name, TIMED_STEPS)
    found = [each for each in (before, last, after) if each is not None]
    cheat = None
    if not any(each.failures for each in found):
        cheat = gate.cheats(ask, step_seconds)
    ask("release")
    return found, cheat

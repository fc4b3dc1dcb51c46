"""Total time by the number of steps, cold start included: who is first, and from when. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench import statistics, verdicts
from bench.report.cells import Cell
from bench.report.tables import cold_parts
from bench.verdicts import Comparison


@dataclass(frozen=True)
class Line:
    """Seconds of n steps in a fresh interpreter: cold + (n - 1) step; the first is cold."""

    label: str
    cold_seconds: float
    step_seconds: float

    def total(self, steps: float) -> float:
        return self.cold_seconds + (steps - 1) * self.step_seconds


@dataclass(frozen=True)
class Crossing:
    """From step `steps` on, `after` is ahead of `before`, who was first until then."""

    before: Line
    after: Line
    steps: int
    low: int
    high: int  # of its 95 % interval, by that of the ratio of their steps


def lines(cell: Cell) -> list[Line]:
    """One a ranked variant."""
    return [
        Line(label, sum(cold_parts(cell.entries[label])), cell.seconds[label])
        for label in cell.ranked
    ]


def crossings(cell: Cell) -> list[Crossing]:
    """The lead's changes from the first step on; none that the rounds are not sure of.

    A variant overtakes only where it is `faster` than the leader, and of a rank before it.
    """
    left = lines(cell)
    if not left or cell.serial or cell.unclear:
        return []
    lead = min(left, key=lambda line: (line.cold_seconds, line.step_seconds))
    found: list[Crossing] = []
    while True:
        told = _beside(cell, lead)
        later = [c for line in left if (c := _crossing(lead, line, told)) is not None]
        if not later:
            return found
        found.append(min(later, key=lambda c: (c.steps, c.after.step_seconds)))
        lead = found[-1].after


def _beside(cell: Cell, lead: Line) -> dict[str, Comparison]:
    """Those that are told apart from the leader: by the verdict on them, and by their rank."""
    first = cell.entries[lead.label]
    judged = verdicts.judge(
        {
            label: verdicts.compare(cell.entries[label], first, cell.offset)
            for label in cell.ranked
            if label != lead.label and statistics.paired(cell.entries[label], first)
        },
        disturbed=cell.disturbed,
    )
    rank = cell.ranks.get(lead.label)
    return {label: found for label, found in judged.items() if cell.ranks.get(label) != rank}


def _crossing(lead: Line, other: Line, told: Mapping[str, Comparison]) -> Crossing | None:
    """Where `other` overtakes for good; None if it never does, or if nobody can be sure."""
    gap = other.cold_seconds - lead.cold_seconds
    if other.step_seconds >= lead.step_seconds or gap < 0:
        return None
    if other.label not in told or told[other.label].verdict != "faster":
        return None
    low, high = told[other.label].estimate.interval

    def at(step_seconds: float) -> int:
        return 1 + math.ceil(gap / (lead.step_seconds - step_seconds))

    return Crossing(
        lead,
        other,
        at(other.step_seconds),
        min(at(lead.step_seconds * low), at(other.step_seconds)),
        max(at(lead.step_seconds * high), at(other.step_seconds)),
    )


def sentence(cell: Cell) -> str:
    """ "With the cold start, numpy is first; jax pays after 310 steps (290 to 335)." """
    found = lines(cell)
    if len(found) < 2 or cell.serial or cell.unclear:
        return ""
    lead = min(found, key=lambda line: (line.cold_seconds, line.step_seconds))
    changes: Sequence[Crossing] = crossings(cell)
    told = [f"Counting the cold start, {lead.label} is first"]
    others = [line.label for line in found if line.label != lead.label]
    beside = _beside(cell, lead)
    if all(label in beside and beside[label].verdict == "slower" for label in others):
        return f"{told[0]} from the first step on."
    if not changes:
        return f"{told[0]}, and no other is sure to overtake it however many steps there are."
    told += [
        f"{c.after.label} pays after {c.steps:,} steps ({c.low:,} to {c.high:,})" for c in changes
    ]
    return f"{'; '.join(told)}."


def reach(cell: Cell) -> int:
    """Steps that a drawing shows: beyond the last crossing, and until steps outweigh starts."""
    last = max((3.0 * c.steps for c in crossings(cell)), default=0.0)
    started = (9 * line.cold_seconds / line.step_seconds for line in lines(cell))
    return int(min(1e7, max(100.0, last, *started)))

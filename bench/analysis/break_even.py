"""Total time by number of steps, cold start included: who is ahead from which step. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from bench.analysis import cold_start, estimators, verdicts
from bench.analysis.verdicts import Comparison
from bench.analysis.workload_view import WorkloadView


@dataclass(frozen=True)
class TotalTime:
    """Seconds of n steps in a fresh process: cold + (n - 1) step; the first is cold."""

    label: str
    cold_seconds: float
    step_seconds: float

    def of(self, steps: float) -> float:
        return self.cold_seconds + (steps - 1) * self.step_seconds


@dataclass(frozen=True)
class BreakEven:
    """From step `steps` on, `after` is ahead of `before`, which was first until then."""

    before: TotalTime
    after: TotalTime
    steps: int
    low: int
    high: int  # end of its 95 % interval, from that of the ratio of the two step times


def total_times(view: WorkloadView) -> list[TotalTime]:
    """One for each ranked variant."""
    return [
        TotalTime(label, sum(cold_start.parts(view.candidates[label])), view.seconds[label])
        for label in view.ranked
    ]


def first_at_start(times: list[TotalTime]) -> TotalTime:
    """The variant that is first after one step; of equals, the one with the shorter step."""
    return min(times, key=lambda time: (time.cold_seconds, time.step_seconds))


def break_evens(view: WorkloadView) -> list[BreakEven]:
    """The changes of the lead from the first step on, as far as the rounds are certain of them.

    A variant overtakes the leader only if its verdict is `faster` and its rank is better.
    """
    left = total_times(view)
    if not left or view.serial or view.unclear:
        return []
    lead = first_at_start(left)
    found: list[BreakEven] = []
    while True:
        known = beside(view, lead)
        later = [b for time in left if (b := _break_even(lead, time, known)) is not None]
        if not later:
            return found
        found.append(min(later, key=lambda b: (b.steps, b.after.step_seconds)))
        lead = found[-1].after


def beside(view: WorkloadView, lead: TotalTime) -> dict[str, Comparison]:
    """The variants that differ from the leader, by their verdict and by their rank."""
    first = view.candidates[lead.label]
    judged = verdicts.judge(
        {
            label: verdicts.compare(view.candidates[label], first, view.between_process)
            for label in view.ranked
            if label != lead.label and estimators.paired(view.candidates[label], first)
        },
        disturbed=view.disturbed,
    )
    rank = view.ranks.get(lead.label)
    return {label: found for label, found in judged.items() if view.ranks.get(label) != rank}


def _break_even(
    lead: TotalTime, other: TotalTime, known: Mapping[str, Comparison]
) -> BreakEven | None:
    """Where `other` overtakes for good; None if it never does, or if that is uncertain."""
    gap = other.cold_seconds - lead.cold_seconds
    if other.step_seconds >= lead.step_seconds or gap < 0:
        return None
    if other.label not in known or known[other.label].verdict != "faster":
        return None
    low, high = known[other.label].estimate.interval

    def at(step_seconds: float) -> int:
        return 1 + math.ceil(gap / (lead.step_seconds - step_seconds))

    return BreakEven(
        lead,
        other,
        at(other.step_seconds),
        min(at(lead.step_seconds * low), at(other.step_seconds)),
        max(at(lead.step_seconds * high), at(other.step_seconds)),
    )


def reach(view: WorkloadView) -> int:
    """How many steps a figure shows: past the last break-even, until steps outweigh starts."""
    last = max((3.0 * b.steps for b in break_evens(view)), default=0.0)
    started = (9 * time.cold_seconds / time.step_seconds for time in total_times(view))
    return int(min(1e7, max(100.0, last, *started)))

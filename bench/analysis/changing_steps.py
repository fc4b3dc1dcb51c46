"""Workloads whose T varies from call to call: what a new shape costs, and what it saves. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from bench.analysis import verdicts
from bench.analysis.verdicts import Comparison, Estimate
from bench.analysis.workload_view import WorkloadView
from bench.records.schema import Measurement
from bench.records.workload import Workload


@dataclass(frozen=True)
class ChangingSteps:
    """One workload whose T varies."""

    view: WorkloadView
    fixed: WorkloadView | None  # the same with the largest T alone, if it was measured

    def first_calls(self, label: str) -> dict[int, float]:
        """Seconds of the first call with each T, in their order; the median of the processes."""
        return _medians(self.view.candidates[label], "first_call_seconds")

    def later_calls(self, label: str) -> dict[int, float]:
        """Seconds of a step with each T once all are known."""
        return _medians(self.view.candidates[label], "seconds")

    def against_fixed(self) -> dict[str, Comparison]:
        """Each variant's step with the largest T, among the others, against the same alone.

        The interval has the between-process standard deviation alone: the steps of one T are a part
        of each round.
        """
        if self.fixed is None or self.view.serial:
            return {}
        found = {}
        for label in self.view.ranked:
            if label not in self.fixed.ranked:
                continue
            largest = self.later_calls(label)[max(self.view.workload.steps_vary)]
            log_ratio = math.log(largest / self.fixed.seconds[label])
            m, between = self.view.candidates[label], self.view.between_process
            plain = verdicts.unpaired(m, self.fixed.candidates[label], between)
            found[label] = Estimate(log_ratio, plain.standard_error, plain.degrees, plain.margin)
        disturbed = max(self.view.disturbed, self.fixed.disturbed)
        return verdicts.judge(found, disturbed=disturbed)

    def bucket(self, label: str) -> Bucket:
        """Against padding each sequence to the largest T."""
        first, later = self.first_calls(label), self.later_calls(label)
        largest = max(later)
        saved = sum(first[steps] - later[steps] for steps in later if steps != largest)
        alone = self.fixed.seconds.get(label) if self.fixed else None
        lost = (alone or later[largest]) - float(np.mean(list(later.values())))
        return Bucket(saved, lost)


@dataclass(frozen=True)
class Bucket:
    """What one bucket with the largest T saves at first, and loses with each step after."""

    saved_seconds: float  # of the first calls with all other T, beyond a later call
    lost_seconds: float  # a step, on average

    @property
    def steps(self) -> float:
        """Up to so many steps it pays; inf if it always does."""
        if self.saved_seconds <= 0:
            return 0.0
        return self.saved_seconds / self.lost_seconds if self.lost_seconds > 0 else math.inf


def _medians(m: Measurement, name: str) -> dict[int, float]:
    of: dict[int, list[float]] = {}
    for process in m.processes:
        for each in process.by_steps:
            of.setdefault(each.steps, []).append(getattr(each, name))
    return {steps: float(np.median(values)) for steps, values in of.items()}


def find(views: Sequence[WorkloadView]) -> Iterator[ChangingSteps]:
    """Every workload whose T varies and of which something was timed."""
    by_fixed = {_plain(view.workload): view for view in views if not view.workload.steps_vary}
    for view in views:
        if view.workload.steps_vary and view.ranked:
            yield ChangingSteps(view, by_fixed.get(_plain(view.workload)))


def _plain(workload: Workload) -> Workload:
    """What it has in common with the same workload with the largest T alone."""
    return msgspec.structs.replace(workload, steps_vary=(), overridden=())

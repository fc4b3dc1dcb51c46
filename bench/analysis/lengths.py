"""Workloads with lengths beside the same sequences padded in front, without lengths. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from bench.analysis import verdicts
from bench.analysis.verdicts import Comparison
from bench.analysis.workload_view import WorkloadView
from bench.records.workload import Workload


@dataclass(frozen=True)
class WithLengths:
    """One workload with lengths."""

    view: WorkloadView
    front: WorkloadView | None  # the same sequences without lengths, if they were measured

    @property
    def real_steps(self) -> int:
        """Those of its batch that are no padding."""
        record = self.view.record
        return (record.real_steps if record else None) or self._steps

    @property
    def share_of_padding(self) -> float:
        return 1 - self.real_steps / self._steps

    @property
    def _steps(self) -> int:
        return self.view.workload.batch * self.view.workload.steps

    def seconds_a_real_step(self, label: str) -> float:
        """The median step of the phase by the real steps in it."""
        return self.view.seconds[label] / self.real_steps

    def comparisons(self) -> dict[str, Comparison]:
        """Each variant with lengths against itself without them."""
        front = self.front
        if front is None or self.view.serial:
            return {}
        both = [
            label for label in self.view.order if label in {*self.view.ranked} & {*front.ranked}
        ]
        estimates = {
            label: verdicts.unpaired(
                self.view.candidates[label], front.candidates[label], self.view.between_process
            )
            for label in both
        }
        return verdicts.judge(estimates, disturbed=max(self.view.disturbed, front.disturbed))


def find(views: Sequence[WorkloadView]) -> Iterator[WithLengths]:
    """Every workload with lengths of which something was timed."""
    fronts = {
        _without_padding(view.workload): view
        for view in views
        if view.workload.inputs.padding == "front"
    }
    for view in views:
        if view.workload.has_lengths and view.ranked:
            yield WithLengths(view, fronts.get(_without_padding(view.workload)))


def _without_padding(workload: Workload) -> Workload:
    """What a workload with lengths and its counterpart have in common."""
    inputs = dataclasses.replace(workload.inputs, padding="behind")
    return msgspec.structs.replace(workload, inputs=inputs, overridden=())

"""Workloads whose nets were trained until their target was reached. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from bench.analysis import cold_start, verdicts
from bench.analysis.workload_view import WorkloadView
from bench.records.schema import Learned, Lesson

MOST_LONGER = 1.5  # all updates of a training, in updates of its median stretch


@dataclass(frozen=True)
class Learning:
    """One workload whose nets learned."""

    view: WorkloadView
    lesson: Lesson

    @property
    def labels(self) -> list[str]:
        """Those that were trained and agree, in the order of their ranks."""
        return [label for label in self.view.order if label in self.view.ranked]

    def learned(self, label: str) -> Learned:
        """The training in its first process; the others start from the same parameters."""
        return self._all(label)[0]

    def _all(self, label: str) -> list[Learned]:
        processes = self.view.candidates[label].processes
        return [process.learned for process in processes if process.learned is not None]

    def update_seconds(self, label: str) -> float:
        """Seconds of all updates; the median of the processes."""
        return median(learned.seconds for learned in self._all(label))

    def disturbed(self, label: str) -> bool:
        """Whether its seconds say little: they are the sum of all updates, and no stretch can be
        made again.

        So where too many stretches were disturbed, and where the sum is so much larger than the
        median stretch says that a few of them must have been.
        """
        shares = (each.disturbed / max(1, len(each.scores) - 1) for each in self._all(label))
        return max(shares) > verdicts.MOST_DISTURBED or any(
            process.learned.seconds
            > MOST_LONGER * process.learned.updates * median(process.seconds)
            for process in self.view.candidates[label].processes
            if process.learned is not None and process.seconds
        )

    def cold_seconds(self, label: str) -> float:
        """Seconds before the first warm update."""
        return sum(cold_start.parts(self.view.candidates[label]))

    def seconds_to_target(self, label: str) -> float | None:
        """Cold start and updates; None if the target was not reached."""
        if not self.learned(label).reached:
            return None
        return self.cold_seconds(label) + self.update_seconds(label)

    def spelled(self) -> dict[int, dict[str, list[str]]]:
        """By updates, the text of the first sequence, and the labels that spell it."""
        found: dict[int, dict[str, list[str]]] = {}
        for label in self.labels:
            for scored in self.learned(label).scores:
                if scored.spelled:
                    found.setdefault(scored.updates, {}).setdefault(scored.spelled, []).append(
                        label
                    )
        return found


def find(views: Sequence[WorkloadView]) -> list[Learning]:
    """The workloads of the phase learn that have a number."""
    return [
        Learning(view, view.record.lesson)
        for view in views
        if view.record is not None and view.record.lesson is not None and view.ranked
    ]

"""What a run of the suite measures: its workloads, and the tests of each."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from bench.analysis import text
from bench.config import grid
from bench.config.data import known
from bench.config.options import Options, wrong_use
from bench.config.protocol import Settings
from bench.measurement.case import Case
from bench.records.workload import Workload


class Plan:
    """The workloads that the options select, and the tests of each."""

    def __init__(self, options: Options, settings: Settings) -> None:
        self.options, self.settings = options, settings
        started = datetime.now(UTC).strftime("%Y-%m-%d-%H%M%S")
        self.folder = options.resume or options.reports / (options.run or started)
        self.by_workload: dict[Workload, list[Case]] = {}  # the tests left after deselection
        self._workloads: list[Workload] | None = None
        self._cases: dict[tuple[str, str], Case] = {}

    def workloads(self) -> list[Workload]:
        """The selected workloads; raises pytest.UsageError if one cannot be made."""
        if self._workloads is None:
            try:
                together = 1 if self.options.serial else len(self.options.backends) + 1
                self._workloads = list(grid.workloads(self.options.request, together))
            except ValueError as error:
                raise wrong_use(error) from error
        return self._workloads

    @property
    def phases(self) -> set[str]:
        """Those that have a workload."""
        return {workload.phase for workload in self.workloads()}

    @property
    def data(self) -> list[str]:
        """What was read of the files of data, a line each."""
        requests = (self.options.request, *self.options.request.more)
        read = {(one.tasks[0], one.data): one.data for one in requests if one.data is not None}
        return [
            f"{'  ' if number else f'data of {task}: '}{text.plain(line)}"
            for (task, _), data in read.items()
            for number, line in enumerate(known.in_words(task, data))
        ]

    @property
    def left_out(self) -> list[str]:
        """The tasks that lack a size or phase which is asked for, in words."""
        return grid.left_out(self.options.request)

    def cases(self, phase: str) -> list[Case]:
        """The tests of a phase: each variant in each workload."""
        found = [
            Case(workload, variant)
            for workload in self.workloads()
            if workload.phase == phase
            for variant in self.options.backends
        ]
        self._cases |= {(phase, case.id): case for case in found}
        return found

    def case(self, phase: str, test_id: str) -> Case:
        return self._cases[phase, test_id]

    def settle(self, cases: Iterable[Case]) -> None:
        """Set the tests that are left after all deselection, grouped by workload."""
        for case in cases:
            self.by_workload.setdefault(case.workload, []).append(case)

    @property
    def all_cases(self) -> list[Case]:
        return [case for cases in self.by_workload.values() for case in cases]

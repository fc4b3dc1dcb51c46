"""One run of the suite: which tests share a cell, measuring it once, recording, reporting."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backends import registry
from bench import (
    __version__,
    grid,
    machine,
    provenance,
    race,
    record,
    remembered,
)
from bench.case import Case
from bench.entrant import Outcome, described
from bench.grid import Cell
from bench.interpreter import ROOT, Key, WorkerError
from bench.lab import Lab
from bench.local import LocalLab
from bench.options import Options
from bench.progress import Progress
from bench.race import CellRun, Settings
from bench.report.write import write_index, write_report


class Session:
    """What the plugin asks; made once the options are read."""

    def __init__(self, options: Options, settings: Settings, arguments: Sequence[str]) -> None:
        self.options = options
        self.settings = settings
        self.folder = options.reports / (
            options.run or datetime.now(UTC).strftime("%Y-%m-%d-%H%M%S")
        )
        self._arguments = arguments
        self._cells: list[Cell] | None = None
        self._cases: dict[tuple[str, str], Case] = {}
        self._plan: dict[Cell, list[Case]] = {}
        self._outcomes: dict[Case, Outcome] = {}
        self._lab: Lab | LocalLab | None = None
        self._progress: Progress | None = None
        self._recorded = False
        self._problems: dict[Key, str] = {}
        self._busy: float | None = None
        self._selftest = remembered.load() if settings.timed else None

    # Collection

    def cells(self) -> list[Cell]:
        """What was asked for; raises pytest.UsageError where a cell cannot be made."""
        if self._cells is None:
            try:
                self._cells = list(grid.cells(self.options.request))
            except ValueError as error:
                raise pytest.UsageError(str(error)) from error
        return self._cells

    def cases(self, phase: str) -> list[Case]:
        """The tests of a phase: every variant in every cell."""
        found = [
            Case(cell, variant)
            for cell in self.cells()
            if cell.phase == phase
            for variant in self.options.backends
        ]
        self._cases |= {(phase, case.id): case for case in found}
        return found

    def case(self, phase: str, test_id: str) -> Case:
        return self._cases[phase, test_id]

    def settle(self, cases: Iterable[Case]) -> None:
        """The tests that are left after all deselection: those of one cell are one race."""
        for case in cases:
            self._plan.setdefault(case.cell, []).append(case)

    @property
    def planned(self) -> dict[Cell, list[Case]]:
        return self._plan

    def open(self) -> None:
        """Before the first test: the folder can be written, what was named can be imported."""
        self._expect_something()
        if self.settings.timed:
            self._make_folder()
        self._progress = Progress()
        self._progress.total = len(self._plan)
        cores = machine.available_cores() if machine.pinning() else None
        timeout = self.options.timeout_seconds
        self._lab = LocalLab(timeout) if self.options.serial else Lab(cores, timeout)
        self._expect_devices()
        if self.options.named:
            self._expect_named()

    def _expect_something(self) -> None:
        """Not all that was asked for is refused."""
        refusals = [case.refusal() for cases in self._plan.values() for case in cases]
        reasons = dict.fromkeys(found[1] for found in refusals if found and found[0] == "refused")
        if reasons and all(found and found[0] == "refused" for found in refusals):
            raise pytest.UsageError(f"nothing of this can run: {'; '.join(reasons)}")

    def _expect_devices(self) -> None:
        """Every device asked for is one that at least one variant finds."""
        for device in {cell.device for cell in self._plan} - {"cpu"}:
            cases = {c.variant: c for c in self._runnable() if c.cell.device == device}
            reasons: list[str] = []
            for case in cases.values():
                reason = self._unavailable(case)
                if reason is None:
                    break
                reasons.append(reason[1])
            else:
                refused = {c.variant for c in self._planned_for(device)} - set(cases)
                reasons += [f"{', '.join(sorted(refused))} cannot use it"] if refused else []
                raise pytest.UsageError(
                    f"--device {device} is not to be had here: {'; '.join(reasons)}"
                )

    def _planned_for(self, device: str) -> Iterable[Case]:
        return (c for cases in self._plan.values() for c in cases if c.cell.device == device)

    def _expect_named(self) -> None:
        """Every variant asked for by name can be imported."""
        for case in {case.variant: case for case in self._runnable()}.values():
            problem = self._problem(case.key)
            if problem is not None:
                raise pytest.UsageError(problem)

    def _runnable(self) -> Iterable[Case]:
        return (case for cases in self._plan.values() for case in cases if not case.refusal())

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if self._file.exists():
                raise pytest.UsageError(
                    f"{self.folder} holds a run already; choose another --run-name"
                )
            probe = self.folder / ".probe"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise pytest.UsageError(
                f"the report folder {self.folder} cannot be written: {error.strerror}; "
                "choose another with --reports"
            ) from error

    @property
    def _file(self) -> Path:
        return self.folder / "measurements.jsonl"

    # Measuring

    def outcome(self, case: Case) -> Outcome:
        """Of one test; the first of a cell to ask has the whole cell measured."""
        if case not in self._outcomes:
            self._measure(case.cell)
        return self._outcomes[case]

    def _measure(self, cell: Cell) -> None:
        assert self._lab is not None
        assert self._progress is not None
        cases = self._plan[cell]
        self._progress.cell(cell.id)
        self._keep_needed(cell)
        outcomes: dict[str, Outcome] = {}
        beside: list[record.Measurement | record.Race] = []
        ready: list[Case] = []
        for case in cases:
            refusal = case.refusal() or self._unavailable(case)
            if refusal:
                status, reason = refusal
                outcomes[case.variant] = Outcome(
                    record.Measurement(
                        **described(cell), variant=case.variant, status=status, reason=reason
                    )
                )
            else:
                ready.append(case)
        if ready:
            raced, beside = self._race(cell, [case.variant for case in ready])
            outcomes |= raced
        self._outcomes |= {case: outcomes[case.variant] for case in cases}
        self._progress.done()
        if self.settings.timed:
            self._append([*(outcomes[case.variant].measurement for case in cases), *beside])

    def _race(
        self, cell: Cell, variants: list[str]
    ) -> tuple[dict[str, Outcome], list[record.Measurement | record.Race]]:
        """Measure the cell; what goes wrong outside any one variant fails all of them, once.

        Gives the outcomes of the variants, and what was measured beside them.
        """
        assert self._lab is not None
        assert self._progress is not None
        together = [[name] for name in variants] if self.settings.serial else [variants]
        try:
            outcomes: dict[str, Outcome] = {}
            beside: list[record.Measurement | record.Race] = []
            for names in together:
                run = CellRun(self._lab, cell, names, self.settings, self._progress.say)
                outcomes |= run.run()
                beside += run.beside() if self.settings.beside else []
            return outcomes, beside
        except Exception as error:
            reason = provenance.without_paths(registry.first_line(error))
            details = traceback.format_exc()
            failed = {
                name: record.Measurement(
                    **described(cell), variant=name, status="failed", reason=reason
                )
                for name in variants
            }
            return {name: Outcome(m, details) for name, m in failed.items()}, []

    def _unavailable(self, case: Case) -> tuple[record.Status, str] | None:
        """Start its interpreter: why the variant cannot be had there, or None."""
        assert self._lab is not None
        problem = self._problem(case.key)
        if problem is not None:
            return "skipped", problem
        devices = self._lab.get(case.key).started.devices
        if case.cell.device not in devices:
            found = ", ".join(devices) or "none"
            return "skipped", f"no {case.cell.device} for {case.variant} here; it finds {found}"
        return None

    def _problem(self, key: Key) -> str | None:
        """Why this interpreter cannot be had, asked once; None where it stands ready."""
        assert self._lab is not None
        assert self._progress is not None
        if key not in self._problems:
            try:
                self._lab.get(key, self._progress.say)
            except (registry.BrokenBackendError, WorkerError) as error:
                self._problems[key] = provenance.without_paths(str(error))
        return self._problems.get(key)

    def _keep_needed(self, cell: Cell) -> None:
        """End the interpreters that no cell from this one on asks for."""
        assert self._lab is not None
        open_cells = [c for c in self._plan if c == cell or self._plan[c][0] not in self._outcomes]
        needed = (race.keys(c, [case.variant for case in self._plan[c]]) for c in open_cells)
        self._lab.keep_only(set().union(*needed))

    # Records

    def _append(self, measurements: list[record.Measurement | record.Race]) -> None:
        try:
            if not self._recorded:
                record.append(self._file, [self._describe()])
                self._recorded = True
            record.append(self._file, measurements)
        except OSError as error:
            pytest.exit(
                f"{self._file} cannot be written: {error.strerror}; what was measured before is "
                f"kept there, and `rnnbench report {self.folder}` makes a report of it",
                returncode=1,
            )

    def _describe(self) -> record.Run:
        return record.Run(
            name=self.folder.name,
            started=datetime.now(UTC).isoformat(timespec="seconds"),
            command=provenance.command(self._arguments, ROOT),
            commit=provenance.commit(ROOT),
            project=__version__,
            machine=machine.describe(),
            threads=tuple(sorted({cell.threads for cell in self._plan})),
            cores_busy_before=self._busy,
            serial=self.settings.serial,
            offset=remembered.offset(self._selftest),
            selftest=self._selftest,
        )

    def watch(self) -> None:
        """How busy others keep this machine, before anything of ours runs."""
        try:
            self._busy = machine.cores_busy(0.5)
        except OSError:
            self._busy = None  # the report says that it is not known

    def close(self) -> Path | None:
        """End the workers and write the report; gives its path where one was written."""
        if self._lab is not None:
            self._lab.close()
        if self._progress is not None:
            self._progress.close()
        if not self._recorded:
            self._remove_empty_folder()
            return None
        try:
            report = write_report(self.folder)
            write_index(self.options.reports)
        except OSError as error:
            raise pytest.UsageError(
                f"the report of {self.folder} cannot be written: {error.strerror}; the "
                f"measurements are kept, and `rnnbench report {self.folder}` makes it from them"
            ) from error
        return report

    def _remove_empty_folder(self) -> None:
        made = self._lab is not None and self.settings.timed and self.folder.is_dir()
        if made and not any(self.folder.iterdir()):
            self.folder.rmdir()

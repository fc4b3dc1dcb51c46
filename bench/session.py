"""One run of the suite: its workers, progress, records and report."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backends import registry
from bench import ROOT, __version__
from bench.analysis import workload_view
from bench.analysis.workload_view import WorkloadView
from bench.measurement.candidate import Outcome
from bench.measurement.case import Case
from bench.measurement.estimate import plan_seconds
from bench.measurement.plan import Plan
from bench.measurement.worker_keys import worker_keys
from bench.measurement.workload_record import workload_record
from bench.measurement.workload_run import WorkloadRun
from bench.progress import Progress
from bench.records import machine, provenance, schema
from bench.records import store as records
from bench.records.workload import Workload
from bench.report.write import write_index, write_report
from bench.selftest import store as selftests
from bench.workers.in_process import InProcessPool
from bench.workers.pool import Pool, WorkerPool
from bench.workers.process import WorkerError, WorkerKey


class InterruptedRunError(pytest.exit.Exception):  # type: ignore[name-defined]
    """Ctrl-C while a run measures. It ends the session of pytest, which then makes the report."""

    def __init__(self) -> None:
        super().__init__("interrupted", returncode=pytest.ExitCode.INTERRUPTED)


INTERRUPTIONS = (KeyboardInterrupt, InterruptedRunError)


class SuiteRun:
    """The workers, progress and records of one run; created before its first test."""

    def __init__(self, plan: Plan, arguments: Sequence[str], *, of_rnnbench: bool = False) -> None:
        """`arguments` are those of pytest, or `of_rnnbench`: of `rnnbench run`.

        Raises pytest.UsageError if the folder cannot be written, or if a device or variant that
        was asked for by name is not available.
        """
        self._plan, self._settings, self._arguments = plan, plan.settings, arguments
        self._program = "rnnbench run" if of_rnnbench else "pytest"
        self._file = plan.folder / records.FILE
        self._busy = _cores_busy()  # before any worker starts
        _expect_something(plan)
        self._selftest = selftests.load() if self._settings.timed else None
        self._outcomes: dict[Case, Outcome] = {}
        self._problems: dict[WorkerKey, str] = {}
        self._recorded = False
        self._made: list[Path] = []  # folders, the innermost first
        if self._settings.timed:
            self._make_folder()
        expected = plan_seconds(plan.by_workload, self._settings)
        self._progress = Progress([*expected.values()])
        self._pool = self._make_pool()
        try:
            self._expect_devices()
            if plan.options.named:
                self._expect_named()
        except BaseException:
            self.close()
            raise

    def _make_pool(self) -> Pool:
        timeout = self._plan.options.timeout_seconds
        if self._plan.options.serial:
            return InProcessPool(timeout)
        return WorkerPool(machine.cores_to_pin(), timeout)

    def _make_folder(self) -> None:
        folder = self._plan.folder
        self._made = [folder] if folder.parent.exists() else [folder, folder.parent]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if self._file.exists():
                raise pytest.UsageError(f"{folder} holds a run already; choose another --run-name")
            probe = folder / ".probe"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise pytest.UsageError(
                f"the report folder {folder} cannot be written: {error.strerror}; "
                "choose another with --reports"
            ) from error

    def _expect_devices(self) -> None:
        """Raise unless at least one variant finds each requested device."""
        for device in {workload.device for workload in self._plan.by_workload} - {"cpu"}:
            planned = [case for case in self._plan.all_cases if case.workload.device == device]
            cases = {case.variant: case for case in planned if not case.refusal()}
            reasons: list[str] = []
            for case in cases.values():
                reason = self._unavailable(case)
                if reason is None:
                    break
                reasons.append(reason[1])
            else:
                refused = {case.variant for case in planned} - set(cases)
                reasons += [f"{', '.join(sorted(refused))} cannot use it"] if refused else []
                raise pytest.UsageError(
                    f"--device {device} is not available here: {'; '.join(reasons)}"
                )

    def _expect_named(self) -> None:
        """Raise unless every variant that was asked for by name can be imported."""
        runnable = (case for case in self._plan.all_cases if not case.refusal())
        for case in {case.variant: case for case in runnable}.values():
            problem = self._problem(case.key)
            if problem is not None:
                raise pytest.UsageError(problem)

    def outcome(self, case: Case) -> Outcome:
        """The outcome of one test; the first test of a workload measures the whole workload."""
        if case not in self._outcomes:
            self._measure(case.workload)
        return self._outcomes[case]

    def _measure(self, workload: Workload) -> None:
        cases = self._plan.by_workload[workload]
        self._progress.begin(workload.id)
        self._keep_needed(workload)
        outcomes: dict[str, Outcome] = {}
        beside: list[schema.Measurement | schema.WorkloadRecord] = []
        ready: list[str] = []
        for case in cases:
            refusal = case.refusal() or self._unavailable(case)
            if refusal:
                outcomes[case.variant] = _not_measured(case, *refusal)
            else:
                ready.append(case.variant)
        if ready:
            measured, beside = self._measure_ready(workload, ready)
            outcomes |= measured
        self._outcomes |= {case: outcomes[case.variant] for case in cases}
        self._progress.done()
        if self._settings.timed:
            self._append([*(outcomes[case.variant].measurement for case in cases), *beside])

    def _measure_ready(
        self, workload: Workload, variants: list[str]
    ) -> tuple[dict[str, Outcome], list[schema.Measurement | schema.WorkloadRecord]]:
        """Outcomes of the variants, and the records of the control, baseline and conditions.

        An error outside any single variant fails all of them.
        """
        settings = self._settings
        together = [[name] for name in variants] if settings.serial else [variants]
        outcomes: dict[str, Outcome] = {}
        beside: list[schema.Measurement | schema.WorkloadRecord] = []
        conditions: list[schema.ProcessConditions] = []
        lesson: schema.Lesson | None = None
        try:
            for names in together:
                run = WorkloadRun(self._pool, workload, names, settings, self._progress.report)
                outcomes |= run.run()
                beside += run.beside()
                conditions += run.conditions if settings.beside else []
                lesson = run.lesson
            if any(outcome.measurement.processes for outcome in outcomes.values()):
                beside.append(workload_record(workload, conditions, lesson))
            return outcomes, beside
        except Exception as error:
            reason = provenance.without_paths(registry.first_line(error))
            details = traceback.format_exc()
            cases = [Case(workload, name) for name in variants]
            return {
                case.variant: _not_measured(case, "failed", reason, details) for case in cases
            }, []

    def _unavailable(self, case: Case) -> tuple[schema.Status, str] | None:
        """Start its worker; return why the variant is not available there, or None."""
        problem = self._problem(case.key)
        if problem is not None:
            return "skipped", problem
        device, devices = case.workload.device, self._pool.get(case.key).started.devices
        if device not in devices:
            found = ", ".join(devices) or "none"
            return "skipped", f"{case.variant} finds no {device} here; it finds {found}"
        return None

    def _problem(self, key: WorkerKey) -> str | None:
        """Why this worker cannot start, remembered; None if it is ready."""
        if key not in self._problems:
            try:
                self._pool.get(key, self._progress.report)
            except (registry.BrokenBackendError, WorkerError) as error:
                self._problems[key] = provenance.without_paths(str(error))
        return self._problems.get(key)

    def _keep_needed(self, workload: Workload) -> None:
        """End the workers that neither this workload nor a later one needs."""
        needed: set[WorkerKey] = set()
        for other, cases in self._plan.by_workload.items():
            if other == workload or cases[0] not in self._outcomes:
                needed |= worker_keys(other, [case.variant for case in cases])
        self._pool.keep_only(needed)

    def _append(self, measured: list[schema.Measurement | schema.WorkloadRecord]) -> None:
        try:
            if not self._recorded:
                records.append(self._file, [self._describe()])
                self._recorded = True
            records.append(self._file, measured)
        except OSError as error:
            folder = self._plan.folder
            pytest.exit(
                f"{self._file} cannot be written: {error.strerror}; it keeps what was measured "
                f"before, and `rnnbench report {folder}` makes a report from it",
                returncode=1,
            )

    def _describe(self) -> schema.Run:
        return schema.Run(
            name=self._plan.folder.name,
            started=datetime.now(UTC).isoformat(timespec="seconds"),
            command=provenance.command(self._arguments, ROOT, self._program),
            commit=provenance.commit(ROOT),
            project=__version__,
            machine=machine.describe(),
            threads=tuple(sorted({workload.threads for workload in self._plan.by_workload})),
            cores_busy_before=self._busy,
            serial=self._settings.serial,
            between_process=selftests.between_process(self._selftest),
            selftest=self._selftest,
        )

    def records(self) -> tuple[schema.Run, list[schema.Measurement], list[WorkloadView]]:
        """The run, its measurements, and its workloads that have ended."""
        if self._recorded:
            run, measurements, of_workloads = records.read(self._file)
        else:
            run, of_workloads = self._describe(), []
            measurements = [outcome.measurement for outcome in self._outcomes.values()]
        return run, measurements, workload_view.views(run, measurements, of_workloads)

    @property
    def workloads_done(self) -> int:
        return len({case.workload for case in self._outcomes})

    def close(self) -> Path | None:
        """End the workers and write the report; return its path, or None without a report."""
        self._pool.close()
        self._progress.close()
        folder = self._plan.folder
        if not self._recorded:
            records.remove_if_empty(*self._made)
            return None
        try:
            report = write_report(folder)
            write_index(self._plan.options.reports)
        except OSError as error:
            raise pytest.UsageError(
                f"the report in {folder} cannot be written: {error.strerror}; the measurements "
                f"are kept, and `rnnbench report {folder}` makes it from them"
            ) from error
        return report


def _expect_something(plan: Plan) -> None:
    """Raise if every test is refused."""
    refusals = [case.refusal() for case in plan.all_cases]
    reasons = dict.fromkeys(found[1] for found in refusals if found and found[0] == "refused")
    if reasons and all(found and found[0] == "refused" for found in refusals):
        raise pytest.UsageError(f"nothing can run: {'; '.join(reasons)}")


def _cores_busy() -> float | None:
    """The background load in cores; None if the system does not count CPU time."""
    try:
        return machine.cores_busy(0.5)
    except OSError:
        return None


def _not_measured(case: Case, status: schema.Status, reason: str, details: str = "") -> Outcome:
    return Outcome(
        schema.Measurement(
            workload=case.workload, variant=case.variant, status=status, reason=reason
        ),
        details,
    )

"""One run of the suite: its workers, progress, records and report."""

from __future__ import annotations

import gc
import os
import traceback
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backends import registry
from bench import ROOT, __version__
from bench.analysis import workload_view
from bench.analysis.workload_view import WorkloadView
from bench.config.protocol import Settings
from bench.measurement.availability import Availability, expect_something
from bench.measurement.candidate import Outcome
from bench.measurement.case import Case
from bench.measurement.crashes import Crashes
from bench.measurement.estimate import plan_seconds
from bench.measurement.plan import Plan
from bench.measurement.resume import Resumed
from bench.measurement.run_records import RunRecords
from bench.measurement.worker_keys import worker_keys
from bench.measurement.workload_record import workload_record
from bench.measurement.workload_run import WorkloadRun
from bench.progress import Progress
from bench.records import machine, processor, provenance, schema, store
from bench.records.workload import Workload
from bench.report.write import write_index, write_report, write_summary
from bench.selftest import store as selftests
from bench.workers import core_locks
from bench.workers.in_process import InProcessPool
from bench.workers.pool import Pool, WorkerPool
from bench.workers.process import WorkerKey
from bench.workers.time_limits import RunTimeUpError, TimeLimits


class SuiteRun:
    """The workers, progress and records of one run; created before its first test."""

    def __init__(self, plan: Plan, arguments: Sequence[str], *, of_rnnbench: bool = False) -> None:
        """`arguments` are those of pytest, or `of_rnnbench`: of `rnnbench run`.

        Raises pytest.UsageError if the folder cannot be written, or if a device or variant that
        was asked for by name is not available.
        """
        self._plan, self._settings, self._arguments = plan, plan.settings, arguments
        self._program = "rnnbench run" if of_rnnbench else "pytest"
        expect_something(plan)
        self._selftest = selftests.load() if self._settings.timed else None
        self._outcomes: dict[Case, Outcome] = {}
        self._crashes, self._locks = Crashes(), ExitStack()
        self.faults: list[str] = []  # what went wrong beside the measurements, in words
        self._records: RunRecords | None = None  # None: nothing is timed
        self._expected = plan_seconds(plan.by_workload, self._settings)
        self._progress = Progress([*self._expected.values()])
        self._times = TimeLimits(plan.options.limits)
        self._pool = self._make_pool()
        self._availability = Availability(plan, self._pool, self._progress.report)
        try:
            self._lock_cores()
            self._times.begin_run()
            self._busy = _cores_busy()  # before any worker starts
            resumed = self._open_records()
            self._availability.expect_devices()
            self._availability.expect_named(resumed)
        except BaseException:
            self.close()
            raise

    def _make_pool(self) -> Pool:
        limits = self._plan.options.limits
        if self._plan.options.serial:
            return InProcessPool(limits.answer_seconds)
        return WorkerPool(machine.cores_to_pin(), limits.answer_seconds, times=self._times)

    def _lock_cores(self) -> None:
        """Take the cores of a timed run, or wait for them with --queue."""
        if not self._settings.timed or self._settings.serial:
            return
        there = machine.all_cores()
        counts = {workload.threads or len(there) for workload in self._plan.by_workload}
        cores = there[: max(counts)] if machine.pinning() else there

        def wait(holder: str) -> None:
            self._progress.note(f"{holder}: waiting for it (--queue)")

        name, queued = self._plan.folder.name, self._plan.options.queue
        try:
            self._locks.enter_context(core_locks.held(cores, name, wait if queued else None))
        except core_locks.CoresInUseError as error:
            raise pytest.UsageError(
                f"{error}; times that are taken side by side are wrong. Wait for it with --queue, "
                "use other cores (taskset -c), or take no times (--benchmark-disable)"
            ) from error
        except OSError as error:
            raise pytest.UsageError(core_locks.cannot_be_used(error)) from error

    def _open_records(self) -> Resumed:
        """The records of a timed run, and what is in them if it is resumed."""
        if not self._settings.timed:
            return Resumed()
        self._records = RunRecords(self._plan)
        resumed = self._records.resumed
        self._outcomes |= resumed.outcomes
        if self._plan.options.resume is not None:
            done, planned = self.workloads_done, len(self._plan.by_workload)
            self._progress.note(f"{self._records.folder} has {done} of {planned} workloads already")
            for damaged in resumed.damaged:
                self._progress.note(f"{registry.plain(damaged)}; it is measured again")
            left = {case.workload for case in self._plan.all_cases if case not in self._outcomes}
            self._progress.expect([s for w, s in self._expected.items() if w in left])
        return resumed

    def outcome(self, case: Case) -> Outcome:
        """The outcome of one test; the first test of a workload measures the whole workload."""
        if case not in self._outcomes:
            self._measure(case.workload)
        return self._outcomes[case]

    def _measure(self, workload: Workload) -> None:
        cases = self._plan.by_workload[workload]
        self._times.begin_workload()
        self._progress.begin(workload.id)
        self._keep_needed(workload)
        outcomes: dict[str, Outcome] = {}
        beside: list[schema.Measurement | schema.WorkloadRecord] = []
        ready: list[str] = []
        for case in cases:
            refusal = self._left_out(case) or case.refusal() or self._availability.unavailable(case)
            if refusal:
                outcomes[case.variant] = _not_measured(case, *refusal)
            else:
                ready.append(case.variant)
        if ready:
            measured, beside = self._measure_ready(workload, ready)
            outcomes |= measured
        self._progress.done()
        found = [outcomes[case.variant].measurement for case in cases]
        for measurement in found:
            self._crashes.count(measurement)
        if self._records is not None:
            self._records.append([*found, *beside], self._describe)
        # Kept once it is recorded, and without what the records alone hold.
        self._outcomes |= {case: outcomes[case.variant].light for case in cases}
        # Closures and models refer to each other and hold the times of single steps: so few objects
        # with so many floats that Python would not look for them before the run has ended.
        gc.collect()

    def _left_out(self, case: Case) -> tuple[schema.Status, str] | None:
        reason = self._crashes.left_out(case.variant)
        return ("skipped", reason) if reason is not None else None

    def _measure_ready(
        self, workload: Workload, variants: list[str]
    ) -> tuple[dict[str, Outcome], list[schema.Measurement | schema.WorkloadRecord]]:
        """Outcomes of the variants, and the records of the control, baseline and conditions.

        An error outside any single variant fails all of them.
        """
        settings = self._settings_of_workload()
        together = [[name] for name in variants] if settings.serial else [variants]
        outcomes: dict[str, Outcome] = {}
        beside: list[schema.Measurement | schema.WorkloadRecord] = []
        conditions: list[schema.ProcessConditions] = []
        lesson: schema.Lesson | None = None
        try:
            for names in together:
                run = WorkloadRun(
                    self._pool,
                    workload,
                    names,
                    settings,
                    self._progress.report,
                    selftests.between_process(self._selftest),
                )
                outcomes |= run.run()
                if run.processes.short:
                    self._progress.note(f"{workload.id}: {run.processes.short}")
                beside += run.beside()
                conditions += run.conditions if settings.beside else []
                lesson = run.lesson
            if any(outcome.measurement.processes for outcome in outcomes.values()):
                beside.append(workload_record(workload, conditions, lesson))
            return outcomes, beside
        except RunTimeUpError:
            raise
        except Exception as error:
            reason = provenance.without_paths(registry.first_line(error))
            details = traceback.format_exc()
            cases = [Case(workload, name) for name in variants]
            return {
                case.variant: _not_measured(case, "failed", reason, details) for case in cases
            }, []

    def _settings_of_workload(self) -> Settings:
        """Those of the next one: of the run's budget it has its share of what is left."""
        budget = self._settings.budget
        if budget is None:
            return self._settings
        left = len(self._plan.by_workload) - self.workloads_done
        share = max(0.0, budget - self._times.run_seconds()) / left
        return replace(self._settings, budget=share)

    def _keep_needed(self, workload: Workload) -> None:
        """End the workers that neither this workload nor a later one needs."""
        needed: set[WorkerKey] = set()
        for other, cases in self._plan.by_workload.items():
            if other == workload or cases[0] not in self._outcomes:
                needed |= worker_keys(other, [case.variant for case in cases])
        self._pool.keep_only(needed)

    def _describe(self) -> schema.Run:
        return schema.Run(
            name=self._plan.folder.name,
            started=datetime.now(UTC).isoformat(timespec="seconds"),
            command=provenance.command(self._arguments, ROOT, self._program),
            commit=provenance.commit(ROOT),
            project=__version__,
            machine=machine.describe(),
            bfloat16=processor.bfloat16(),
            threads=tuple(sorted({workload.threads for workload in self._plan.by_workload})),
            cores_busy_before=self._busy,
            serial=self._settings.serial,
            environment=provenance.environment(os.environ),
            memory_limit=self._memory_limit(),
            node=provenance.node(os.environ),
            between_process=selftests.between_process(self._selftest),
            selftest=self._selftest,
        )

    def records(self) -> tuple[schema.Run, list[schema.Measurement], list[WorkloadView]]:
        """The run, its measurements, and its workloads that have ended."""
        if self._records is not None and self._records.exist:
            run, measurements, of_workloads = store.read(self._records.folder / store.FILE)
        else:
            run, of_workloads = self._describe(), []
            measurements = [outcome.measurement for outcome in self._outcomes.values()]
        return run, measurements, workload_view.views(run, measurements, of_workloads)

    def _memory_limit(self) -> str:
        """ "4.0 GiB a worker, by a cgroup"; empty without a limit."""
        count, how = self._plan.options.limits.memory_bytes, self._pool.memory_limited
        return f"{count / 2**30:.1f} GiB a worker, by {how}" if count is not None and how else ""

    @property
    def workloads_done(self) -> int:
        return len({case.workload for case in self._outcomes})

    def close(self) -> Path | None:
        """End the workers and write the report; return its path, or None without a report."""
        with self._locks:  # until the report is made: it would disturb the next run
            self._pool.close()
            self._progress.close()
            if self._records is None:
                return None
            self._records.close()
            return self._report(self._records.folder) if self._records.exist else None

    def _report(self, folder: Path) -> Path | None:
        try:
            report = write_report(folder)
            write_summary(folder, len(self._plan.by_workload))
            write_index(folder.parent)
        except OSError as error:
            self.faults.append(
                f"the report in {folder} cannot be written: {error.strerror}; the measurements "
                f"are kept, and `rnnbench report {folder}` makes it from them"
            )
            return None
        return report


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

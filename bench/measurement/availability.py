"""Which variants of a run can be measured here, as their workers show."""

from __future__ import annotations

import pytest

from backends import registry
from bench.measurement.case import Case
from bench.measurement.plan import Plan
from bench.measurement.resume import NotResumableError, Resumed
from bench.records import provenance, schema
from bench.workers.pool import Pool, Progress
from bench.workers.process import WorkerError, WorkerKey, WorkloadTimeUpError


def expect_something(plan: Plan) -> None:
    """Raise pytest.UsageError if every test is refused."""
    refusals = [case.refusal() for case in plan.all_cases]
    reasons = dict.fromkeys(found[1] for found in refusals if found and found[0] == "refused")
    if reasons and all(found and found[0] == "refused" for found in refusals):
        raise pytest.UsageError(f"nothing can run: {'; '.join(reasons)}")


class Availability:
    """Starts workers, and keeps why one cannot start."""

    def __init__(self, plan: Plan, pool: Pool, progress: Progress) -> None:
        self._plan, self._pool, self._progress = plan, pool, progress
        self._problems: dict[WorkerKey, str] = {}

    def expect_devices(self) -> None:
        """Raise pytest.UsageError unless some variant finds each requested device."""
        for device in {workload.device for workload in self._plan.by_workload} - {"cpu"}:
            planned = [case for case in self._plan.all_cases if case.workload.device == device]
            cases = {case.variant: case for case in planned if not case.refusal()}
            reasons: list[str] = []
            for case in cases.values():
                reason = self.unavailable(case)
                if reason is None:
                    break
                reasons.append(reason[1])
            else:
                refused = {case.variant for case in planned} - set(cases)
                reasons += [f"{', '.join(sorted(refused))} cannot use it"] if refused else []
                raise pytest.UsageError(
                    f"--device {device} is not available here: {'; '.join(reasons)}"
                )

    def expect_named(self, resumed: Resumed) -> None:
        """Raise pytest.UsageError unless every variant that was asked for by name can be imported.

        Of a run that is resumed, each must have the versions with which it was measured.
        """
        if not (self._plan.options.named or resumed.versions):
            return
        left = (case for case in self._plan.all_cases if case not in resumed.outcomes)
        runnable = (case for case in left if not case.refusal())
        for case in {case.variant: case for case in runnable}.values():
            problem = self._problem(case.key)
            if problem is not None:
                if self._plan.options.named:
                    raise pytest.UsageError(problem)
                continue
            try:
                resumed.expect_versions(case.variant, self._pool.get(case.key).started.versions)
            except NotResumableError as error:
                raise pytest.UsageError(
                    f"{self._plan.folder} cannot be resumed: {error}"
                ) from error

    def unavailable(self, case: Case) -> tuple[schema.Status, str] | None:
        """Start its worker; return why the variant is not available there, or None."""
        try:
            problem = self._problem(case.key)
        except WorkloadTimeUpError as error:  # another workload may leave it more time
            return error.status, str(error)
        if problem is not None:
            return "skipped", problem
        device, devices = case.workload.device, self._pool.get(case.key).started.devices
        if device not in devices:
            found = ", ".join(devices) or "none"
            return "skipped", f"{case.variant} finds no {device} here; it finds {found}"
        return None

    def _problem(self, key: WorkerKey) -> str | None:
        """Why this worker cannot start, kept for later; None if it is ready."""
        if key not in self._problems:
            try:
                self._pool.get(key, self._progress)
            except WorkloadTimeUpError:
                raise
            except (registry.BrokenBackendError, WorkerError) as error:
                words = f"{error.status}: {error}" if isinstance(error, WorkerError) else str(error)
                self._problems[key] = provenance.without_paths(words)
        return self._problems.get(key)

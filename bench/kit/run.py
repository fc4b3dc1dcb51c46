"""Runs the checks of one variant in order: all of them, unless it is stopped."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from itertools import cycle
from time import monotonic

import numpy as np

from backends import registry
from bench.kit import published, timed
from bench.kit.building import BuildingClock
from bench.kit.case import CaseSpec
from bench.kit.conditioning import pair_of_cases
from bench.kit.examine import ADAM, SGD, asked_model, examine, examine_training
from bench.kit.findings import Failure, Findings
from bench.kit.models import Asked, Models
from bench.kit.plan import (
    CONTRACT,
    PHASES_AGREE,
    PUBLISHED,
    ROWS,
    SHORT,
    STREAMS,
    TIMED,
    TRAINING,
    Plan,
)
from bench.kit.rows import examine_rows
from bench.kit.shrink import shrunk
from bench.kit.streams import examine_streams
from bench.kit.subject import Subject, refusal
from bench.records.schema import Agreement
from bench.records.workload import Workload
from bench.workers.pool import Progress, silent
from bench.workers.process import WorkerError

DIGITS = ("float64", "float32")  # those that have the four digits of the published table
FAULTS = (WorkerError, registry.BrokenBackendError)

Examine = Callable[[CaseSpec], list[Agreement]]


class Kit:
    """Checks one subject; `run` is the whole of it."""

    def __init__(
        self,
        subject: Subject,
        plan: Plan = SHORT,
        threads: int = 1,
        progress: Progress = silent,
    ) -> None:
        self.subject = self._clock = BuildingClock(subject)
        self.plan, self.progress = plan, progress
        self.findings = Findings(subject.name, subject.device, plan.seed)
        self._models = Models(self.subject, plan, self.findings)
        self._left: deque[Asked] = deque()  # models for forward and bptt
        self._fixed: list[Asked] = []
        self._threads = threads
        self._begin = monotonic()

    def run(self) -> Findings:
        """Run all checks. The faults of the variant are in the findings; nothing is raised."""
        try:
            self._run()
        except FAULTS as error:  # in a pure member, which every check calls
            self._raised(CONTRACT, "", error)
        except KeyboardInterrupt:
            self.findings.interrupted = True
        for _, dtype in self._left:
            self.findings.line(PHASES_AGREE, dtype).unasked += 1
        compared = [asked for asked in self._fixed if asked not in self._left]
        self.findings.pairs = self._models.pairs(compared)
        self.findings.seconds = monotonic() - self._begin
        self.findings.building_seconds = self._clock.seconds
        return self.findings

    def _run(self) -> None:
        dtypes = [d for d in self.plan.dtypes if self._models.takes_any(d) and self._starts(d)]
        for dtype in dtypes:
            self._published(dtype)
        self._fixed = self._models.fixed(dtypes)
        self._agree(self._fixed)
        self._rows(self._models.with_rows(self._fixed))
        self._streams(self._models.with_streams(self._fixed))
        for dtype in dtypes:
            self._trained(dtype)
        if self.plan.timed and dtypes:
            self._timed(dtypes[-1])
        if not self._stopped():
            self._agree(self._models.random(dtypes))

    def _stopped(self) -> bool:
        """Whether the first failure ends the check, and there is one."""
        return self.plan.stop_at_first and bool(self.findings.failures)

    def _over(self) -> bool:
        """Whether the check is stopped, or its time is used up."""
        return self._stopped() or monotonic() - self._begin > self.plan.seconds

    # What the variant reports about itself

    def _starts(self, dtype: str) -> bool:
        self.progress(f"starting {self.subject.name} for {dtype}")
        line = self.findings.line(CONTRACT, dtype)
        line.models += 1
        try:
            versions, devices = self.subject.about(dtype)
        except FAULTS as error:
            self._raised(CONTRACT, dtype, error)
            return False
        self.findings.versions = versions
        if not versions or not all(versions.values()):
            self._wrong(CONTRACT, dtype, f"versions() returns {versions}; expected at least one")
        if self.subject.device not in devices:
            found = ", ".join(devices) or "nothing"
            message = f"devices() returns {found}; expected {self.subject.device} among them"
            self._wrong(CONTRACT, dtype, message)
        return True

    # What the variant computes

    def _published(self, dtype: str) -> None:
        """The Lab-11-1 note's table, to the four digits that it prints."""
        spec = published.SPEC
        if spec.cell not in self.plan.cells or dtype not in DIGITS:
            return
        if refusal(self.subject, spec, dtype, "forward") is not None:
            return
        line = self.findings.line(PUBLISHED, dtype)
        line.models += 1
        try:
            model = asked_model(self.subject, dtype)
            model.build(published.inputs())
            _, tensors = model.call("forward")
            path = model.ask("about")["path"]
            model.ask("release")
        except FAULTS as error:
            self._raised(PUBLISHED, dtype, error)
            return
        line.tensors += 1
        wrong = published.difference(tensors.get("outputs", np.empty(0)))
        if wrong is not None:
            self._wrong(PUBLISHED, dtype, wrong)
        if path in ("", "None"):
            self._wrong(CONTRACT, dtype, "path() is empty; expected a description of what ran")
        self.findings.paths[dtype] = path

    def _agree(self, models: Iterable[Asked]) -> None:
        """Compare forward and bptt on each model; those that are not reached stay in `_left`.

        One model per dtype is always compared, because without a comparison nothing has passed.
        """
        self._left.extend(models)
        while self._left:
            case, dtype = self._left[0]
            line = self.findings.line(PHASES_AGREE, dtype)
            if line.models and self._over():
                return
            self.progress(f"{PHASES_AGREE}, {dtype}: model {line.models + 1}")
            self._examined(PHASES_AGREE, dtype, case, partial(self._examine, dtype))
            self._left.popleft()

    def _examine(self, dtype: str, case: CaseSpec) -> list[Agreement]:
        return examine(self.subject, case, dtype, self._models.phases(case, dtype))

    def _rows(self, models: Iterable[Asked]) -> None:
        for case, dtype in models:
            if self._over():
                self.findings.line(ROWS, dtype).unasked += 1
                continue
            self.progress(f"{ROWS}, {dtype}: {case.spec.cell}")
            rows = partial(examine_rows, self.subject, dtype=dtype)
            self._examined(ROWS, dtype, case, rows)

    def _streams(self, models: Iterable[Asked]) -> None:
        for case, dtype in models:
            if self._over():
                self.findings.line(STREAMS, dtype).unasked += 1
                continue
            self.progress(f"{STREAMS}, {dtype}: {case.spec.cell}")
            advance = partial(examine_streams, self.subject, dtype=dtype)
            self._examined(STREAMS, dtype, case, advance)

    def _trained(self, dtype: str) -> None:
        """Train with Adam (with the declared eps placement) and SGD, in turn over the cells.

        Then the same with the state carried on, if it offers that.
        """
        for stateful in (False, True):
            self._trained_in_turn(dtype, stateful)

    def _trained_in_turn(self, dtype: str, stateful: bool) -> None:
        optimizers, models = cycle((ADAM, SGD)), self._models.training(dtype, stateful=stateful)
        for optimizer, case in zip(optimizers, models, strict=False):
            if self._over():
                self.findings.line(TRAINING, dtype).unasked += 1
                continue
            self.progress(f"{TRAINING}, {dtype}: {optimizer.name}")
            about = self.subject, dtype, optimizer
            train = partial(examine_training, *about, stateful=stateful)
            self._examined(TRAINING, dtype, case, train)

    def _timed(self, dtype: str) -> None:
        """Run the checks around a timed workload in each phase, with one cell."""
        for cell in self.plan.cells:
            workloads = timed.workloads(self.subject, cell, dtype, self._threads)
            for workload in workloads:
                if self._over():
                    self.findings.line(TIMED, dtype).unasked += 1
                    continue
                self.progress(f"{TIMED}: {workload.id}")
                self._timed_workload(workload)
            if workloads:
                return

    def _timed_workload(self, workload: Workload) -> None:
        dtype = workload.dtype
        self.findings.line(TIMED, dtype).models += 1
        try:
            found, skipped = timed.run(self.subject, workload, self.plan.seed)
        except FAULTS as error:
            self._raised(TIMED, dtype, error)
            return
        for each in found:
            self.findings.add(TIMED, dtype, each)
        failures = [f for each in found for f in each.failures] + ([skipped] if skipped else [])
        if failures:
            self._wrong(TIMED, dtype, f"{workload.id}: {failures[0]}", "\n".join(failures[1:]))

    # Failures

    def _wrong(self, check: str, dtype: str, message: str, details: str = "") -> None:
        self.findings.fail(Failure(check, dtype, message, details=details))

    def _raised(self, check: str, dtype: str, error: Exception) -> None:
        self._wrong(check, dtype, str(error), getattr(error, "details", ""))

    def _examined(self, check: str, dtype: str, case: CaseSpec, ask: Examine) -> None:
        """Count the comparisons; keep a failure with the smallest case that shows it."""
        found, failure = _outcome(ask, case)
        self.findings.line(check, dtype).models += 1
        for each in found:
            self.findings.add(check, dtype, each)
        if failure is None:
            return
        if not self.plan.stop_at_first and not any(f.case for f in self.findings.failures):
            self.progress(f"{failure[0]}: searching for the smallest model that shows it")
            case = self._smallest(dtype, case, ask)
            failure = _outcome(ask, case)[1] or failure
        message, details = failure
        self.findings.fail(Failure(check, dtype, message, case, details))

    def _smallest(self, dtype: str, case: CaseSpec, ask: Examine) -> CaseSpec:
        taken = self._models.phases(case, dtype)
        raises = not _outcome(ask, case)[0]

        def fails(candidate: CaseSpec) -> bool:
            if self._models.phases(candidate, dtype) != taken:
                return False
            if isinstance(pair_of_cases(candidate, dtype), str):
                return False
            found, failure = _outcome(ask, candidate)
            return failure is not None and raises == (not found)

        return shrunk(case, fails, self.plan.shrink_seconds)


def _outcome(ask: Examine, case: CaseSpec) -> tuple[list[Agreement], tuple[str, str] | None]:
    """The comparisons, and the first failure with its details if there is one."""
    try:
        found = ask(case)
    except FAULTS as error:
        return [], (str(error), getattr(error, "details", ""))
    failures = [failure for each in found for failure in each.failures]
    return found, (failures[0], "\n".join(failures[1:])) if failures else None

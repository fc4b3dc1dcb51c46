"""Runs the checks of one variant in order, until they are done or the time is up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import cycle
from time import monotonic

import numpy as np

from backends import registry
from backends.interface import PHASES
from bench.kit import published, timed
from bench.kit.case import CaseSpec
from bench.kit.conditioning import pair_of_cases, reference_case
from bench.kit.examine import ADAM, SGD, asked_model, examine, examine_training
from bench.kit.findings import Failure, Findings
from bench.kit.fixed_cases import fixed_cases, training_cases
from bench.kit.plan import (
    CONTRACT,
    DTYPES,
    PHASES_AGREE,
    PUBLISHED,
    SHORT,
    TIMED,
    TRAINING,
    Plan,
)
from bench.kit.shrink import nearest, shrunk
from bench.kit.strategy import random_cases
from bench.kit.subject import Subject, phases, refusal
from bench.records.schema import Agreement
from bench.records.workload import Workload
from bench.workers.pool import Progress, silent
from bench.workers.process import WorkerError

FAULTS = (WorkerError, registry.BrokenBackendError)

FIXED_SHARE = 0.45  # of the time goes to fixed cases first; what is left of them comes later

Asked = tuple[CaseSpec, str]  # a case and its dtype
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
        self.subject, self.plan, self.progress = subject, plan, progress
        self.findings = Findings(subject.name, subject.device, plan.seed)
        self._threads = threads
        self._begin = monotonic()

    def run(self) -> Findings:
        """Run all checks. The faults of the variant are in the findings; nothing is raised."""
        try:
            dtypes = [dtype for dtype in DTYPES if self._takes_any(dtype) and self._starts(dtype)]
            for dtype in dtypes:
                self._published(dtype)
            rest = self._models(list(self._fixed(dtypes)), FIXED_SHARE)
            for dtype in dtypes:
                self._trained(dtype)
            if self.plan.timed and dtypes:
                self._timed(dtypes[-1])
            for _, dtype in self._models(rest):
                self.findings.line(PHASES_AGREE, dtype).unasked += 1
            self._random(dtypes)
        except FAULTS as error:  # in a pure member, which every check calls
            self._raised(CONTRACT, "", error)
        self.findings.seconds = monotonic() - self._begin
        return self.findings

    def _over(self, share: float = 1.0) -> bool:
        """Whether that share of the time is used up."""
        stopped = self.plan.stop_at_first and bool(self.findings.failures)
        return stopped or monotonic() - self._begin > share * self.plan.seconds

    # What the variant reports about itself

    def _takes_any(self, dtype: str) -> bool:
        """Whether it computes anything in this dtype; records its refusals."""
        taken: dict[str, bool] = {}
        for case in fixed_cases(self.plan.seed, self.plan.cells):
            self._keep_refusals(case, dtype)
            cell = case.spec.cell
            if cell not in taken:
                taken[cell] = self._fitted(case, dtype, "forward", "bptt") is not None
        return any(taken.values()) or next(self._training_cases(dtype), None) is not None

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

    def _phases(self, case: CaseSpec, dtype: str) -> tuple[str, ...]:
        return phases(self.subject, case.spec, dtype)

    def _fitted(self, case: CaseSpec, dtype: str, *needs: str) -> CaseSpec | None:
        """The case, or the nearest one that it takes for a phase of `needs`; records refusals."""
        self._keep_refusals(case, dtype)

        def taken(case: CaseSpec) -> bool:
            return any(refusal(self.subject, case.spec, dtype, phase) is None for phase in needs)

        return nearest(case, taken)

    def _keep_refusals(self, case: CaseSpec, dtype: str) -> None:
        for phase in PHASES:
            reason = refusal(self.subject, case.spec, dtype, phase)
            if reason is not None:
                self.findings.refuse(reason, case.spec.cell, dtype, phase)

    # What the variant computes

    def _published(self, dtype: str) -> None:
        """The Lab-11-1 note's table, to the four digits that it prints."""
        spec = published.SPEC
        if spec.cell not in self.plan.cells:
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

    def _fixed(self, dtypes: Sequence[str]) -> Iterator[Asked]:
        """The fixed cases, or the nearest ones that the variant takes."""
        for case in fixed_cases(self.plan.seed, self.plan.cells):
            for dtype in dtypes:
                fitted = self._fitted(case, dtype, "forward", "bptt")
                if fitted is not None and self._telling(fitted, dtype):
                    yield fitted, dtype

    def _telling(self, case: CaseSpec, dtype: str) -> bool:
        """Whether the case is well-conditioned; counts those that are not."""
        why = pair_of_cases(case, dtype)
        if isinstance(why, str):
            self.findings.dropped[why] += 1
        return not isinstance(why, str)

    def _models(self, models: Sequence[Asked], share: float = 1.0) -> Sequence[Asked]:
        """Compare forward and bptt on each model; return those that the time did not allow.

        One model per dtype is always compared, because without a comparison nothing has passed.
        """
        for number, (case, dtype) in enumerate(models):
            line = self.findings.line(PHASES_AGREE, dtype)
            if line.models and self._over(share):
                return models[number:]
            self.progress(f"{PHASES_AGREE}, {dtype}: model {line.models + 1}")
            self._examined(PHASES_AGREE, dtype, case, partial(self._examine, dtype))
        return []

    def _random(self, dtypes: Sequence[str]) -> None:
        """Compare `plan.models` random models per dtype, with the dtypes in turn."""
        left = dict.fromkeys(dtypes, self.plan.models)
        for case in random_cases(self.plan.seed, 4 * self.plan.models, self.plan.cells):
            for dtype in dtypes:
                if not left[dtype] or self._over():
                    continue
                fitted = self._fitted(case, dtype, "forward", "bptt")
                if fitted is not None and self._telling(fitted, dtype):
                    left[dtype] -= 1
                    self._models([(fitted, dtype)])
        for dtype in dtypes if self._over() else ():
            self.findings.line(PHASES_AGREE, dtype).unasked += left[dtype]

    def _examine(self, dtype: str, case: CaseSpec) -> list[Agreement]:
        return examine(self.subject, case, dtype, self._phases(case, dtype))

    def _trained(self, dtype: str) -> None:
        """Train with Adam (with the declared eps placement) and SGD, in turn over the cells."""
        optimizers = cycle((ADAM, SGD))
        for optimizer, case in zip(optimizers, self._training_cases(dtype), strict=False):
            if self._over():
                self.findings.line(TRAINING, dtype).unasked += 1
                continue
            self.progress(f"{TRAINING}, {dtype}: {optimizer.name}")
            train = partial(examine_training, self.subject, dtype, optimizer)
            self._examined(TRAINING, dtype, case, train)

    def _training_cases(self, dtype: str) -> Iterator[CaseSpec]:
        """One model per cell that it can train; a single one twice, so that both optimizers run."""
        found = []
        for case in training_cases(self.plan.seed, self.plan.cells):
            fitted = self._fitted(case, dtype, "train_step")
            if fitted is not None and not isinstance(reference_case(fitted, dtype), str):
                found.append(fitted)
                yield fitted
        yield from found if len(found) == 1 else ()

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
        self.findings.line(check, dtype).models += 1
        found, failure = _outcome(ask, case)
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
        taken = self._phases(case, dtype)
        raises = not _outcome(ask, case)[0]

        def fails(candidate: CaseSpec) -> bool:
            if self._phases(candidate, dtype) != taken:
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

"""The checks of one variant, in order, until they are done or the time is up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from time import monotonic

import numpy as np

from backends import registry
from bench import record
from bench.check import published, timed
from bench.check.condition import known, pair
from bench.check.corners import corners, trainable
from bench.check.examine import ADAM, SGD, build, examine, examine_training, offered
from bench.check.example import Example
from bench.check.report import Failure, Report
from bench.check.shrink import nearest, shrunk
from bench.check.strategy import listed
from bench.check.subject import Subject
from bench.interpreter import WorkerError
from bench.wire import unpack
from tasks.spec import CELLS

DTYPES = ("float64", "float32")  # float32 last: it is what is timed
CONTRACT, PUBLISHED, DRAWN = "contract", "published outputs", "forward and bptt"
TRAINING, TIMED = "training, 50 updates", "around timed steps"
CHECKS = (CONTRACT, PUBLISHED, DRAWN, TRAINING, TIMED)
FAULTS = (WorkerError, registry.BrokenBackendError)

ALWAYS_SHARE = 0.45  # of the time, at first: the other checks come before the rest of them

Asked = tuple[Example, str]  # and its dtype
Say = Callable[[str], None]
Examine = Callable[[Example], list[record.Agreement]]


@dataclass(frozen=True)
class Plan:
    """How much is asked. What the time does not reach is counted as not checked."""

    seed: int = 0
    cells: Sequence[str] = CELLS
    models: int = 16  # drawn, a dtype; the corners come on top
    seconds: float = 60.0  # after which no further check is begun
    shrink_seconds: float = 15.0
    timed: bool = True
    stop_at_first: bool = False  # a failure ends the check, and is not shrunk


SHORT = Plan()
LONG = Plan(models=400, seconds=1800.0, shrink_seconds=300.0)


class Kit:
    """Checks one subject; `run` is the whole of it."""

    def __init__(
        self, subject: Subject, plan: Plan = SHORT, threads: int = 1, say: Say = lambda _: None
    ) -> None:
        self.subject, self.plan, self.say = subject, plan, say
        self.report = Report(subject.name, subject.device, plan.seed)
        self._threads = threads
        self._begin = monotonic()

    def run(self) -> Report:
        """Everything. What the variant does wrong is in the report; nothing is raised."""
        try:
            dtypes = [dtype for dtype in DTYPES if self._takes_any(dtype) and self._starts(dtype)]
            for dtype in dtypes:
                self._published(dtype)
            rest = self._models(list(self._always(dtypes)), ALWAYS_SHARE)
            for dtype in dtypes:
                self._trained(dtype)
            if self.plan.timed and dtypes:
                self._timed(dtypes[-1])
            for _, dtype in self._models(rest):
                self.report.line(DRAWN, dtype).unasked += 1
            self._drawn(dtypes)
        except FAULTS as error:  # of a member that is asked all along
            self._raised(CONTRACT, "", error)
        self.report.seconds = monotonic() - self._begin
        return self.report

    def _over(self, share: float = 1.0) -> bool:
        """Is that share of the time used up?"""
        stopped = self.plan.stop_at_first and bool(self.report.failures)
        return stopped or monotonic() - self._begin > share * self.plan.seconds

    # What it says of itself

    def _takes_any(self, dtype: str) -> bool:
        """Does it compute anything in this dtype? Its refusals are kept."""
        taken: dict[str, bool] = {}
        for example in corners(self.plan.seed, self.plan.cells):
            self._keep_refusals(example, dtype)
            cell = example.spec.cell
            if cell not in taken:
                taken[cell] = self._fitted(example, dtype) is not None
        return any(taken.values()) or next(self._trainable(dtype), None) is not None

    def _starts(self, dtype: str) -> bool:
        self.say(f"starting {self.subject.name} for {dtype}")
        line = self.report.line(CONTRACT, dtype)
        line.models += 1
        try:
            versions, devices = self.subject.about(dtype)
        except FAULTS as error:
            self._raised(CONTRACT, dtype, error)
            return False
        self.report.versions = versions
        if not versions or not all(versions.values()):
            self._wrong(CONTRACT, dtype, f"versions() gives {versions}; expected at least one")
        if self.subject.device not in devices:
            found = ", ".join(devices) or "nothing"
            message = f"devices() gives {found}; expected {self.subject.device} to be among them"
            self._wrong(CONTRACT, dtype, message)
        return True

    def _phases(self, example: Example, dtype: str) -> tuple[str, ...]:
        reasons = offered(self.subject, example.spec, dtype)
        return tuple(phase for phase, reason in reasons.items() if reason is None)

    def _fitted(self, example: Example, dtype: str, needs: str = "") -> Example | None:
        """The example, or the nearest one of which it computes something; refusals are kept."""
        self._keep_refusals(example, dtype)
        phases = (needs,) if needs else ("forward", "bptt")

        def taken(example: Example) -> bool:
            return any(self._refusal(example, dtype, phase) is None for phase in phases)

        return nearest(example, taken)

    def _refusal(self, example: Example, dtype: str, phase: str) -> str | None:
        options = {"device": self.subject.device, "dtype": dtype, "phase": phase}
        reason: str | None = self.subject.consult("refusal", example.spec, **options)
        return reason

    def _keep_refusals(self, example: Example, dtype: str) -> None:
        for phase, reason in offered(self.subject, example.spec, dtype).items():
            if reason is not None:
                self.report.refuse(reason, example.spec.cell, dtype, phase)

    # What it computes

    def _published(self, dtype: str) -> None:
        """The Lab-11-1 note's table, to the four digits that it prints."""
        spec = published.SPEC
        if spec.cell not in self.plan.cells:
            return
        if offered(self.subject, spec, dtype)["forward"] is not None:
            return
        line = self.report.line(PUBLISHED, dtype)
        line.models += 1
        try:
            build(self.subject, spec, published.PARAMS, published.batch(), dtype)
            _, packed = self.subject.ask(dtype, "answer", phase="forward")
            path = self.subject.ask(dtype, "about")["path"]
            self.subject.ask(dtype, "release")
        except FAULTS as error:
            self._raised(PUBLISHED, dtype, error)
            return
        line.tensors += 1
        wrong = published.difference(unpack(packed).get("outputs", np.empty(0)))
        if wrong is not None:
            self._wrong(PUBLISHED, dtype, wrong)
        if path in ("", "None"):
            self._wrong(CONTRACT, dtype, "path() says nothing; expected what really ran, in words")
        self.report.paths[dtype] = path

    def _always(self, dtypes: Sequence[str]) -> Iterator[Asked]:
        """The corners, as far as they are taken."""
        for example in corners(self.plan.seed, self.plan.cells):
            for dtype in dtypes:
                fitted = self._fitted(example, dtype)
                if fitted is not None and self._telling(fitted, dtype):
                    yield fitted, dtype

    def _telling(self, example: Example, dtype: str) -> bool:
        """Can it tell right from wrong? Those that cannot are counted."""
        why = pair(example, dtype)
        if isinstance(why, str):
            self.report.dropped[why] += 1
        return not isinstance(why, str)

    def _models(self, models: Sequence[Asked], share: float = 1.0) -> Sequence[Asked]:
        """Each for all that forward and bptt give; those that the time did not reach are left.

        One a dtype is asked in any case: what was not compared has not passed.
        """
        for number, (example, dtype) in enumerate(models):
            line = self.report.line(DRAWN, dtype)
            if line.models and self._over(share):
                return models[number:]
            self.say(f"{DRAWN}, {dtype}: model {line.models + 1}")
            self._examined(DRAWN, dtype, example, partial(self._examine, dtype))
        return []

    def _drawn(self, dtypes: Sequence[str]) -> None:
        """`plan.models` in each dtype in turn."""
        left = dict.fromkeys(dtypes, self.plan.models)
        for example in listed(self.plan.seed, 4 * self.plan.models, self.plan.cells):
            for dtype in dtypes:
                if not left[dtype] or self._over():
                    continue
                fitted = self._fitted(example, dtype)
                if fitted is not None and self._telling(fitted, dtype):
                    left[dtype] -= 1
                    self._models([(fitted, dtype)])
        for dtype in dtypes if self._over() else ():
            self.report.line(DRAWN, dtype).unasked += left[dtype]

    def _examine(self, dtype: str, example: Example) -> list[record.Agreement]:
        return examine(self.subject, example, dtype, self._phases(example, dtype))

    def _trained(self, dtype: str) -> None:
        """Adam, with the eps placement that it declares, and SGD: in turn, over all cells."""
        optimizers = cycle((ADAM, SGD))
        for optimizer, example in zip(optimizers, self._trainable(dtype), strict=False):
            if self._over():
                self.report.line(TRAINING, dtype).unasked += 1
                continue
            self.say(f"{TRAINING}, {dtype}: {optimizer.name}")
            train = partial(examine_training, self.subject, dtype, optimizer)
            self._examined(TRAINING, dtype, example, train)

    def _trainable(self, dtype: str) -> Iterator[Example]:
        """What it can train, a model a cell; two at least, of one cell if need be."""
        found = []
        for example in trainable(self.plan.seed, self.plan.cells):
            fitted = self._fitted(example, dtype, "train_step")
            if fitted is not None and not isinstance(known(fitted, dtype), str):
                found.append(fitted)
                yield fitted
        yield from found if len(found) == 1 else ()

    def _timed(self, dtype: str) -> None:
        """In each phase, on one cell: the gate of a timed run, and its look for cheats."""
        for cell in self.plan.cells:
            cells = list(timed.cells(self.subject, cell, dtype, self._threads))
            for each in cells:
                if self._over():
                    self.report.line(TIMED, dtype).unasked += 1
                    continue
                self.say(f"{TIMED}: {each.id}")
                self._timed_cell(each)
            if cells:
                return

    def _timed_cell(self, cell: timed.Cell) -> None:
        self.report.line(TIMED, cell.dtype).models += 1
        try:
            found, cheat = timed.run(self.subject, cell, self.plan.seed)
        except FAULTS as error:
            self._raised(TIMED, cell.dtype, error)
            return
        for each in found:
            self.report.add(TIMED, cell.dtype, each)
        failures = [f for each in found for f in each.failures] + ([cheat] if cheat else [])
        if failures:
            self._wrong(TIMED, cell.dtype, f"{cell.id}: {failures[0]}", "\n".join(failures[1:]))

    # What is wrong

    def _wrong(self, check: str, dtype: str, message: str, details: str = "") -> None:
        self.report.fail(Failure(check, dtype, message, details=details))

    def _raised(self, check: str, dtype: str, error: Exception) -> None:
        self._wrong(check, dtype, str(error), getattr(error, "details", ""))

    def _examined(self, check: str, dtype: str, example: Example, ask: Examine) -> None:
        """Count what was compared; a failure is kept with the smallest example that shows it."""
        self.report.line(check, dtype).models += 1
        found, failure = _outcome(ask, example)
        for each in found:
            self.report.add(check, dtype, each)
        if failure is None:
            return
        if not self.plan.stop_at_first and not any(f.example for f in self.report.failures):
            self.say(f"{failure[0]}: looking for the smallest model that shows it")
            example = self._smallest(dtype, example, ask)
            failure = _outcome(ask, example)[1] or failure
        message, details = failure
        self.report.fail(Failure(check, dtype, message, example, details))

    def _smallest(self, dtype: str, example: Example, ask: Examine) -> Example:
        phases = self._phases(example, dtype)
        raises = not _outcome(ask, example)[0]

        def fails(candidate: Example) -> bool:
            if self._phases(candidate, dtype) != phases or isinstance(pair(candidate, dtype), str):
                return False
            found, failure = _outcome(ask, candidate)
            return failure is not None and raises == (not found)

        return shrunk(example, fails, self.plan.shrink_seconds)


def _outcome(
    ask: Examine, example: Example
) -> tuple[list[record.Agreement], tuple[str, str] | None]:
    """What was compared; the first failure and, apart, all there is to say of it."""
    try:
        found = ask(example)
    except FAULTS as error:
        return [], (str(error), getattr(error, "details", ""))
    failures = [failure for each in found for failure in each.failures]
    return found, (failures[0], "\n".join(failures[1:])) if failures else None

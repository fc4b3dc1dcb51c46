"""The variant under check, as the kit sees it: its pure members, and one worker per dtype."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from backends import registry
from backends.interface import PHASES
from bench.kit.case import CaseSpec
from bench.workers.pool import Pool
from bench.workers.process import WorkerKey
from tasks.spec import ModelSpec


class Subject(Protocol):
    """What the kit calls. Each call may raise WorkerError or BrokenBackendError."""

    name: str
    device: str

    def consult(self, member: str, /, *arguments: Any, **options: Any) -> Any:
        """The result of a pure member, which imports no framework."""
        ...

    def about(self, dtype: str) -> tuple[Mapping[str, str], Sequence[str]]:
        """Versions and devices that the worker for `dtype` found."""
        ...

    def ask(self, dtype: str, operation: str, /, **arguments: Any) -> Any:
        """Call an operation of `bench.workers.server` in the worker for `dtype`."""
        ...


class PoolSubject:
    """A variant in worker processes of its own, one per dtype."""

    def __init__(self, pool: Pool, name: str, device: str, threads: int) -> None:
        self.name, self.device = name, device
        self._pool, self._threads = pool, threads
        self._answers: dict[Any, Any] = {}

    def consult(self, member: str, /, *arguments: Any, **options: Any) -> Any:
        # These members are pure; a plugin's are called in another process.
        question = member, arguments, tuple(sorted(options.items()))
        if question not in self._answers:
            self._answers[question] = registry.ask(self.name, member, *arguments, **options)
        return self._answers[question]

    def ask(self, dtype: str, operation: str, /, **arguments: Any) -> Any:
        return self._pool.get(self._key(dtype)).call(operation, self._pool.timeout, **arguments)

    def about(self, dtype: str) -> tuple[Mapping[str, str], Sequence[str]]:
        started = self._pool.get(self._key(dtype)).started
        return started.versions, started.devices

    def _key(self, dtype: str) -> WorkerKey:
        return WorkerKey(self.name, dtype, self.device, self._threads)


def refusal(subject: Subject, spec: ModelSpec, dtype: str, phase: str) -> str | None:
    """Why it does not compute this, or None."""
    options = {"device": subject.device, "dtype": dtype, "phase": phase}
    reason: str | None = subject.consult("refusal", spec, **options)
    return reason


def unsupported(subject: Subject, case: CaseSpec, dtype: str) -> str | None:
    """Why it does not offer what the batch of this case has, or None."""
    if case.lengths is None:
        return None
    options = {"spec": case.spec, "device": subject.device, "dtype": dtype}
    reason: str | None = subject.consult("supports", feature="lengths", **options)
    return reason


def streams(subject: Subject, spec: ModelSpec, dtype: str) -> bool:
    """Whether it computes one step at a time."""
    return _offers(subject, spec, dtype, "stream", "forward")


def carries(subject: Subject, spec: ModelSpec, dtype: str) -> bool:
    """Whether it trains with the state carried from batch to batch."""
    return _offers(subject, spec, dtype, "stateful", "train_step")


def _offers(subject: Subject, spec: ModelSpec, dtype: str, feature: str, phase: str) -> bool:
    if refusal(subject, spec, dtype, phase) is not None:
        return False
    options = {"spec": spec, "device": subject.device, "dtype": dtype}
    return subject.consult("supports", feature=feature, **options) is None


def phases(subject: Subject, spec: ModelSpec, dtype: str) -> tuple[str, ...]:
    """The phases that it does not refuse."""
    return tuple(phase for phase in PHASES if refusal(subject, spec, dtype, phase) is None)

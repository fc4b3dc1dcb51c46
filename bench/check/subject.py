"""The variant under check, as the kit sees it: its pure members, and a worker a dtype."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from backends import registry
from bench.interpreter import Key
from bench.lab import Lab


class Subject(Protocol):
    """What the kit asks. Each call may raise WorkerError or BrokenBackendError."""

    name: str
    device: str

    def consult(self, member: str, /, *arguments: Any, **options: Any) -> Any:
        """What a member that imports no framework gives."""
        ...

    def about(self, dtype: str) -> tuple[Mapping[str, str], Sequence[str]]:
        """Versions and devices, as the worker for `dtype` found them."""
        ...

    def ask(self, dtype: str, operation: str, /, **arguments: Any) -> Any:
        """An operation of `bench.worker`, in the interpreter for `dtype`."""
        ...


class LabSubject:
    """A variant in interpreters of its own, one a dtype."""

    def __init__(self, lab: Lab, name: str, device: str, threads: int) -> None:
        self.name, self.device = name, device
        self._lab, self._threads = lab, threads
        self._said: dict[Any, Any] = {}

    def consult(self, member: str, /, *arguments: Any, **options: Any) -> Any:
        # These are pure, and a plugin answers from another process.
        key = member, arguments, tuple(sorted(options.items()))
        if key not in self._said:
            self._said[key] = registry.ask(self.name, member, *arguments, **options)
        return self._said[key]

    def ask(self, dtype: str, operation: str, /, **arguments: Any) -> Any:
        interpreter = self._lab.get(self._key(dtype))
        return interpreter.call(operation, self._lab.timeout, **arguments)

    def about(self, dtype: str) -> tuple[Mapping[str, str], Sequence[str]]:
        started = self._lab.get(self._key(dtype)).started
        return started.versions, started.devices

    def _key(self, dtype: str) -> Key:
        return Key(self.name, dtype, self.device, self._threads)

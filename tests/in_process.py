"""A backend asked in this process: the worker's operations without a worker process."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any
from unittest import mock

from backends import registry
from backends.features import supports
from backends.interface import Backend
from bench.workers.process import WorkerRaisedError
from bench.workers.server import Operations


class InProcess:
    """`bench.kit.subject.Subject`."""

    device = "cpu"

    def __init__(self, backend: Backend) -> None:
        self.name = backend.name
        self._backend = backend
        self._operations: dict[str, Operations] = {}

    def consult(self, member: str, /, *arguments: Any, **options: Any) -> Any:
        try:
            if member == "supports":
                return supports(self._backend, **options)
            return getattr(self._backend, member)(*arguments, **options)
        except Exception as error:
            raise registry.BrokenBackendError(f"{self.name}: {error}") from error

    def about(self, dtype: str) -> tuple[Mapping[str, str], Sequence[str]]:
        return self._backend.versions(), self._backend.devices()

    def ask(self, dtype: str, operation: str, /, **arguments: Any) -> Any:
        if dtype not in self._operations:
            self._operations[dtype] = Operations()
            self._operations[dtype]._backend = self._backend  # what `start` would have loaded
        try:
            # Collecting the garbage of a whole test session takes longer than what is tested.
            with contextlib.ExitStack() as patched:
                for module in ("server", "timing", "memory"):
                    patched.enter_context(mock.patch(f"bench.workers.{module}.gc"))
                return getattr(self._operations[dtype], operation)(**arguments)
        except Exception as error:
            raise WorkerRaisedError(f"{type(error).__name__}: {error}") from error

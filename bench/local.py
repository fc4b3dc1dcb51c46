"""`--serial`: the workers' operations in this process, for profilers and debuggers.

One variant after the other, none of them stopped, pinned or apart from the others: what it takes
here is no number to compare, and the record says so.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import Any

from threadpoolctl import threadpool_limits

from backends import registry
from bench.interpreter import Key, Started, WorkerRaisedError
from bench.worker import Worker


class LocalInterpreter:
    """What `bench.interpreter.Interpreter` is, without a process of its own."""

    def __init__(self, key: Key, started: Started, worker: Worker) -> None:
        self.key, self.started, self._worker = key, started, worker

    def call(self, operation: str, timeout: float, **arguments: Any) -> Any:
        """The operation's value, whatever time it takes; raises WorkerRaisedError."""
        try:
            return getattr(self._worker, operation)(**arguments)
        except Exception as error:
            raise WorkerRaisedError(registry.first_line(error), traceback.format_exc()) from error

    def cpu_seconds(self) -> float:
        """None beside that of this process, which is counted anyhow."""
        return 0.0

    def survey(self) -> None:
        """There is no family to stop."""

    def wake(self) -> None:
        """It never sleeps."""

    def alive(self) -> bool:
        return True


class LocalLab:
    """What `bench.lab.Lab` is to a cell."""

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self._interpreters: dict[Key, LocalInterpreter] = {}
        self._set: dict[str, tuple[str, str]] = {}  # environment variable: value, who asked for it
        self._limits: Any = None

    def __enter__(self) -> LocalLab:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def get(self, key: Key, progress: Callable[[str], None] = lambda _: None) -> LocalInterpreter:
        """Raises registry.BrokenBackendError where the variant cannot be had in this process."""
        if key not in self._interpreters:
            progress(f"importing {key.variant}")
            self._interpreters[key] = self._start(key)
        return self._interpreters[key]

    def cores_of(self, threads: int) -> list[int] | None:
        """This process is bound to none."""
        return None

    def end(self, key: Key) -> None:
        self._interpreters.pop(key, None)

    def keep_only(self, keys: Iterable[Key]) -> None:
        """What is imported stays imported."""

    def close(self) -> None:
        self._interpreters.clear()
        if self._limits is not None:
            self._limits.restore_original_limits()

    def _start(self, key: Key) -> LocalInterpreter:
        self._set_environment(key)
        # numpy is here already: its BLAS no longer reads the environment.
        self._limits = threadpool_limits(key.threads)
        begin, worker = perf_counter(), Worker()
        try:
            said = worker.open(backend=key.variant)
        except Exception as error:
            reason = f"{key.variant} is installed and fails at import: {registry.first_line(error)}"
            raise registry.BrokenBackendError(reason) from error
        started = Started(
            versions=said["versions"],
            devices=tuple(said["devices"]),
            start_seconds=max(0.0, perf_counter() - begin - said["import_seconds"]),
            import_seconds=said["import_seconds"],
        )
        return LocalInterpreter(key, started, worker)

    def _set_environment(self, key: Key) -> None:
        """As its interpreter would start with; two variants of one process must not differ."""
        variables = registry.ask(
            key.variant, "environment", threads=key.threads, device=key.device, dtype=key.dtype
        )
        for name, value in variables.items():
            before, who = self._set.get(name, (value, key.variant))
            if before != value:
                raise registry.BrokenBackendError(
                    f"{key.variant} needs {name}={value}, and {who} has set {name}={before} in "
                    "this process; with --serial, run one of them at a time"
                )
            self._set[name] = value, who
            os.environ[name] = value

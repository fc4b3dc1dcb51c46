"""`--serial`: the workers' operations in this process, for profilers and debuggers.

Variants run one after the other in one process, neither stopped nor pinned. Their times cannot be
compared, and the record says so.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterable
from time import perf_counter
from typing import Any

from threadpoolctl import threadpool_limits

from backends import registry
from bench.records.workload import LEFT_ALONE
from bench.workers import environment
from bench.workers.pool import Progress, silent
from bench.workers.process import Started, WorkerKey, WorkerRaisedError
from bench.workers.server import Operations


class InProcessWorker:
    """Like `bench.workers.process.WorkerProcess`, without a process of its own."""

    def __init__(self, key: WorkerKey, started: Started, operations: Operations) -> None:
        self.key, self.started, self._operations = key, started, operations

    def call(self, operation: str, timeout: float, **arguments: Any) -> Any:
        """The operation's value, without a time limit; raises WorkerRaisedError."""
        try:
            return getattr(self._operations, operation)(**arguments)
        except Exception as error:
            raise WorkerRaisedError(registry.first_line(error), traceback.format_exc()) from error

    def cpu_seconds(self) -> float:
        """0: the CPU time of this process is counted already."""
        return 0.0

    def survey(self) -> None:
        """Do nothing: no process is ever stopped."""

    def wake(self) -> None:
        """Do nothing: it is never stopped."""

    def alive(self) -> bool:
        return True


class InProcessPool:
    """Like `bench.workers.pool.WorkerPool`, for a workload run."""

    def __init__(self, timeout: float) -> None:
        self.timeout, self.memory_limited = timeout, ""
        self._workers: dict[WorkerKey, InProcessWorker] = {}
        self._set: dict[str, tuple[str, str]] = {}  # environment variable: value, variant
        self._before: dict[str, str | None] = {}  # and what it was, to set it back
        self._limits: Any = None

    def __enter__(self) -> InProcessPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def get(self, key: WorkerKey, progress: Progress = silent) -> InProcessWorker:
        """Raises registry.BrokenBackendError if the variant cannot run in this process."""
        if key not in self._workers:
            progress(f"importing {key.variant}")
            self._workers[key] = self._start(key)
        return self._workers[key]

    def cores_of(self, threads: int) -> list[int] | None:
        """None: this process is not bound to cores."""
        return None

    def end(self, key: WorkerKey) -> None:
        self._workers.pop(key, None)

    def keep_only(self, keys: Iterable[WorkerKey]) -> None:
        """Do nothing: imports cannot be undone."""

    def close(self) -> None:
        self._workers.clear()
        if self._limits is not None:
            self._limits.restore_original_limits()
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self._before.clear()

    def _start(self, key: WorkerKey) -> InProcessWorker:
        left_alone = {other.threads == LEFT_ALONE for other in (key, *self._workers)}
        if len(left_alone) > 1:
            raise registry.BrokenBackendError(
                "the threads of this process are either set or left alone; with --serial, run "
                "--threads=default at another time than the counts"
            )
        self._set_environment(key)
        # numpy is imported already, so its BLAS no longer reads the environment.
        if key.threads != LEFT_ALONE:
            self._limits = threadpool_limits(key.threads)
        own = environment.own_thread_variables(key)
        begin, operations = perf_counter(), Operations()
        try:
            answer = operations.open(backend=key.variant)
        except Exception as error:
            reason = f"{key.variant} is installed but fails at import: {registry.first_line(error)}"
            raise registry.BrokenBackendError(reason) from error
        return InProcessWorker(key, Started.of(answer, perf_counter() - begin, own), operations)

    def _set_environment(self, key: WorkerKey) -> None:
        """Set the variant's environment variables; raise if another variant set other values."""
        for name, value in environment.variables(key).items():
            before, who = self._set.get(name, (value, key.variant))
            if before != value:
                raise registry.BrokenBackendError(
                    f"{key.variant} needs {name}={value}, but {who} has set {name}={before} in "
                    "this process; with --serial, run one of them at a time"
                )
            self._set[name] = value, who
            self._before.setdefault(name, os.environ.get(name))
            os.environ[name] = value

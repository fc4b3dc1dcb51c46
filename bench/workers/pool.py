"""The workers of a run: started when needed, kept, ended."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import Any, Protocol

from backends import registry
from bench.records.workload import LEFT_ALONE
from bench.workers import environment
from bench.workers.process import (
    Started,
    Worker,
    WorkerContractError,
    WorkerError,
    WorkerKey,
    WorkerProcess,
    WorkerRaisedError,
)
from bench.workers.time_limits import RunTimeUpError, TimeLimits

# Ends the process groups of all workers when its input closes, that is, when the parent ends. On
# Linux a worker also ends with its parent by itself; this reaches the processes that it started,
# also those in other groups, which it finds by their mark, and other systems.
_GUARDIAN = """
import glob, os, signal, sys
mark = sys.argv[1].encode()
groups = set()
for line in sys.stdin:
    if line == "end\\n":  # in good order: what else the parent has started goes on
        sys.exit()
    sign, group = line[0], int(line[1:])
    (groups.add if sign == "+" else groups.discard)(group)
for group in groups:
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
for folder in glob.glob("/proc/[0-9]*"):
    try:
        with open(folder + "/environ", "rb") as environment:
            if mark in environment.read():
                os.kill(int(folder[6:]), signal.SIGKILL)
    except OSError:
        pass
"""

Progress = Callable[[str], None]  # gets a few words about what is being done


def silent(_: str) -> None:
    """A Progress that shows nothing."""


class Pool(Protocol):
    """What a workload run needs of the workers."""

    timeout: float  # seconds for one answer
    memory_limited: str  # how the memory of the workers is limited; empty: it is not

    def get(self, key: WorkerKey, progress: Progress = silent) -> Worker:
        """The worker of `key`, started if needed; raises registry.BrokenBackendError."""
        ...

    def cores_of(self, threads: int) -> list[int] | None:
        """The cores that a worker with `threads` threads is bound to; None if it is not bound."""
        ...

    def end(self, key: WorkerKey) -> None: ...

    def keep_only(self, keys: Iterable[WorkerKey]) -> None: ...

    def close(self) -> None: ...


class WorkerPool:
    """One process per key. A context manager that ends all of them."""

    def __init__(
        self,
        cores: list[int] | None,
        timeout: float,
        option: str = "--worker-timeout",
        times: TimeLimits | None = None,
    ) -> None:
        """Pin workers to `cores`, or not if None. `timeout` is in seconds per answer; error
        messages name the `option` of the command line that sets it. `times` are the limits of a
        run.
        """
        self.timeout = timeout
        self.memory_limited = ""  # how the memory of the workers is limited; empty: it is not
        self._option, self._times = option, times
        self._cores = cores
        self._workers: dict[WorkerKey, WorkerProcess] = {}
        self._guardian: subprocess.Popen[str] | None = None

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def get(self, key: WorkerKey, progress: Progress = silent) -> WorkerProcess:
        """The stopped worker of `key`, started if needed.

        Raises registry.BrokenBackendError if the framework cannot be imported, and WorkerError if
        the process ends or does not answer while it starts.
        """
        worker = self._workers.get(key)
        if worker is not None and worker.alive():
            return worker
        self.end(key)  # forget a dead worker before another replaces it
        progress(f"starting {key.variant}")
        self._workers[key] = self._start(key)
        return self._workers[key]

    def cores_of(self, threads: int) -> list[int] | None:
        if self._cores is None or threads == LEFT_ALONE:
            return None
        return self._cores[:threads]

    def end(self, key: WorkerKey) -> None:
        """End the worker of `key`, if there is one."""
        worker = self._workers.pop(key, None)
        if worker is not None:
            self._end(worker)

    def keep_only(self, keys: Iterable[WorkerKey]) -> None:
        """End every worker that is not among `keys`."""
        for key in set(self._workers) - set(keys):
            self.end(key)

    def close(self) -> None:
        """End all workers."""
        self.keep_only(())
        if self._guardian is not None:
            with contextlib.suppress(BrokenPipeError):
                self._guardian.communicate("end\n", timeout=5)
            self._guardian = None

    def _start(self, key: WorkerKey) -> WorkerProcess:
        entry = registry.find(key.variant)
        variables = environment.variables(key)
        begin = perf_counter()
        try:
            memory = self._times.limits.memory_bytes if self._times else None
            worker = WorkerProcess(
                key, entry.executable, variables, self._option, self._times, memory
            )
        except registry.StartError as error:
            raise registry.BrokenBackendError(
                f"{key.variant}: {error}; its `environment` sets "
                f"{', '.join(variables) or 'nothing'}{error.printed}"
            ) from error
        self._guard("+", worker)
        self.memory_limited = worker.memory.how if worker.memory else ""
        cores = self.cores_of(key.threads)
        try:
            answer: dict[str, Any] = worker.call(
                "start", self.timeout, backend=entry.backend, cores=cores
            )
        except RunTimeUpError:
            self._end(worker)
            raise
        except WorkerError as error:
            self._end(worker)
            if isinstance(error, WorkerRaisedError | WorkerContractError):
                raise registry.BrokenBackendError(
                    f"{key.variant} is installed but fails at import: {error}"
                ) from error
            raise
        own = environment.own_thread_variables(key)
        worker.started = Started.of(answer, perf_counter() - begin, own)
        return worker

    def _end(self, worker: WorkerProcess) -> None:
        worker.kill()
        self._guard("-", worker)

    def _guard(self, sign: str, worker: WorkerProcess) -> None:
        if self._guardian is None:
            self._guardian = subprocess.Popen(
                [sys.executable, "-c", _GUARDIAN, "=".join(registry.process_mark())],
                stdin=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        assert self._guardian.stdin is not None  # stdin=PIPE
        try:
            self._guardian.stdin.write(f"{sign}{worker.pid}\n")
            self._guardian.stdin.flush()
        except BrokenPipeError:  # somebody has ended it: another one takes over
            with contextlib.suppress(BrokenPipeError):
                self._guardian.communicate()
            self._guardian = None
            for other in self._workers.values():
                self._guard("+", other)

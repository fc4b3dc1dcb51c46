"""One running worker as its parent sees it, and its errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from backends import registry
from bench.records.schema import Status
from bench.workers.memory_limit import CGROUP, MemoryLimit, SystemKills
from bench.workers.time_limits import TimeLimits

SERVER = "bench.workers.server:serve_worker"

_SYSTEM_KILLS = SystemKills()

Ask = Callable[..., Any]  # (operation, **arguments) -> the worker's answer


class WorkerError(RuntimeError):
    """An error of a worker, with a one-line message. `status` is the one for its record."""

    status: Status = "failed"

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.details = details


class WorkerRaisedError(WorkerError):
    """The backend raised an exception; the worker still runs."""


class WorkerContractError(WorkerError):
    """The built model lacks a member of the contract; the worker still runs."""

    status = "skipped"


class WorkerDiedError(WorkerError):
    """The worker process ended by itself."""

    status = "crashed"


class WorkerTimeoutError(WorkerError):
    """The worker did not answer in time and was killed."""

    status = "timed out"


class WorkloadTimeUpError(WorkerTimeoutError):
    """The time of its workload was used up: another may have used it."""


@dataclass(frozen=True)
class WorkerKey:
    """Identifies a worker; two different keys never share one."""

    variant: str
    dtype: str
    device: str
    threads: int  # LEFT_ALONE: as the framework likes
    copy: int = 0  # number of the same program: a control, or one of a selftest's pair


@dataclass(frozen=True)
class Started:
    """What a worker reported about itself."""

    versions: Mapping[str, str]
    devices: tuple[str, ...]
    start_seconds: float
    import_seconds: float
    own_threads: tuple[str, ...] = ()  # variables that set its threads although left alone

    @staticmethod
    def of(answer: Mapping[str, Any], seconds: float, own_threads: Sequence[str] = ()) -> Started:
        """From the answer to `open` or `start`, which took `seconds`."""
        return Started(
            versions=answer["versions"],
            devices=tuple(answer["devices"]),
            start_seconds=max(0.0, seconds - answer["import_seconds"]),
            import_seconds=answer["import_seconds"],
            own_threads=tuple(own_threads),
        )


class Worker(Protocol):
    """A worker from a pool: a process of its own, or this process in a serial run."""

    key: WorkerKey
    started: Started

    def call(self, operation: str, timeout: float, **arguments: Any) -> Any:
        """The operation's value (`bench.workers.server.Operations`); raises WorkerError."""
        ...

    def cpu_seconds(self) -> float | None:
        """CPU time of its process until now; None if unknown."""
        ...

    def survey(self) -> None:
        """Find processes that it started outside its process group, to stop them too."""
        ...

    def wake(self) -> None:
        """Let it run without a call."""
        ...

    def alive(self) -> bool: ...


class WorkerProcess:
    """A worker in a process of its own, which is stopped between two calls."""

    started: Started

    def __init__(
        self,
        key: WorkerKey,
        python: str,
        variables: Mapping[str, str],
        option: str,
        times: TimeLimits | None = None,
        memory_bytes: int | None = None,
    ) -> None:
        """`option` is the command-line option that sets the timeout. Raises StartError."""
        self.key = key
        self._option, self._times = option, times
        self._python = registry.start(python, SERVER, variables)
        self.memory: MemoryLimit | None = None
        if memory_bytes is not None:
            self.memory = MemoryLimit(memory_bytes, self.pid)
            self._python.excess = self.memory.excess
        self.cpu_seconds = self._python.cpu_seconds
        self.survey = self._python.survey
        self.wake = self._python.wake
        self.alive = self._python.alive

    @property
    def pid(self) -> int:
        return self._python.process.pid

    def kill(self) -> None:
        self._python.kill()
        if self.memory is not None:
            self.memory.close()

    def call(self, operation: str, timeout: float, **arguments: Any) -> Any:
        """Raises WorkerRaisedError, WorkerContractError, WorkerDiedError, WorkerTimeoutError.

        Raises RunTimeUpError if the whole run has no time left.
        """
        name, limited = self.key.variant, ""
        if self._times is not None:
            timeout, limited = self._times.of_answer(timeout)
        within = f"within the {limited} (--workload-timeout)" if limited else ""
        if timeout <= 0:
            raise WorkloadTimeUpError(f"`{operation}` could not be asked {within}")
        try:
            return self._python.call(operation, timeout, **arguments)
        except registry.BrokenContractError as error:
            raise WorkerContractError(str(error), error.details) from error
        except (registry.RaisedError, registry.StartError) as error:
            message = str(error)
            if message.startswith("MemoryError"):
                message = f"out of memory in {operation}: {message}"
            raise WorkerRaisedError(message, error.details) from error
        except registry.NoAnswerError as error:
            if self._times is not None:
                self._times.expect_time()
            kind = WorkloadTimeUpError if limited else WorkerTimeoutError
            within = within or f"{error} ({self._option})"
            raise kind(f"{name} gave no answer to `{operation}` {within}", error.details) from error
        except registry.DiedError as error:
            raise WorkerDiedError(f"{self._end(error)} in {operation}", error.details) from error

    def _end(self, error: registry.DiedError) -> str:
        """How it ended; the kernel kills what needs more memory than there is."""
        killed = _SYSTEM_KILLS.rose()
        if self.memory is not None and self.memory.how == CGROUP:
            return f"out of memory {self.memory.in_words}" if self.memory.killed() else str(error)
        return "out of memory" if killed and str(error) == "SIGKILL" else str(error)

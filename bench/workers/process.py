"""One running worker as its parent sees it, and what can go wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from backends import registry
from bench.records.schema import Status

SERVER = "bench.workers.server:serve_worker"

Ask = Callable[..., Any]  # (operation, **arguments) -> the worker's answer


class WorkerError(RuntimeError):
    """What a worker could not do. `status` is a record's; the message is one line."""

    status: Status = "failed"

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.details = details


class WorkerRaisedError(WorkerError):
    """The backend raised; the worker lives on."""


class WorkerContractError(WorkerError):
    """What the backend built lacks a member of the contract; the worker lives on."""

    status = "skipped"


class WorkerDiedError(WorkerError):
    """The process ended by itself."""

    status = "crashed"


class WorkerTimeoutError(WorkerError):
    """No answer in time; the process was ended."""

    status = "timed out"


@dataclass(frozen=True)
class WorkerKey:
    """What a worker is started for; two keys never share one."""

    variant: str
    dtype: str
    device: str
    threads: int
    copy: int = 0  # the same program once more: a control, or one of a selftest's pair


@dataclass(frozen=True)
class Started:
    """What a worker said of itself."""

    versions: Mapping[str, str]
    devices: tuple[str, ...]
    start_seconds: float
    import_seconds: float

    @staticmethod
    def of(answer: Mapping[str, Any], seconds: float) -> Started:
        """Of the answer to `open` or `start`, which came after `seconds`."""
        return Started(
            versions=answer["versions"],
            devices=tuple(answer["devices"]),
            start_seconds=max(0.0, seconds - answer["import_seconds"]),
            import_seconds=answer["import_seconds"],
        )


class Worker(Protocol):
    """What a pool gives: a process of its own, or the stand-in of a serial run."""

    key: WorkerKey
    started: Started

    def call(self, operation: str, timeout: float, **arguments: Any) -> Any:
        """The operation's value (`bench.workers.server.Operations`); raises WorkerError."""
        ...

    def cpu_seconds(self) -> float | None:
        """CPU time of its process until now; None where the system does not tell."""
        ...

    def survey(self) -> None:
        """Find what it has started outside of its process group, to stop it too."""
        ...

    def wake(self) -> None:
        """Let it run though nothing is asked of it."""
        ...

    def alive(self) -> bool: ...


class WorkerProcess:
    """A worker in a process of its own; it stands still between two calls."""

    started: Started

    def __init__(self, key: WorkerKey, python: str, variables: Mapping[str, str], option: str):
        """`option` of the command line is the one that sets the timeout. Raises StartError."""
        self.key = key
        self._option = option
        self._python = registry.start(python, SERVER, variables)
        self.cpu_seconds = self._python.cpu_seconds
        self.survey = self._python.survey
        self.wake = self._python.wake
        self.alive = self._python.alive
        self.kill = self._python.kill

    @property
    def pid(self) -> int:
        return self._python.process.pid

    def call(self, operation: str, timeout: float, **arguments: Any) -> Any:
        """Raises WorkerRaisedError, WorkerContractError, WorkerDiedError, WorkerTimeoutError."""
        name = self.key.variant
        try:
            return self._python.call(operation, timeout, **arguments)
        except registry.BrokenContractError as error:
            raise WorkerContractError(str(error), error.details) from error
        except (registry.RaisedError, registry.StartError) as error:
            raise WorkerRaisedError(str(error), error.details) from error
        except registry.NoAnswerError as error:
            raise WorkerTimeoutError(
                f"{name} gave no answer to `{operation}` {error} ({self._option})", error.details
            ) from error
        except registry.DiedError as error:
            raise WorkerDiedError(
                f"{name} died during `{operation}`: {error}", error.details
            ) from error

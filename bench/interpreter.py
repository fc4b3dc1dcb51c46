"""One running worker as its parent sees it: asked, parked between questions, ended.

A worker that is not being asked is stopped (SIGSTOP), with its whole process group: what waits
must be still, since thread pools spin on after their work is done.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from time import clock_gettime, sleep
from typing import Any

import psutil

from backends.contract import ContractError
from backends.words import plain, plain_lines
from bench.record import Status

ROOT = Path(__file__).resolve().parent.parent
POLL_SECONDS = 0.0002  # where a system cannot tell that a process has stopped

_BOOT = """
import sys
sys.path.insert(0, channel.receive())
from bench.worker import serve
serve(channel)
"""


class WorkerError(RuntimeError):
    """What a worker could not do. `status` is a record's; the message is one line."""

    status: Status = "failed"

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.details = details


class WorkerRaisedError(WorkerError):
    """The backend raised; the worker lives on."""


class WorkerUnfitError(WorkerError):
    """What the backend built lacks a member of the contract; the worker lives on."""

    status = "skipped"


class WorkerDiedError(WorkerError):
    """The process ended by itself."""

    status = "crashed"


class WorkerTimeoutError(WorkerError):
    """No answer in time; the process was ended."""

    status = "timed out"


@dataclass(frozen=True)
class Key:
    """What an interpreter is started for; two keys never share one."""

    variant: str
    dtype: str
    device: str
    threads: int
    copy: int = 0  # the same program once more: a control, or one side of an A/A test


@dataclass(frozen=True)
class Started:
    """What a worker said of itself."""

    versions: dict[str, str]
    devices: tuple[str, ...]
    start_seconds: float
    import_seconds: float


class Interpreter:
    """One running worker. `call` wakes it, asks, waits, and parks it again."""

    started: Started

    def __init__(
        self, key: Key, gateway: Any, process: psutil.Process, log: Path, option: str
    ) -> None:
        self.key = key
        self._option = option
        self.process = process
        self._channel = gateway.remote_exec(_BOOT)
        self._channel.send(str(ROOT))
        self.log = log
        self._strays: list[psutil.Process] = []

    def call(self, operation: str, timeout: float, **arguments: Any) -> Any:
        """The operation's value; raises WorkerRaisedError, WorkerUnfitError, WorkerDiedError,
        WorkerTimeoutError.

        Words in either are a stranger's: no control character of theirs reaches a terminal.
        """
        self._signal(signal.SIGCONT)
        try:
            self._channel.send((operation, arguments))
            status, *answer = self._channel.receive(timeout)
        except self._channel.TimeoutError:
            self.kill()
            raise WorkerTimeoutError(
                f"{self.key.variant} gave no answer to `{operation}` within {timeout:g} s "
                f"({self._option})",
                self._log_tail(),
            ) from None
        except (EOFError, OSError) as error:
            end = self._end()
            self.kill()
            raise WorkerDiedError(
                f"{self.key.variant} died during `{operation}`: {end}", self._log_tail()
            ) from error
        self._park()
        if status == "error":
            message, details = plain(answer[0]), plain_lines(answer[1])
            unfit = message.startswith(f"{ContractError.__name__}: ")
            raise (WorkerUnfitError if unfit else WorkerRaisedError)(message, details)
        return _plainly(answer[0])

    def cpu_seconds(self) -> float | None:
        """CPU time of all threads of its process until now; None where the system does not tell."""
        if sys.platform != "linux":
            return None
        try:
            # The clock of another process, as clock_getcpuclockid(3) makes its number.
            return clock_gettime((~self.process.pid << 3) | 2)
        except OSError:
            return None  # ended, or a system without such clocks

    def wake(self) -> None:
        """Let it run though nothing is asked of it, until the next call parks it again."""
        self._signal(signal.SIGCONT)

    def _park(self) -> None:
        """Stop it, and return when every one of its threads stands: a signal only asks for that."""
        self._signal(signal.SIGSTOP)
        if not hasattr(os, "waitid"):  # macOS before Python 3.13
            while self.alive() and self.process.status() != psutil.STATUS_STOPPED:
                sleep(POLL_SECONDS)
            return
        with contextlib.suppress(ChildProcessError):  # it ended, and was waited for
            # WNOWAIT: what is told here is told again to whoever waits for its end.
            os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def survey(self) -> None:
        """Find descendants that left the worker's process group, to stop them with it."""
        with contextlib.suppress(psutil.NoSuchProcess):
            family = self.process.children(recursive=True)
            self._strays = [child for child in family if _group_of(child) != self.process.pid]

    def alive(self) -> bool:
        return self.process.is_running() and self.process.status() != psutil.STATUS_ZOMBIE

    def kill(self) -> None:
        """SIGKILL, since a stopped process only waits on anything milder."""
        self.survey()
        self._signal(signal.SIGKILL)
        with contextlib.suppress(psutil.TimeoutExpired):
            self.process.wait(5)

    def _end(self) -> str:
        """How a process that closed its channel ended."""
        try:
            code = self.process.wait(5)
        except psutil.TimeoutExpired:
            return "its channel closed, and it lives on"
        if code is None:
            return "no exit status"
        return f"ended by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)
        for process in (self.process, *self._strays):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def _log_tail(self, lines: int = 30) -> str:
        if not self.log.exists():
            return ""
        printed = self.log.read_text(errors="replace").splitlines()[-lines:]
        return plain_lines("\n".join(printed))


def _plainly(value: Any) -> Any:
    """The same value with every string in it plain."""
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, dict):
        return {_plainly(key): _plainly(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_plainly, value))
    return value


def _group_of(process: psutil.Process) -> int | None:
    try:
        return os.getpgid(process.pid)
    except ProcessLookupError:
        return None

"""The parent's side of the workers: starts, parks, wakes and ends interpreters.

A worker that is not being asked is stopped (SIGSTOP), with its whole process group: what waits
must be still, since thread pools spin on after their work is done.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import execnet
import psutil
from execnet import XSpec

from backends import registry
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

# A worker on Linux ties its own life to its parent's (bench.worker); this reaches what a worker
# has started too, and serves where there is no such call: its input ends with the parent, and
# then it ends every worker's process group.
_GUARDIAN = """
import os, signal, sys
groups = set()
for line in sys.stdin:
    sign, group = line[0], int(line[1:])
    (groups.add if sign == "+" else groups.discard)(group)
for group in groups:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass
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


class Lab:
    """All workers of a run. A context manager: leaving it ends every one."""

    def __init__(
        self, cores: list[int] | None, timeout: float, option: str = "--worker-timeout"
    ) -> None:
        """`cores` to pin to, None where there is no pinning; `timeout` seconds an answer, and the
        option of the command line that sets it.
        """
        self.timeout = timeout
        self._option = option
        self._cores = cores
        self._group = execnet.Group()
        self._interpreters: dict[Key, Interpreter] = {}
        self._logs = Path(tempfile.mkdtemp(prefix="rnnbench-"))
        self._guardian: subprocess.Popen[str] | None = None
        self._count = 0

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def get(self, key: Key, progress: Callable[[str], None] = lambda _: None) -> Interpreter:
        """The parked interpreter of `key`, started if it is not there.

        Raises registry.BrokenBackendError where the framework cannot be imported, and WorkerError
        where the process ends or gives no answer while it starts.
        """
        interpreter = self._interpreters.get(key)
        if interpreter is not None and interpreter.alive():
            return interpreter
        self.end(key)  # a dead one is forgotten before another takes its place
        progress(f"starting {key.variant}")
        interpreter = self._start(key)
        self._interpreters[key] = interpreter
        return interpreter

    def cores_of(self, threads: int) -> list[int] | None:
        """The cores of a worker of so many threads; None where there is no pinning."""
        return self._cores[:threads] if self._cores is not None else None

    def end(self, key: Key) -> None:
        """End the interpreter of `key`, if there is one."""
        interpreter = self._interpreters.pop(key, None)
        if interpreter is not None:
            self._end(interpreter)

    def keep_only(self, keys: Iterable[Key]) -> None:
        """End every interpreter that is not among `keys`."""
        for key in set(self._interpreters) - set(keys):
            self.end(key)

    def close(self) -> None:
        """End all of them and remove their logs."""
        self.keep_only(())
        self._group.terminate(timeout=1.0)  # lets go of pipes and threads: the processes are gone
        if self._guardian is not None and self._guardian.stdin is not None:
            self._guardian.stdin.close()  # it knows of none by now, and ends
            self._guardian.wait(5)
            self._guardian = None
        shutil.rmtree(self._logs, ignore_errors=True)

    def _start(self, key: Key) -> Interpreter:
        if threading.current_thread() is not threading.main_thread():
            # The kernel ends a child together with the thread that made it.
            raise RuntimeError("workers are started from the main thread only")
        entry = registry.find(key.variant)
        variables = registry.ask(
            key.variant, "environment", threads=key.threads, device=key.device, dtype=key.dtype
        )
        begin = perf_counter()
        interpreter = self._spawn(key, entry.interpreter, variables)
        self._guard("+", interpreter)
        cores = self.cores_of(key.threads)
        try:
            said = interpreter.call(
                "start",
                self.timeout,
                parent=os.getpid(),
                backend=entry.backend,
                cores=cores,
                log=str(interpreter.log),
            )
        except WorkerError as error:
            self._end(interpreter)
            if isinstance(error, WorkerRaisedError | WorkerUnfitError):
                raise registry.BrokenBackendError(
                    f"{key.variant} is installed and fails at import: {error}"
                ) from error
            raise
        seconds = perf_counter() - begin
        interpreter.started = Started(
            versions=said["versions"],
            devices=tuple(said["devices"]),
            start_seconds=seconds - said["import_seconds"],
            import_seconds=said["import_seconds"],
        )
        return interpreter

    def _spawn(self, key: Key, python: str, variables: Mapping[str, str]) -> Interpreter:
        """A process of that interpreter; raises registry.BrokenBackendError where it ends."""
        self._count += 1
        spec = XSpec(f"popen//id=worker-{self._count}")
        log = self._logs / f"{spec.id}.log"
        # `env` and not execnet's own: the variables must stand before the interpreter starts. And
        # what it prints until it is told the same (bench.worker) is not the terminal's either.
        pairs = [f"{name}={value}" for name, value in variables.items()]
        to_log = ["sh", "-c", 'exec "$@" 2>> "$0"', str(log)]
        spec.python = shlex.join([*to_log, "env", *pairs, python])
        before = set(psutil.Process().children())
        try:
            gateway = self._group.makegateway(spec)
            (process,) = set(psutil.Process().children()) - before
            return Interpreter(key, gateway, process, log, self._option)
        except (EOFError, OSError, ValueError) as error:  # closed, or gone already
            printed = plain(log.read_text(errors="replace"), 200) if log.exists() else ""
            raise registry.BrokenBackendError(
                f"{key.variant}: its interpreter ends before it answers; its `environment` sets "
                f"{', '.join(variables) or 'nothing'}; it printed {printed or 'nothing'}"
            ) from error

    def _end(self, interpreter: Interpreter) -> None:
        interpreter.kill()
        self._guard("-", interpreter)

    def _guard(self, sign: str, interpreter: Interpreter) -> None:
        if self._guardian is None:
            self._guardian = subprocess.Popen(
                [sys.executable, "-c", _GUARDIAN],
                stdin=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        assert self._guardian.stdin is not None
        self._guardian.stdin.write(f"{sign}{interpreter.process.pid}\n")
        self._guardian.stdin.flush()

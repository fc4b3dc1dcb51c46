"""Another Python process as its parent sees it: started, called, stopped between calls, ended.

This is the only way in which this project talks to another interpreter. A waiting process is
stopped (SIGSTOP) with its whole process group, because thread pools continue to spin after their
work, and a plugin may have started other processes. `backends.plugins.server` runs inside.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from time import clock_gettime, monotonic, sleep
from typing import Any

import execnet
import psutil
from execnet import XSpec

from backends.plugins import marks
from backends.plugins.errors import (
    BrokenContractError,
    DiedError,
    NoAnswerError,
    RaisedError,
    StartError,
    signal_name,
)
from backends.plugins.output_log import OutputLog
from backends.plugins.sanitize import plain, plain_lines, plainly

ROOT = Path(__file__).resolve().parents[2]
POLL_SECONDS = 0.0002  # on systems that do not report that a process has stopped
START_SECONDS = 60.0  # until the first answer of an interpreter
END_SECONDS = 5.0  # that a process which was killed may take to end
LAST_SECONDS = 0.2  # for the last message of a process that has ended
STILL_RUNS = object()
# An answer is awaited in slices. Only whole slices count for the time limit, so that a process
# which was suspended meanwhile (Ctrl-Z, a batch system, a laptop that sleeps) goes on waiting.
SLICE_SECONDS = 1.0

_BOOT = """
import sys

def run(root, module, function, parent, log):
    if sys.version_info < (3, 11):
        return "its interpreter is Python %d.%d; expected 3.11 or newer" % sys.version_info[:2]
    try:
        import numpy
    except ImportError as error:
        found = "numpy cannot be imported there (%s)" % error
        return found + "; install it there, every backend needs it"
    sys.path.insert(0, root)
    import importlib
    getattr(importlib.import_module(module), function)(channel, parent, log)

problem = run(*channel.receive())
if problem is not None:
    channel.receive()  # the first operation, which this answers
    channel.send(("error", "start", problem, ""))
"""
_ERRORS = {"start": StartError, "contract": BrokenContractError, "raised": RaisedError}


class PythonProcess:
    """Runs the operations of one server; `call` wakes it, calls, waits, and stops it again."""

    def __init__(
        self,
        python: str,
        server: str,
        variables: Mapping[str, str] | None = None,
        *,
        stops: bool = True,
    ) -> None:
        """Start `python` with `variables` in its environment; `server` is "module:function".

        It stops between two calls if `stops`: then something must end it with its parent.
        Raises StartError if it ends before it can be called.
        """
        if threading.current_thread() is not threading.main_thread():
            # The kernel ends a child together with the thread that started it.
            raise RuntimeError("processes are started from the main thread only")
        self._stops = stops
        # Looked at while an answer is awaited, and after it: why the process must end, or None.
        self.excess: Callable[[list[psutil.Process]], str | None] = lambda _: None
        self._family: list[psutil.Process] = []  # what it has started, as last found
        self._strays: list[psutil.Process] = []
        self._group = execnet.Group()
        self._log, self._mark = OutputLog(), marks.new()
        self._popen: Any = None  # execnet's own handle of the process
        try:
            self.process, self._channel = self._start(python, server, variables or {})
        except (EOFError, OSError, ValueError) as error:  # closed, or gone already
            with warnings.catch_warnings():
                # execnet leaves the pipes of such a process open: they go with its frames.
                warnings.simplefilter("ignore", ResourceWarning)
                traceback.clear_frames(error.__traceback__)
            printed = plain(self._log.last_lines(), 200)
            marks.kill(self._mark)
            self._let_go()
            raise StartError("its interpreter ended before it answered", printed) from error

    def _start(
        self, python: str, server: str, variables: Mapping[str, str]
    ) -> tuple[psutil.Process, Any]:
        spec = XSpec("popen")
        # `env`, because execnet sets variables only after the interpreter has started. `sh` sends
        # early output to the log, until the server does so itself.
        marked = {**variables, marks.VARIABLE: self._mark}
        pairs = [f"{name}={value}" for name, value in marked.items()]
        to_log = ["sh", "-c", 'exec "$@" 2>> "$0"', str(self._log.path)]
        spec.python = shlex.join([*to_log, "env", *pairs, python])
        before = set(psutil.Process().children())
        # It has to answer, and execnet waits for it without a limit.
        late = threading.Timer(START_SECONDS, marks.kill, [self._mark])
        late.start()
        try:
            gateway = self._group.makegateway(spec)
        except (EOFError, OSError, ValueError):
            for left in set(psutil.Process().children()) - before:
                left.kill()
                left.wait(5)  # else it stays as a zombie
            raise
        finally:
            late.cancel()
        (process,) = set(psutil.Process().children()) - before
        self._popen = gateway._io.popen
        channel = gateway.remote_exec(_BOOT)
        module, _, function = server.partition(":")
        channel.send((str(ROOT), module, function, os.getpid(), str(self._log.path)))
        return process, channel

    def call(self, operation: str, timeout: float, **arguments: Any) -> Any:
        """The operation's value, with strings without control characters.

        After RaisedError, BrokenContractError and StartError the process still runs. After
        DiedError and NoAnswerError it is gone.
        """
        self.wake()
        try:
            self._channel.send((operation, arguments))
            status, *answer = self._receive(timeout)
            self._expect_little()
        except self._channel.TimeoutError:
            raise NoAnswerError(f"within {timeout:g} s", self.kill()) from None
        except (EOFError, OSError) as error:
            end = self._end()
            raise DiedError(end, self.kill()) from error
        if self._stops:
            self._park()
        if status == "error":
            kind, message, details = answer
            raise _ERRORS[kind](plain(message), plain_lines(details))
        return plainly(answer[0])

    def _receive(self, timeout: float) -> Any:
        """The next message, within `timeout` seconds in which this process runs."""
        while True:
            seconds = min(timeout, SLICE_SECONDS)
            try:
                return self._channel.receive(seconds)
            except self._channel.TimeoutError:
                timeout -= seconds
                if timeout <= 0:
                    raise
                if not self.alive():
                    return self._last_message()
                self._expect_little()

    def _last_message(self) -> Any:
        """Of a process that has ended, while another that it started holds its channel open."""
        try:
            return self._channel.receive(LAST_SECONDS)
        except self._channel.TimeoutError as error:
            raise EOFError("it has ended") from error

    def _expect_little(self) -> None:
        """Keep its log short. Kill it and raise DiedError if it must end."""
        self._log.trim()
        why = self.excess([self.process, *self._family])
        if why is not None:
            raise DiedError(why, self.kill())

    def cpu_seconds(self) -> float | None:
        """CPU time of all threads of its process until now; None if unknown."""
        if sys.platform != "linux":
            return None
        try:
            # The CPU clock of another process; its number is that of clock_getcpuclockid(3).
            return clock_gettime((~self.process.pid << 3) | 2)
        except OSError:
            return None  # it has ended, or the system has no such clocks

    def wake(self) -> None:
        """Let it run without a call, until the end of the next call stops it again."""
        self._signal(signal.SIGCONT)

    def _park(self) -> None:
        """Stop it, and return when all its threads have stopped: a signal alone does not wait."""
        self._signal(signal.SIGSTOP)
        if not hasattr(os, "waitid"):  # macOS before Python 3.13
            while self.alive() and self.process.status() != psutil.STATUS_STOPPED:
                sleep(POLL_SECONDS)
            return
        with contextlib.suppress(ChildProcessError):  # it has ended, and was waited for
            # WNOWAIT leaves the status for a later wait for its end.
            os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def survey(self) -> None:
        """Find what it has started and what has left its process group, to stop that with it."""
        pid = self.process.pid
        with contextlib.suppress(psutil.NoSuchProcess):
            self._family = self.process.children(recursive=True)
        known = {pid, *(child.pid for child in self._family)}
        for number in set(marks.marked(self._mark)) - known:
            with contextlib.suppress(psutil.NoSuchProcess):
                self._family.append(psutil.Process(number))
        self._strays = [child for child in self._family if _group_of(child) != pid]

    def alive(self) -> bool:
        return self.process.is_running() and self.process.status() != psutil.STATUS_ZOMBIE

    def kill(self) -> str:
        """Send SIGKILL, because a stopped process ignores milder signals; return its last lines."""
        self.survey()
        self._signal(signal.SIGKILL)
        self._wait()
        marks.kill(self._mark)
        printed = self._log.last_lines()
        self._let_go()
        return printed

    def end_at_exit(self) -> None:
        """End it while this Python shuts down; for `atexit`, registered after its start.

        execnet ends its processes with threads, which Python 3.12 no longer starts then.
        """
        self.survey()
        self._signal(signal.SIGKILL)
        marks.kill(self._mark)
        for gateway in list(self._group):
            gateway.exit()
        self._popen.wait()
        self._log.remove()

    def _let_go(self) -> None:
        """Release pipes, threads and the log of a process that has ended."""
        self._group.terminate(timeout=1.0)
        if self._popen is not None:
            self._popen.poll()  # else it warns that the process still runs when it is freed
        self._log.remove()

    def _end(self) -> str:
        """How a process that closed its channel ended."""
        code = self._wait()
        if code is STILL_RUNS:
            return "it closed its channel but still runs"
        if code is None:
            return "no exit status"
        return signal_name(-code) if code < 0 else f"exit status {code}"

    def _wait(self) -> Any:
        """Its exit status within END_SECONDS, None if unknown, or STILL_RUNS."""
        end = monotonic() + END_SECONDS
        while True:
            try:
                return self.process.wait(max(0.0, end - monotonic()))
            except psutil.TimeoutExpired:
                return STILL_RUNS
            except OSError:  # EINVAL of a process just killed (psutil#2715)
                if not self.alive():
                    return None
                sleep(0.01)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)
        for process in (self.process, *self._strays):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)


def _group_of(process: psutil.Process) -> int | None:
    try:
        return os.getpgid(process.pid)
    except ProcessLookupError:
        return None

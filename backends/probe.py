"""A process that answers for a backend which is not ours: what the parent must know of it.

A stranger's module may print, hang, or end its process while it is imported, and one in another
environment cannot be imported here at all. So its pure members are asked in a process of their
own, started with the interpreter that the backend will run in, which has neither the terminal nor
the run in its hands. Between two questions it is stopped: what waits must be still.

The upper half runs in the parent, `serve` in the process that is asked.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import json
import os
import selectors
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic
from typing import Any

from backends.words import first_line, plain

ROOT = Path(__file__).resolve().parent.parent
WAIT_VARIABLE = "RNNBENCH_PROBE_SECONDS"
WAIT_SECONDS = 30.0
PR_SET_PDEATHSIG = 1
_LONGEST_BYTES = 1 << 20  # of an answer
_STOPS = sys.platform == "linux"  # elsewhere a stopped process would not see its parent end

_BOOT = """
import json, sys
if sys.version_info < (3, 11):
    found = "its interpreter is Python %d.%d; expected 3.11 or newer" % sys.version_info[:2]
    sys.exit(print(json.dumps({"error": found})))
try:
    import numpy
except ImportError as error:
    found = "numpy cannot be imported there (%s); install it there, every backend needs it" % error
    sys.exit(print(json.dumps({"error": found})))
sys.path.insert(0, sys.argv[1])
from backends.probe import serve
serve(sys.argv[2])
"""


class ProbeError(RuntimeError):
    """What a backend could not say; the message goes behind its name."""


class Probe:
    """One backend's process. It is started by the first question and ends with the parent."""

    def __init__(self, python: str, backend: str) -> None:
        self._python, self._backend = python, backend
        self._process: subprocess.Popen[bytes] | None = None
        self._end = ""  # why nothing more can be asked

    def ask(self, member: str, given: dict[str, Any]) -> Any:
        """What `serve` answers; raises ProbeError. One that hung or died is not asked again."""
        if self._end:
            raise ProbeError(self._end)
        where = "while it is imported" if member == "load" else f"in `{member}`"
        wait = wait_seconds()
        if self._process is None:
            self._process = self._start()
        process = self._process
        assert process.stdin is not None
        try:
            self._signal(signal.SIGCONT)
            process.stdin.write(json.dumps([member, given]).encode() + b"\n")
            process.stdin.flush()
            line = self._line(where, wait)
        except BrokenPipeError:
            line = b""
        if not line:
            raise ProbeError(self._over(f"ends its process {where} ({self._exit()})"))
        self._signal(signal.SIGSTOP)
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or not ({"error", "value"} & set(answer)):
            raise ProbeError(self._over(f"writes into what its process answers {where}"))
        if "error" in answer:
            raise ProbeError(plain(answer["error"]))
        return answer["value"]

    def close(self) -> None:
        """End its process, and what it started."""
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                assert pipe is not None
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
            self._process = None
        atexit.unregister(self.close)

    def _start(self) -> subprocess.Popen[bytes]:
        atexit.register(self.close)
        try:
            return subprocess.Popen(
                [self._python, "-c", _BOOT, str(ROOT), self._backend],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            message = f"its interpreter cannot be started: {error.strerror}"
            raise ProbeError(self._over(message)) from error

    def _line(self, where: str, wait: float) -> bytes:
        """One line of its answer; empty where it ended without one."""
        assert self._process is not None
        assert self._process.stdout is not None
        found, end = b"", monotonic() + wait
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while not found.endswith(b"\n"):
                if not selector.select(max(0.0, end - monotonic())):
                    raise ProbeError(
                        self._over(
                            f"gives no answer within {wait:g} s {where}; a backend imports its "
                            f"framework in `versions`, `devices` and `build` alone (a longer wait: "
                            f"{WAIT_VARIABLE}=SECONDS)"
                        )
                    )
                part = os.read(self._process.stdout.fileno(), 1 << 16)
                found += part
                if not part:
                    return b""
                if len(found) > _LONGEST_BYTES:
                    raise ProbeError(
                        self._over(f"answers more than {_LONGEST_BYTES} bytes {where}")
                    )
        return found

    def _over(self, why: str) -> str:
        """Remember why nothing more can be asked, and end the process."""
        self._end = why
        self.close()
        return why

    def _exit(self) -> str:
        assert self._process is not None
        try:
            code = self._process.wait(5)
        except subprocess.TimeoutExpired:
            return "its channel closed, and it lives on"
        return f"by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"

    def _signal(self, number: signal.Signals) -> None:
        if number != signal.SIGKILL and not _STOPS:
            return
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


def wait_seconds() -> float:
    """How long a backend may take for one answer; raises ProbeError for a setting that is none."""
    setting = os.environ.get(WAIT_VARIABLE, str(WAIT_SECONDS))
    try:
        wait = float(setting)
    except ValueError:
        wait = 0.0
    if not 0.0 < wait < float("inf"):
        raise ProbeError(f"{WAIT_VARIABLE} is {setting!r}; expected a number of seconds above 0")
    return wait


def serve(name: str) -> None:
    """Answer [member, arguments] with {"value": ...} or {"error": "..."}, a line each."""
    if sys.platform == "linux":
        # SIGKILL ends a stopped process too.
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # What the backend prints goes nowhere, and it cannot read what is asked.
    questions, answers = os.fdopen(os.dup(0), "r"), os.fdopen(os.dup(1), "w", buffering=1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    for question in questions:
        member, given = json.loads(question)
        try:
            answer = {"value": _answer(name, member, given)}
        except BaseException as error:  # a stranger's code may raise anything, SystemExit too
            answer = {"error": _said(member, error)}
        answers.write(json.dumps(answer) + "\n")
    os._exit(0)  # whatever the backend left running ends here


def _answer(name: str, member: str, given: dict[str, Any]) -> Any:
    from backends import contract, registry

    entry = registry.installed(name)
    backend = registry.make(entry)
    if member == "load":  # the modules that it needs beside its own, and does not find
        return entry.absent()
    return contract.answer(backend, member, given)


def _said(member: str, error: BaseException) -> str:
    from backends import registry
    from backends.contract import ContractError

    if isinstance(error, ContractError | registry.UnknownBackendError):
        return str(error)
    return f"fails in `{member}`: {first_line(error)}"

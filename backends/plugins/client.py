"""The pure members of backends that are not imported into the process of a run.

A plugin can print, hang, or end its process while it is imported, and a backend in another
environment cannot be imported here at all. So the members of each are called in a process of its
own, with the Python that will run it. The answers are cached.
"""

from __future__ import annotations

import atexit
import os
import sys
from dataclasses import asdict
from functools import cache
from typing import Any

from backends.entry import Entry
from backends.plugins.errors import (
    BrokenBackendError,
    BrokenContractError,
    DiedError,
    NoAnswerError,
    ProcessError,
    RaisedError,
    StartError,
)
from backends.plugins.process import PythonProcess
from tasks.spec import ModelSpec, OptimizerSpec

WAIT_VARIABLE = "RNNBENCH_PROBE_SECONDS"
WAIT_SECONDS = 30.0
SERVER = "backends.plugins.server:serve_pure_members"


class Client:
    """The process of one backend. The first call starts it, and it ends with its parent."""

    def __init__(self, python: str, backend: str) -> None:
        self._python, self._backend = python, backend
        self._process: PythonProcess | None = None
        self._end = ""  # why it ended; then no further call is possible

    def absent(self) -> list[str]:
        """The modules that it needs and that are missing; raises ProcessError."""
        found: list[str] = self._ask("absent", "while it is imported", "load")
        return found

    def answer(self, member: str, given: dict[str, Any]) -> Any:
        """The result of a pure member; raises ProcessError."""
        return self._ask("answer", f"in `{member}`", member, member=member, given=given)

    def close(self) -> None:
        """End its process and the processes that this one started."""
        if self._process is not None:
            atexit.unregister(self._process.end_at_exit)
            self._process.kill()
            self._process = None

    def _ask(self, operation: str, where: str, asked: str, **arguments: Any) -> Any:
        """Call an operation; a process that hung or died is not started again."""
        if self._end:
            raise ProcessError(self._end)
        seconds = wait_seconds()
        try:
            if self._process is None:
                # Elsewhere a stopped process would not see its parent end.
                stops = sys.platform == "linux"
                self._process = PythonProcess(self._python, SERVER, stops=stops)
                atexit.register(self._process.end_at_exit)
            return self._process.call(operation, seconds, name=self._backend, **arguments)
        except BrokenContractError:
            raise
        except RaisedError as error:
            raise RaisedError(f"fails in `{asked}`: {error}", error.details) from error
        except StartError as error:
            self._end = f"{error}{error.printed}"
        except DiedError as error:
            self._end = f"ended its process {where} ({error})"
        except NoAnswerError as error:
            self._end = (
                f"did not answer {error} {where}; a backend must import its framework only in "
                f"`versions`, `devices` and `build` (to wait longer: {WAIT_VARIABLE}=SECONDS)"
            )
        self.close()
        raise ProcessError(self._end)


def wait_seconds() -> float:
    """How long a backend may take for one answer; raises ProcessError for an invalid setting."""
    setting = os.environ.get(WAIT_VARIABLE, str(WAIT_SECONDS))
    try:
        wait = float(setting)
    except ValueError:
        wait = 0.0
    if not 0.0 < wait < float("inf"):
        raise ProcessError(f"{WAIT_VARIABLE} is {setting!r}; expected a number of seconds above 0")
    return wait


@cache
def _client(entry: Entry) -> Client:
    return Client(entry.executable, entry.backend)


@cache
def problem(entry: Entry) -> str | None:
    """Why a plugin, or a backend in its own environment, cannot run; None if it can."""
    try:
        absent = _client(entry).absent()
    except ProcessError as error:
        return f"{named(entry)} {error}"
    if not absent:
        return None
    return f"{named(entry)}: {' and '.join(absent)} is not installed; use the pip of its Python"


@cache
def answer(
    entry: Entry,
    member: str,
    spec: ModelSpec | OptimizerSpec | None,
    options: tuple[tuple[str, Any], ...],
) -> Any:
    """The result of a pure member; raises BrokenBackendError."""
    why = problem(entry)
    if why is not None:
        raise BrokenBackendError(why)
    given = dict(options) if spec is None else {"spec": asdict(spec), **dict(options)}
    try:
        value = _client(entry).answer(member, given)
    except ProcessError as error:
        raise BrokenBackendError(f"{named(entry)} {error}") from error
    return OptimizerSpec(**value) if member == "optimizer" else value


def named(entry: Entry) -> str:
    """ "jax@0.9 (jax in an environment of its own, rnnbench.toml)"."""
    own = f"{entry.runs} in an environment of its own, " if entry.own_environment else ""
    return f"{entry.name} ({own}{entry.origin})"

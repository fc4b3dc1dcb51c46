"""The pure members of a backend that is not imported into the process of a run.

A plugin may print, hang, or end its process while it is imported, and a backend in another
environment cannot be imported here at all. So each is asked in a process of its own, started with
the Python that it will run in; what it said once is remembered.
"""

from __future__ import annotations

import atexit
import os
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
    """One backend's process. It is started by the first question and ends with the parent."""

    def __init__(self, python: str, backend: str) -> None:
        self._python, self._backend = python, backend
        self._process: PythonProcess | None = None
        self._end = ""  # why nothing more can be asked

    def absent(self) -> list[str]:
        """The modules that it needs and does not find; raises ProcessError."""
        found: list[str] = self._ask("absent", "while it is imported", "load")
        return found

    def answer(self, member: str, given: dict[str, Any]) -> Any:
        """What a pure member gives; raises ProcessError."""
        return self._ask("answer", f"in `{member}`", member, member=member, given=given)

    def close(self) -> None:
        """End its process, and what that started."""
        if self._process is not None:
            self._process.kill()
            self._process = None
        atexit.unregister(self.close)

    def _ask(self, operation: str, where: str, asked: str, **arguments: Any) -> Any:
        """One that hung or died is not asked again."""
        if self._end:
            raise ProcessError(self._end)
        seconds = wait_seconds()
        try:
            if self._process is None:
                atexit.register(self.close)
                self._process = PythonProcess(self._python, SERVER)
            return self._process.call(operation, seconds, name=self._backend, **arguments)
        except BrokenContractError:
            raise
        except RaisedError as error:
            raise RaisedError(f"fails in `{asked}`: {error}", error.details) from error
        except StartError as error:
            self._end = f"{error}{error.printed}"
        except DiedError as error:
            self._end = f"ends its process {where} ({error})"
        except NoAnswerError as error:
            self._end = (
                f"gives no answer {error} {where}; a backend imports its framework in `versions`, "
                f"`devices` and `build` alone (a longer wait: {WAIT_VARIABLE}=SECONDS)"
            )
        self.close()
        raise ProcessError(self._end)


def wait_seconds() -> float:
    """How long a backend may take for one answer; raises ProcessError for another setting."""
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
    """What is in the way of a plugin, or of a backend in its own environment."""
    try:
        absent = _client(entry).absent()
    except ProcessError as error:
        return f"{named(entry)} {error}"
    if not absent:
        return None
    return f"{named(entry)}: {' and '.join(absent)} is not installed; install it with its own pip"


@cache
def answer(
    entry: Entry,
    member: str,
    spec: ModelSpec | OptimizerSpec | None,
    options: tuple[tuple[str, Any], ...],
) -> Any:
    """What a pure member gives; raises BrokenBackendError."""
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

"""Finds what another Python has started, wherever that has gone.

A process that leaves its group and its parent, as a daemon does, still has the environment that it
was started with: a mark there names the Python it comes from.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import signal
from pathlib import Path

VARIABLE = "RNNBENCH_PROCESS"
OF_THIS_RUN = secrets.token_hex(8)
MOST_PASSES = 20  # over all processes, while what is ended starts others
_numbers = itertools.count()
_PROCESSES = Path("/proc")


def new() -> str:
    """A mark that no other process has; the name of the run is its beginning."""
    return f"{OF_THIS_RUN}-{next(_numbers)}."


def marked(mark: str) -> list[int]:
    """The numbers of the processes with this mark; none where the system has no /proc."""
    wanted = f"{VARIABLE}={mark}".encode()
    found = []
    for folder in _PROCESSES.glob("[0-9]*"):
        # Ended meanwhile, or of another user.
        with contextlib.suppress(OSError):
            if wanted in (folder / "environ").read_bytes():
                found.append(int(folder.name))
    return found


def kill(mark: str) -> None:
    """Send SIGKILL to every process with this mark, until there is none that could start more."""
    for _ in range(MOST_PASSES):
        # An ended process that nobody has waited for has an empty environment.
        found = [number for number in marked(mark) if number != os.getpid()]
        for number in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(number, signal.SIGKILL)
        if not found:
            return

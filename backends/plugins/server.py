"""Runs inside another Python and answers operations until its parent is gone.

It needs the standard library and numpy. `backends.plugins.process` starts it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import traceback
from typing import Any

from backends.plugins import contract, loading
from backends.plugins.errors import ContractError, UnknownBackendError
from backends.plugins.sanitize import first_line

PR_SET_PDEATHSIG = 1


def serve(channel: Any, operations: object, parent: int, log: str) -> None:
    """Answer (operation, arguments) with ("ok", value) or ("error", kind, message, traceback).

    Every public method of `operations` is an operation. `kind` is "contract" if an object violates
    the contract, else "raised".
    """
    _detach(parent, log)
    for operation, arguments in channel:
        try:
            channel.send(("ok", getattr(operations, operation)(**arguments)))
        except BaseException as error:
            # Any exception of a framework goes to the parent as text; the channel stays usable.
            known = isinstance(error, ContractError | UnknownBackendError)
            kind, message = ("contract", str(error)) if known else ("raised", first_line(error))
            channel.send(("error", kind, message, traceback.format_exc()))


def _detach(parent: int, log: str) -> None:
    """Make a session of its own, end with the parent, and send the output to a file."""
    if os.getpgid(0) != os.getpid():
        os.setsid()  # a Ctrl-C at the terminal must not reach a stopped process
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        # SIGKILL ends a stopped process too.
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)  # the parent ended before the line above
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(target, 2)
    os.dup2(target, 1)
    os.close(target)


class PureMembers:
    """What is asked of a backend before its worker starts. Each method is an operation."""

    def absent(self, *, name: str) -> list[str]:
        """Load it; return the missing modules that it needs besides its own."""
        entry = loading.installed(name)
        loading.make(entry)
        return entry.absent()

    def answer(self, *, name: str, member: str, given: dict[str, Any]) -> Any:
        """The result of a pure member, as plain values."""
        backend = loading.make(loading.installed(name))
        return contract.answer(backend, member, given)


def serve_pure_members(channel: Any, parent: int, log: str) -> None:
    serve(channel, PureMembers(), parent, log)

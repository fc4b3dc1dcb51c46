"""The errors of backends and of the processes in which they run."""

from __future__ import annotations

import signal


class UnknownBackendError(ValueError):
    """No variant has that name; the message lists the known ones."""


class BrokenBackendError(RuntimeError):
    """A variant exists but cannot be used; the message says why."""


class ContractError(TypeError):
    """An object is not a Backend or a Model; the message says what was expected and found."""


class ProcessError(RuntimeError):
    """Another Python did not return a value; the message is one line."""

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.details = details  # a traceback, or the last lines of its output


class StartError(ProcessError):
    """It cannot start, or lacks what every backend needs; `details` is its output."""

    @property
    def printed(self) -> str:
        """ "; it printed ...", to append to the message."""
        return f"; it printed {self.details}" if self.details else ""


class RaisedError(ProcessError):
    """The operation raised an exception there; the process still runs."""


class BrokenContractError(RaisedError):
    """The operation raised a ContractError there; the process still runs."""


class DiedError(ProcessError):
    """The process ended by itself; the message says how."""


class NoAnswerError(ProcessError):
    """The process did not answer in time and was killed."""


def signal_name(number: int) -> str:
    """ "SIGSEGV"; Python has no names for most real-time signals."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"

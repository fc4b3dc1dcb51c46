"""What goes wrong with a backend or with the process that it runs in."""

from __future__ import annotations


class UnknownBackendError(ValueError):
    """No variant of that name; the message lists those there are."""


class BrokenBackendError(RuntimeError):
    """A variant is there and cannot be used; the message says why."""


class ContractError(TypeError):
    """An object that is no Backend, or no Model; the message says what is there and what is not."""


class ProcessError(RuntimeError):
    """Another Python that did not answer with a value; the message is one line."""

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.details = details  # a traceback, or the last lines that it printed


class StartError(ProcessError):
    """It cannot be started, or lacks what every backend needs; `details` is what it printed."""

    @property
    def printed(self) -> str:
        """ "; it printed ...", to go on behind the message."""
        return f"; it printed {self.details}" if self.details else ""


class RaisedError(ProcessError):
    """What was asked for raised there; it lives on."""


class BrokenContractError(RaisedError):
    """It raised a ContractError there; it lives on."""


class DiedError(ProcessError):
    """It ended by itself; the message says how."""


class NoAnswerError(ProcessError):
    """No answer in time; it was ended."""

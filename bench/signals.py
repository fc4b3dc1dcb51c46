"""Signals that end or suspend a run.

SIGTERM and SIGHUP do what Ctrl-C does: they raise KeyboardInterrupt in the main thread, so that
workers end and a report is made. Ctrl-Z suspends this process as it would without this module, and
the time until it goes on is known, so that no time limit counts it.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from types import FrameType
from typing import Any

ENDING = (signal.SIGTERM, signal.SIGHUP)


@dataclass
class Received:
    """What this process received since it heeds signals."""

    ending: signal.Signals | None = None  # the first that asked it to end
    suspensions: int = 0  # how often it was continued after a stop
    suspended_seconds: float = 0.0  # by Ctrl-Z

    @property
    def in_words(self) -> str:
        """ "interrupted" for Ctrl-C, "ended by SIGTERM" for another signal."""
        other = self.ending is not None and self.ending != signal.SIGINT
        return f"ended by {self.ending.name}" if other and self.ending else "interrupted"

    @property
    def exit_status(self) -> int:
        """The one that shells give a command which the signal has ended; 130 for Ctrl-C."""
        return 128 + (self.ending or signal.SIGINT)


received = Received()


def awake_seconds() -> float:
    """A clock that stands still while this process is suspended by Ctrl-Z."""
    return perf_counter() - received.suspended_seconds


@contextmanager
def heeded() -> Iterator[None]:
    """Heed the signals. One that is ignored stays so, as SIGHUP under `nohup`."""
    global received
    if threading.current_thread() is not threading.main_thread():
        yield  # a signal is handled in the main thread alone
        return
    received = Received()
    default: Any = signal.SIG_DFL
    handlers: dict[signal.Signals, tuple[Callable[..., None], Any]] = {
        **dict.fromkeys(ENDING, (_end, default)),
        signal.SIGINT: (_interrupt, signal.default_int_handler),
        signal.SIGTSTP: (_suspend, default),
        signal.SIGCONT: (_continue, default),
    }
    before = {
        number: signal.signal(number, ours)
        for number, (ours, expected) in handlers.items()
        if signal.getsignal(number) == expected
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Ctrl-C. A second one ends the report too."""
    received.ending = received.ending or signal.SIGINT
    raise KeyboardInterrupt


def _end(number: int, frame: FrameType | None) -> None:
    """The first of them ends the run. A terminal that closes sends several: the report is made."""
    if received.ending is None:
        received.ending = signal.Signals(number)
        raise KeyboardInterrupt


def _suspend(number: int, frame: FrameType | None) -> None:
    """Stop as if nobody had asked for SIGTSTP, and count the time until the shell continues it."""
    begin = perf_counter()
    signal.signal(signal.SIGTSTP, signal.SIG_DFL)
    signal.pthread_kill(threading.get_ident(), signal.SIGTSTP)
    signal.signal(signal.SIGTSTP, _suspend)
    received.suspended_seconds += perf_counter() - begin


def _continue(number: int, frame: FrameType | None) -> None:
    received.suspensions += 1

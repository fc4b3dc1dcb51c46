"""A line that shows the progress of a long run, even while pytest captures the terminal."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from typing import TextIO


class Progress:
    """Rewrites one line on a terminal; otherwise prints one line per workload."""

    def __init__(self, expected: Sequence[float]) -> None:
        """`expected` seconds of each workload; how long it really takes corrects them."""
        # A copy made before pytest captures, so its output is visible while a test runs.
        error = sys.__stderr__
        target = os.dup(error.fileno()) if error else os.open(os.devnull, os.O_WRONLY)
        self._out: TextIO = os.fdopen(target, "w")
        self._live = self._out.isatty()
        self._shown = 0.0
        self._name = "before the first workload"
        self.expect(expected)

    def expect(self, expected: Sequence[float]) -> None:
        """Begin to count: `expected` seconds of each workload that is left."""
        self._total, self._left = len(expected), Left(expected)

    def note(self, text: str) -> None:
        """A line of its own, which stays."""
        self._write(f"{text}\n")

    def begin(self, name: str) -> None:
        """A workload begins."""
        self._left.begin(time.monotonic())
        self._name = name
        self._write("\n" if self._live else f"\n{self._head()}: {name}\n")
        self._shown = 0.0

    def report(self, what: str) -> None:
        """Show what it is doing, at most twice a second: nothing else should use the CPU."""
        now = time.monotonic()
        if self._live and now - self._shown > 0.5:
            width = os.get_terminal_size(self._out.fileno()).columns or 80
            self._write(f"\r\x1b[K{_cut(f'{self._head()}, {what}: {self._name}', width - 1)}")
            self._shown = now

    def done(self) -> None:
        """The workload has ended."""
        self._left.done(time.monotonic())
        if self._live:
            self._write("\r\x1b[K")

    def close(self) -> None:
        self._out.close()

    def _head(self) -> str:
        """ "[2/6] about 40 s left": it comes before what a narrow terminal may cut."""
        left = self._left.seconds(time.monotonic())
        words = f"about {in_words(left)}" if left >= 1 else "a moment"
        return f"[{self._left.number}/{self._total}] {words} left"

    def _write(self, text: str) -> None:
        try:
            self._out.write(text)
            self._out.flush()
        except OSError:  # its reader or terminal has left, or its disk is full: the run goes on
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._out.fileno())
            os.close(nowhere)


class Left:
    """How long the rest of a run takes, by what was expected and what it took so far."""

    def __init__(self, expected: Sequence[float]) -> None:
        self.number = 0  # of the present workload, from 1
        self._expected = list(expected)
        self._begin = 0.0
        self._taken: list[float] = []

    def begin(self, now: float) -> None:
        self.number, self._begin = self.number + 1, now

    def done(self, now: float) -> None:
        self._taken.append(now - self._begin)

    def seconds(self, now: float) -> float:
        """Expected seconds from `now` until the end of the run.

        The workloads that have ended correct what was expected of the others, which counts as much
        as one of them.
        """
        ended = len(self._taken)
        one = sum(self._expected) / max(1, len(self._expected))
        expected = sum(self._expected[:ended]) + one
        scale = (sum(self._taken) + one) / expected if expected else 1.0
        later = scale * sum(self._expected[self.number :])
        if self.number == ended:
            return later
        return later + max(0.0, scale * self._expected[ended] - (now - self._begin))


def in_words(seconds: float) -> str:
    """ "40 s", "3 min"."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else f"{line[: width - 1]}…"

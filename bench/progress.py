"""A line that shows the progress of a long run, even while pytest captures the terminal."""

from __future__ import annotations

import os
import sys
import time
from typing import TextIO


class Progress:
    """Rewrites one line on a terminal; otherwise prints one line per workload."""

    def __init__(self, total: int) -> None:
        # A copy made before pytest captures, so its output is visible while a test runs.
        error = sys.__stderr__
        target = os.dup(error.fileno()) if error else os.open(os.devnull, os.O_WRONLY)
        self._out: TextIO = os.fdopen(target, "w")
        self._live = self._out.isatty()
        self._begin = time.monotonic()
        self._shown = 0.0
        self._head = "before the first workload"
        self._total = total
        self._done = 0

    def begin(self, name: str) -> None:
        """A workload begins."""
        self._head = f"[{self._done + 1}/{self._total}] {name}{self._left()}"
        self._write("\n" if self._live else f"\n{self._head}\n")
        self._shown = 0.0

    def report(self, what: str) -> None:
        """Show what it is doing, at most twice a second: nothing else should use the CPU."""
        now = time.monotonic()
        if self._live and now - self._shown > 0.5:
            width = os.get_terminal_size(self._out.fileno()).columns or 80
            self._write(f"\r\x1b[K{f'{self._head}: {what}'[: width - 1]}")
            self._shown = now

    def done(self) -> None:
        """The workload has ended."""
        self._done += 1
        if self._live:
            self._write("\r\x1b[K")

    def close(self) -> None:
        self._out.close()

    def _write(self, text: str) -> None:
        try:
            self._out.write(text)
            self._out.flush()
        except BrokenPipeError:  # its reader has left, as `| head` does: the run goes on
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._out.fileno())
            os.close(nowhere)

    def _left(self) -> str:
        if not self._done:
            return ""
        seconds = (time.monotonic() - self._begin) / self._done * (self._total - self._done)
        return f", about {seconds:.0f} s left"

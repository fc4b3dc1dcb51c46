"""What another Python prints: a file that only the user can read, and that does not grow."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from backends.plugins.sanitize import plain_lines

LINES = 30  # last lines in the details of an error
MOST_BYTES = 16 * 2**20  # of the file; a process that prints more loses the beginning
KEPT_BYTES = 64 * 2**10  # of its end


class OutputLog:
    """The file; the process appends to it."""

    def __init__(self) -> None:
        descriptor, name = tempfile.mkstemp(prefix="rnnbench-", suffix=".log")  # with mode 0600
        os.close(descriptor)
        self.path = Path(name)

    def trim(self) -> None:
        """Keep the end alone of a file that has become too long."""
        try:
            if self.path.stat().st_size > MOST_BYTES:
                end = self._end()
                os.truncate(self.path, 0)  # the process appends, so it goes on at the new end
                with self.path.open("ab") as out:
                    out.write(b"(the beginning is left out)\n" + end)
        except FileNotFoundError:
            return  # something has cleaned up the folder for temporary files

    def last_lines(self) -> str:
        """The last lines; empty if the file is no longer there."""
        try:
            lines = self._end().decode(errors="replace").splitlines()[-LINES:]
        except FileNotFoundError:
            return ""
        return plain_lines("\n".join(lines))

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)

    def _end(self) -> bytes:
        with self.path.open("rb") as content:
            size = content.seek(0, os.SEEK_END)
            content.seek(max(0, size - KEPT_BYTES))
            return content.read()

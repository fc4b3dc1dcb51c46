"""The folder of a run that goes on, and its records there.

What was measured survives a folder that becomes full, read-only, or vanishes: then `rescue` copies
all of it to another place.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from bench.records import store
from bench.records.schema import Record


class RunExistsError(ValueError):
    """The folder holds a run already."""


class RunFolder:
    """The folder and the file of records, which stays open from the first line on."""

    def __init__(self, folder: Path, *, resumed: bool = False) -> None:
        """Make the folder. Raises OSError if it cannot be written, and RunExistsError if it holds
        a run that is not `resumed`.
        """
        self.path, self._open = folder, -1
        # The folders that are made here, the innermost first.
        self._made = (
            [] if resumed else [folder, *([] if folder.parent.exists() else [folder.parent])]
        )
        folder.mkdir(parents=True, exist_ok=True)
        if self.file.exists() and not resumed:
            raise RunExistsError(f"{folder} holds a run already")
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"\n")

    @property
    def file(self) -> Path:
        return self.path / store.FILE

    @property
    def recorded(self) -> bool:
        """Whether lines were appended."""
        return self._open >= 0

    def append(self, records: Iterable[Record]) -> None:
        """Append one line per record, all or none, and return when they are on disk.

        Raises OSError if that fails, or if the file is no longer in its place.
        """
        lines = store.lines(records)
        if self._open < 0:
            self._open = os.open(self.file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        elif not self._in_place():
            raise FileNotFoundError(errno.ENOENT, "it is no longer there")
        store.write_all(self._open, lines)

    def _in_place(self) -> bool:
        with contextlib.suppress(OSError):
            return os.path.samestat(os.fstat(self._open), self.file.stat())
        return False

    def rescue(self, records: Iterable[Record]) -> Path:
        """Copy the lines, and `records` behind them, into a folder for temporary files.

        It is then the folder of the run. Raises OSError if that fails too.
        """
        lines = self._content() + store.lines(records)
        rescued = Path(tempfile.mkdtemp(prefix="rnnbench-")) / self.path.name
        rescued.mkdir()
        self.close()
        self.path = rescued
        self._open = os.open(self.file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        store.write_all(self._open, lines)
        return rescued

    def _content(self) -> bytes:
        """Of a file that was removed, the content is there as long as it is open."""
        if self._open >= 0:
            return os.pread(self._open, os.fstat(self._open).st_size, 0)
        return self.file.read_bytes() if self.file.exists() else b""

    def close(self) -> None:
        """Close the file; remove a folder that was made here and in which nothing was recorded."""
        if self._open >= 0:
            os.close(self._open)
            self._open = -1
            return
        store.remove_if_empty(*self._made)

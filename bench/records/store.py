"""Records on disk: one JSON object per line, appended when a workload ends, read as a whole."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import msgspec
from msgspec.structs import replace

from bench.records.schema import FORMAT, Measurement, Record, Run, WorkloadRecord
from bench.records.workload import Workload

FILE = "measurements.jsonl"
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def lines(records: Iterable[Record]) -> bytes:
    """One line per record."""
    return b"".join(msgspec.json.encode(record) + b"\n" for record in records)


def append(file: Path, records: Iterable[Record]) -> None:
    """Append one line per record, and return when the lines are on disk."""
    out = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        write_all(out, lines(records))
    finally:
        os.close(out)


def write_all(out: int, content: bytes) -> None:
    """Append all of `content`, or nothing, to an open file; return when it is on disk.

    An incomplete last line, left by a crash, is removed first. Raises OSError.
    """
    size = _without_torn_line(out)
    try:
        written = 0
        while written < len(content):
            written += os.write(out, content[written:])
        os.fsync(out)
    except OSError:
        with contextlib.suppress(OSError):  # what is left of it is read as a torn line
            os.ftruncate(out, size)
        raise


def _without_torn_line(out: int) -> int:
    """Remove the last line if it is incomplete; return the size of the file in bytes."""
    size = os.fstat(out).st_size
    if not size or os.pread(out, 1, size - 1) == b"\n":
        return size
    content = os.pread(out, size, 0)
    whole = content.rfind(b"\n") + 1
    try:
        msgspec.json.decode(content[whole:])
    except _UNREADABLE:
        os.ftruncate(out, whole)
        return whole
    os.write(out, b"\n")  # the last line is complete, only its end is missing
    return size + 1


def remove_if_empty(*folders: Path) -> None:
    """Remove each folder, the innermost first, that is there and holds nothing."""
    for folder in folders:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def read(file: Path) -> tuple[Run, list[Measurement], list[WorkloadRecord]]:
    """A run, its measurements of every role, and its workload records.

    Lines that cannot be read, such as one that a crash left incomplete, are left out and named in
    `Run.damaged`. Raises ValueError if no line holds a Run, or if one has another format.
    """
    damaged: list[str] = []
    records = list(_readable(file, damaged))
    runs = [record for record in records if isinstance(record, Run)]
    if not runs:
        found = f"; {damaged[0]}" if damaged else ""
        raise ValueError(f"{file.name} contains no run; its first line must be one{found}")
    return (
        replace(runs[0], damaged=tuple(damaged), resumed=tuple(run.started for run in runs[1:])),
        [record for record in records if isinstance(record, Measurement)],
        [record for record in records if isinstance(record, WorkloadRecord)],
    )


def keep(file: Path, wanted: Collection[Workload]) -> None:
    """Write the file anew, with the lines of runs and of these workloads alone."""
    kept = [
        record
        for record in _readable(file, [])
        if isinstance(record, Run) or record.workload in wanted
    ]
    write_whole(file, lines(kept))


def write_whole(file: Path, content: bytes) -> Path:
    """Write all or nothing, beside the file and renamed: a reader never sees half of it."""
    draft = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        draft.write_bytes(content)
        os.replace(draft, file)
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
    return file


def _readable(file: Path, damaged: list[str]) -> Iterator[Record]:
    """The records of a file; `damaged` gets a sentence for each line that cannot be read."""
    decoder = msgspec.json.Decoder(Record)
    for number, line in enumerate(file.read_bytes().split(b"\n"), 1):
        if not line.strip():
            continue
        _expect_format(file, line)
        try:
            yield decoder.decode(line)
        except _UNREADABLE as error:
            damaged.append(f"line {number} cannot be read: {error}")


def _expect_format(file: Path, line: bytes) -> None:
    """Raise ValueError for another format, before the other fields of the line are read."""
    if b'"format"' not in line:
        return
    try:
        head = msgspec.json.decode(line)
    except _UNREADABLE:
        return
    found = head.get("format", FORMAT) if isinstance(head, dict) else FORMAT
    if found != FORMAT:
        newer = isinstance(found, int) and found > FORMAT
        what = "; a newer rnnbench has written it" if newer else ""
        raise ValueError(
            f"{file.name} has format {found}; this version reads format {FORMAT}{what}"
        )

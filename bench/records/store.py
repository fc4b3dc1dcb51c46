"""Records on disk: one JSON object per line, appended when a workload ends, read as a whole."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import msgspec

from bench.records.schema import FORMAT, Measurement, Record, Run, WorkloadRecord

FILE = "measurements.jsonl"


def append(file: Path, records: Iterable[Record]) -> None:
    """Append one line per record, and return when the lines are on disk.

    An incomplete last line, left by a crash, is removed first.
    """
    with file.open("ab+") as out:
        _cut_torn_line(out)
        for record in records:
            out.write(msgspec.json.encode(record) + b"\n")
        out.flush()
        os.fsync(out.fileno())


def remove_if_empty(*folders: Path) -> None:
    """Remove each folder, the innermost first, that is there and holds nothing."""
    for folder in folders:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _cut_torn_line(out: BinaryIO) -> None:
    out.seek(0)
    content = out.read()
    whole = content.rfind(b"\n") + 1
    tail = content[whole:]
    if not tail:
        return
    try:
        msgspec.json.decode(tail)
    except (msgspec.DecodeError, UnicodeDecodeError):
        out.truncate(whole)
    else:
        out.write(b"\n")  # the last line is complete, only its end is missing


def read(file: Path) -> tuple[Run, list[Measurement], list[WorkloadRecord]]:
    """A run, its measurements of every role, and its workload records.

    An incomplete last line, left by a crash, is ignored. Raises ValueError if the file does not
    start with a Run, has another format, or has a line that cannot be read.
    """
    decoder = msgspec.json.Decoder(Record)
    records: list[Record] = []
    lines = file.read_bytes().splitlines(keepends=True)
    _check_format(file, lines[:1])
    for number, line in enumerate(lines, 1):
        try:
            records.append(decoder.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            if number == len(lines) and not line.endswith(b"\n"):
                break
            raise ValueError(f"{file.name}, line {number}: {error}") from error
    if not records or not isinstance(records[0], Run):
        raise ValueError(f"{file.name} contains no run; its first line must be one")
    return (
        records[0],
        [record for record in records if isinstance(record, Measurement)],
        [record for record in records if isinstance(record, WorkloadRecord)],
    )


def _check_format(file: Path, first: list[bytes]) -> None:
    """Raise ValueError for another format, before its other fields are read."""
    for line in first:
        try:
            head = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return  # the reader reports it with its line number
        found = head.get("format", FORMAT) if isinstance(head, dict) else FORMAT
        if found != FORMAT:
            raise ValueError(f"{file.name} has format {found}; this version reads format {FORMAT}")

"""Records on disk: one JSON object a line, appended as each workload ends, read as a whole."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import msgspec

from bench.records.schema import FORMAT, Measurement, Record, Run, WorkloadRecord

FILE = "measurements.jsonl"


def append(file: Path, records: Iterable[Record]) -> None:
    """Append one line a record, and return only when the lines are on disk.

    A torn last line, which a crash left behind, is cut off first.
    """
    with file.open("ab+") as out:
        _cut_torn_line(out)
        for record in records:
            out.write(msgspec.json.encode(record) + b"\n")
        out.flush()
        os.fsync(out.fileno())


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
        out.write(b"\n")  # all that was torn off is the end of the line


def read(file: Path) -> tuple[Run, list[Measurement], list[WorkloadRecord]]:
    """A run, its measurements of every role, its workloads; without a last line that a crash tore.

    Raises ValueError for a file that does not start with a Run, that is of another format, or with
    a line that cannot be read.
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
        raise ValueError(f"{file.name} holds no run; expected one in its first line")
    return (
        records[0],
        [record for record in records if isinstance(record, Measurement)],
        [record for record in records if isinstance(record, WorkloadRecord)],
    )


def _check_format(file: Path, first: list[bytes]) -> None:
    """Before anything else of it is read: another format has other fields."""
    for line in first:
        try:
            head = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return  # reported with its line number by the reader
        found = head.get("format", FORMAT) if isinstance(head, dict) else FORMAT
        if found != FORMAT:
            raise ValueError(f"{file.name} has format {found}; this version reads format {FORMAT}")

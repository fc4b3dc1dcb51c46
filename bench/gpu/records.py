"""The record of one run of `rnnbench gpu`: `gpu.json` in the folder of the run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from bench.records.schema import Machine

FILE = "gpu.json"
FORMAT = 1

# "found": a reproduction shows what somebody reported. "not reached": the time was used up before.
Status = Literal["good", "found", "failed", "timed out", "not reached", "skipped"]
BAD: tuple[Status, ...] = ("failed", "timed out", "not reached")


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a variant finds on this machine."""

    variant: str
    versions: dict[str, str] = {}
    devices: tuple[str, ...] = ()
    problem: str = ""  # why it cannot be started


class PartRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one part."""

    name: str
    proves: str
    status: Status
    seconds: float
    limit_seconds: float
    result: str  # one line: what was found, or what went wrong
    log: str = ""  # a file in the folder of the run; empty where nothing was started
    last_lines: tuple[str, ...] = ()  # of the log of a part that is not good


class GpuRun(msgspec.Struct, frozen=True, kw_only=True, tag="gpu", tag_field="record"):
    """One run: where, when, and each part in the order of worth."""

    format: int = FORMAT
    name: str  # the folder
    started: str  # ISO 8601, UTC
    device: str  # "cuda:0"; "cpu" for a rehearsal
    minutes: float  # that it was given
    seconds: float  # that it took
    project: str  # version of rnnbench
    commit: str | None
    machine: Machine
    gpus: tuple[str, ...]  # as the driver names them
    answers: tuple[Answer, ...] = ()
    parts: tuple[PartRecord, ...] = ()

    @property
    def good(self) -> bool:
        """At least one part is good, and none is bad."""
        statuses = {part.status for part in self.parts}
        return bool(statuses & {"good", "found"}) and not statuses & set(BAD)


def write(folder: Path, run: GpuRun) -> None:
    """All of it or nothing: a reader never finds half a file."""
    draft = folder / f".{FILE}.tmp"
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(run)) + b"\n")
    os.replace(draft, folder / FILE)


def read(file: Path) -> GpuRun:
    """Raises ValueError for a file that is no such record, or one of another format."""
    try:
        run = msgspec.json.decode(file.read_bytes(), type=GpuRun)
    except msgspec.DecodeError as error:
        raise ValueError(f"{file.parent.name}/{file.name}: {error}") from error
    if run.format != FORMAT:
        raise ValueError(f"{file} has format {run.format}; this version reads format {FORMAT}")
    return run


def on_a_gpu(reports: Path) -> Iterator[GpuRun]:
    """The runs in `reports` that are no rehearsals, the oldest first."""
    found = map(read, reports.glob(f"*/{FILE}"))
    yield from sorted((r for r in found if r.device != "cpu"), key=lambda run: run.started)

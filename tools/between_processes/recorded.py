"""What is recorded of a process."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import msgspec
import numpy as np

from bench import ROOT
from bench.records.schema import Machine

FILE = ROOT / "docs" / "evidence" / "processes.jsonl"


class Head(msgspec.Struct, frozen=True, kw_only=True, tag="head", tag_field="record"):
    """The first line."""

    started: str  # ISO 8601, UTC
    machine: Machine
    versions: dict[str, str]
    arms: dict[str, str]  # what each of them changes
    large_pages: str  # the kernel's choice for transparent huge pages


class Process(msgspec.Struct, frozen=True, kw_only=True, tag="process", tag_field="record"):
    """One process in one workload."""

    set: int
    variant: str
    arm: str
    copy: int  # 0 or 1
    workload: str  # its id
    before_seconds: float  # start, build and warm-up; of a later workload without the start
    rounds_seconds: float  # of the set's rounds, for each process
    seconds: tuple[float, ...]  # a round's median, the same rounds in the whole set
    slowed_seconds: tuple[float, ...] = ()  # with 10 % added to each step of copy 1
    page_faults: float | None
    switches: float | None
    peak_bytes: int | None
    disturbed: float  # share of the set's blocks


PairKey = tuple[str, str, int]  # workload, variant, set


def read(file: Path = FILE) -> tuple[Head, list[Process]]:
    """The head, and the processes."""
    lines = file.read_bytes().splitlines()
    head = msgspec.json.decode(lines[0], type=Head)
    return head, [msgspec.json.decode(line, type=Process) for line in lines[1:]]


def pairs(processes: Iterable[Process], arm: str) -> dict[PairKey, tuple[Process, Process]]:
    """The two processes of an arm in each set."""
    found: dict[PairKey, dict[int, Process]] = defaultdict(dict)
    for one in processes:
        if one.arm == arm:
            found[one.workload, one.variant, one.set][one.copy] = one
    return {key: (both[0], both[1]) for key, both in found.items() if len(both) == 2}


def logs(first: Process, second: Process) -> np.ndarray:
    """log(second / first), (rounds,)."""
    return np.log(second.seconds) - np.log(first.seconds)

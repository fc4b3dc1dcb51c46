"""What a table over many machines needs of one run: a small file beside its records.

The records of 1,000 nodes with 200 workloads each are 17 GB; their summaries are 0.1 GB.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from bench.records import store
from bench.records.schema import BetweenProcess, Machine

FILE = "summary.json"
FORMAT = 1


class WorkloadSummary(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The ratios of all pairs of ranked variants in one workload, each formed within the node.

    With variants a, b, c the pairs are (a, b), (a, c), (b, c), and a pair's value belongs to
    log(seconds of the first / seconds of the second).
    """

    title: str  # "bptt[sentiment-lstm-base-float32]": without the device and the number of cores
    row: str  # equal for the same workload on another machine, and for no other
    device: str
    variants: tuple[str, ...]  # those that agree and have a time
    log_ratios: tuple[float, ...] = ()
    # None where there was one round only.
    standard_errors: tuple[float | None, ...] = ()
    degrees: tuple[float, ...] = ()  # of freedom, of the standard errors
    processes: int = 1  # of each variant
    disturbed: bool = False  # too many blocks were disturbed for any verdict
    baseline_seconds: float | None = None  # the GEMM baseline's median step
    without_time: dict[str, str] = {}  # variant -> "disagrees", "crashed", "skipped", ...


class Summary(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One run on one machine."""

    name: str  # of the run
    format: int = FORMAT
    node: str = ""  # alias of the node in its fleet; empty outside of a fleet
    started: str  # ISO 8601, UTC
    project: str  # version of rnnbench
    commit: str | None = None
    machine: Machine
    versions: dict[str, str] = {}  # of everything that a variant reported; "a, b" if they differ
    between_process: BetweenProcess
    planned: int | None = None  # workloads that were asked for; None if the records do not tell
    record_bytes: int  # size of the records that it was made of
    workloads: tuple[WorkloadSummary, ...]

    @property
    def whole(self) -> bool:
        """Whether it has every workload that was asked for."""
        return self.planned is None or len(self.workloads) >= self.planned


def write(folder: Path, summary: Summary) -> Path:
    """Write it beside the records of its run."""
    return store.write_whole(folder / FILE, msgspec.json.encode(summary) + b"\n")


def read(folder: Path) -> Summary | None:
    """The summary of a run; None if there is none, or records that it was not made of.

    A folder may hold a summary alone, without the records. Raises ValueError if it cannot be read
    or has another format.
    """
    try:
        content = (folder / FILE).read_bytes()
    except FileNotFoundError:
        return None
    try:
        found = _DECODER.decode(content)
    except msgspec.DecodeError as error:
        raise ValueError(f"{FILE} of {folder.name} cannot be read: {error}") from error
    if found.format != FORMAT:
        raise ValueError(
            f"{FILE} of {folder.name} has format {found.format}; this version reads {FORMAT}"
        )
    records = folder / store.FILE
    if records.exists() and records.stat().st_size != found.record_bytes:
        return None
    return found


def pairs(variants: int) -> Iterator[tuple[int, int]]:
    """The pairs of so many variants in the order of a WorkloadSummary."""
    for first in range(variants):
        for second in range(first + 1, variants):
            yield first, second


_DECODER = msgspec.json.Decoder(Summary)

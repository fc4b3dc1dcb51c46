"""The record of a run: immutable, raw, one JSON object a line, appended as each cell ends.

`measurements.jsonl` starts with a Run. Every further line is a Measurement, one a cell and entry,
or a Race, one a cell: what happened around its rounds. Everything a report says is computed from
these lines alone.

Format history: 1, the first. 2, throughput, memory of the host and device time a round; controls
and floors (`role`), races, the offset between processes, the result of a selftest, serial runs. 3,
memory held over from cells before (`held_host_bytes`). 4, without what the harness itself left;
before it, memory is read as unknown but for the first cell of an interpreter.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec

FORMAT = 4

Role = Literal["variant", "control", "floor"]
Stopped = Literal["narrow enough", "time used up"]
Status = Literal["ok", "disagrees", "refused", "skipped", "crashed", "timed out", "failed"]


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """A machine by its parts; never a host name, a user or a path."""

    cpu: str
    cores: int  # that this run may use
    memory_bytes: int
    gpus: tuple[str, ...] = ()
    system: str  # "Linux 6.1, x86_64"
    python: str  # "CPython 3.11.7"
    pinning: bool  # can workers be pinned to cores here
    governor: str = ""  # of the cores' frequency; empty where the system does not tell


class Offset(msgspec.Struct, frozen=True, kw_only=True):
    """How far two processes of one program lie apart for as long as they live.

    Standard deviation of the logarithm of the ratio of their times, beyond what the rounds of one
    pair show.
    """

    spread: float  # 0.02 is 2 %, of all variants together
    degrees: float  # of freedom, that this estimate has
    variants: dict[str, float] = {}  # of those that were measured one by one
    measured: str | None = None  # ISO 8601, UTC; None: not measured here, assumed


class Trials(msgspec.Struct, frozen=True, kw_only=True):
    """Trials of a selftest that share a line of its table."""

    variant: str
    slowdown: float  # injected share of a step; 0: two times the same program
    processes: int  # process pairs a trial
    pairs: int  # fresh process pairs in all
    ratios: tuple[float, ...]  # estimated, one a trial
    called: int  # trials with a verdict: faster or slower
    wrong: int  # of these, the wrong way, or where there is no difference
    covered: int  # trials whose 95 % interval holds the truth
    stock: tuple[float, ...] = ()  # ratios by the sequential loop of pytest-benchmark


class Selftest(msgspec.Struct, frozen=True, kw_only=True, tag="selftest", tag_field="record"):
    """What this harness finds where the truth is known, on this machine."""

    format: int = FORMAT
    started: str  # ISO 8601, UTC
    machine: Machine
    cell: str
    seconds: float  # a side and trial
    threads: int
    trials: tuple[Trials, ...]
    offset: Offset
    recommended_processes: int  # K that finds a slow-down of 5 % in half of the cases; 0: none
    others_cores: float | None  # used by others meanwhile, median over the rounds
    disturbed: float  # share of the blocks that were kept although others disturbed them
    left_out: int = 0  # trials that the time did not allow, or that failed
    problems: tuple[str, ...] = ()  # what failed


class Run(msgspec.Struct, frozen=True, kw_only=True, tag="run", tag_field="record"):
    """What holds for all measurements of one run."""

    name: str  # the folder
    format: int = FORMAT
    started: str  # ISO 8601, UTC
    command: str  # that makes it again
    commit: str | None  # None outside a git checkout; "+changes" where the tree differs
    project: str  # version of rnnbench
    machine: Machine
    threads: tuple[int, ...]
    cores_busy_before: float | None  # cores' worth of CPU time that others used before the run;
    # None where the system counts none
    offset: Offset | None = None  # between processes of one program; None: format 1, none known
    selftest: Selftest | None = None  # the last one made on this machine
    serial: bool = False  # all variants in one process, one after the other: nothing is compared


class TensorError(msgspec.Struct, frozen=True, kw_only=True):
    """How far one tensor is from the oracle's, and how far it may be."""

    name: str
    error: float | None  # |a - ref| / |ref|, 2-norms; where |ref| = 0, |a| / the largest norm of
    # its kind; None where there is no number: missing, of another shape, not finite
    bound: float

    @property
    def severity(self) -> float:
        """Error in bounds: above 1 is too far."""
        return math.inf if self.error is None else self.error / self.bound


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """The comparison of one variant with the float64 oracle, before and after its rounds."""

    tensors: int  # how many were compared, all checks together
    worst: TensorError  # of all tensors, the one nearest to or farthest beyond its bound
    kinds: dict[str, TensorError]  # the worst of "outputs", "states", "loss", "gradients"
    failures: tuple[str, ...] = ()  # "after the rounds: grad.l0.bwd.W_hh is off by 3.1e-2 ..."


class Rounds(msgspec.Struct, frozen=True, kw_only=True):
    """The timed rounds of one process."""

    seconds: tuple[float, ...]  # a round's value: the median of its synced steps
    position: tuple[int, ...]  # place of this variant's block in each round, from 0
    step_seconds: tuple[tuple[float, ...], ...]  # raw, round by round; a sample if there are many
    steps: int  # how many were timed
    cold: ColdStart
    effective_threads: str  # as read back: "2 by the framework, openblas 2, pinned to 2 cores"
    throughput_seconds: tuple[float, ...] = ()  # a step back to back, of some rounds
    device_seconds: tuple[float, ...] = ()  # a round's median by the device's own events
    peak_host_bytes: int | None = None  # most held resident since the build, above the imports
    held_host_bytes: int | None = (
        None  # of these, left by builds before it in the same interpreter: 0 in a fresh one
    )
    peak_device_bytes: int | None = None  # None where the framework does not count, as on a CPU
    cores_busy: float | None = None  # CPU time of this process in its timed steps, by wall time


class ColdStart(msgspec.Struct, frozen=True, kw_only=True):
    """What passes before the first warm step."""

    start_seconds: float  # the interpreter
    import_seconds: float  # the framework
    build_seconds: float  # the model
    first_call_seconds: float  # of the timed phase: tracing, compiling and one step


class Measurement(msgspec.Struct, frozen=True, kw_only=True, tag="measurement", tag_field="record"):
    """One variant in one cell."""

    # the cell
    phase: str
    task: str
    shape: str  # "many-to-one"
    size: str  # with overrides: "base+B32+H320"
    device: str
    dtype: str
    threads: int
    batch: int  # B
    steps: int  # T
    spec: dict[str, str | int | float | bool | None]  # ModelSpec's fields
    parameters: int
    # the variant
    variant: str
    role: Role = "variant"  # control: the same variant once more; floor: the bare products
    status: Status
    reason: str = ""  # of anything that is not "ok"
    serial: bool = False  # timed in one process with all others, alone: never compared
    versions: dict[str, str] = {}
    path: str = ""
    loss: float | None = None
    agreement: Agreement | None = None
    processes: tuple[Rounds, ...] = ()  # one a process; empty where nothing was timed

    @property
    def cell(self) -> str:
        """Id of the cell: phase, task, cell, size, device, dtype."""
        kind = self.spec["cell"]
        return f"{self.phase}[{self.task}-{kind}-{self.size}-{self.device}-{self.dtype}]"

    @property
    def round_seconds(self) -> tuple[float, ...]:
        """The values of all rounds of all processes."""
        return tuple(value for process in self.processes for value in process.seconds)


class RaceProcess(msgspec.Struct, frozen=True, kw_only=True):
    """The rounds of one process a variant, and what was around them."""

    rounds: int
    stopped: Stopped
    before_seconds: float  # starting, building, checking, warming up, all entries together
    rounds_seconds: float  # from the first round to the last
    timed_seconds: float  # of these, in timed steps
    after_seconds: float  # checking again
    blocks: int  # of all entries, repeated ones among them
    repeated: int  # taken again because others were busy meanwhile
    disturbed: int  # kept, though others were busy
    others_cores: tuple[
        float, ...
    ] = ()  # cores' worth of CPU time that others used, round by round
    clock_mhz: tuple[float, ...] = ()  # of the processor, or the GPU's, round by round
    gpu_celsius: tuple[float, ...] = ()
    throttled: tuple[str, ...] = ()  # why a GPU held its clock down, each reason once


class Race(msgspec.Struct, frozen=True, kw_only=True, tag="race", tag_field="record"):
    """What happened around the rounds of a cell."""

    cell: str  # as Measurement.cell
    threads: int
    flops: int  # of the matrix products of a step, two a multiply-add
    processes: tuple[RaceProcess, ...]

    @property
    def disturbed(self) -> float:
        """Share of the blocks that were kept although others were busy meanwhile."""
        kept = sum(p.blocks - p.repeated for p in self.processes)
        return sum(p.disturbed for p in self.processes) / kept if kept else 0.0


Record = Run | Measurement | Race


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


def read(file: Path) -> tuple[Run, list[Measurement]]:
    """A run and what was measured of its variants: `read_all` without controls, floors, races."""
    run, measurements, _ = read_all(file)
    return run, [m for m in measurements if m.role == "variant"]


def read_all(file: Path) -> tuple[Run, list[Measurement], list[Race]]:
    """A run, its measurements of every role, its races; without a last line that a crash tore.

    Raises ValueError for a file that does not start with a Run, that was written by a newer
    format, or with a line that cannot be read.
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
    measurements = [record for record in records if isinstance(record, Measurement)]
    return (
        records[0],
        _without_leftovers(measurements) if records[0].format < 4 else measurements,
        [record for record in records if isinstance(record, Race)],
    )


def _without_leftovers(measurements: list[Measurement]) -> list[Measurement]:
    """Before format 4: memory of each interpreter's first cell alone, in the order of the file.

    Which processes had one interpreter, its start and its import tell: to the nanosecond the same.
    """
    seen: set[tuple[object, ...]] = set()
    found = []
    for m in measurements:
        processes = []
        for p in m.processes:
            cold = p.cold
            interpreter = (m.variant, m.role, cold.start_seconds, cold.import_seconds)
            if interpreter in seen:
                unknown = {"peak_host_bytes": None, "held_host_bytes": None}
                p = msgspec.structs.replace(p, **unknown, peak_device_bytes=None)
            elif p.peak_host_bytes is not None:
                p = msgspec.structs.replace(p, held_host_bytes=0)
            seen.add(interpreter)
            processes.append(p)
        found.append(msgspec.structs.replace(m, processes=tuple(processes)))
    return found


def _check_format(file: Path, first: list[bytes]) -> None:
    """Before anything else of it is read: a newer format may have other fields."""
    for line in first:
        try:
            head = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return  # told with its line number by the reader
        found = head.get("format", FORMAT) if isinstance(head, dict) else FORMAT
        if not isinstance(found, int) or found > FORMAT:
            raise ValueError(f"{file.name} has format {found}; this version reads up to {FORMAT}")

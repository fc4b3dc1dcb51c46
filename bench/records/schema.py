"""The record of a run: immutable and raw. Everything a report says is computed from it alone.

`measurements.jsonl` starts with a Run. Every further line is a Measurement, one a workload and
candidate, or a WorkloadRecord, one a workload: what happened around its rounds.

Format history: 5, the first that is read; a workload is one object, with its model in it.
"""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from bench.records.workload import Workload

FORMAT = 5

Role = Literal["variant", "control", "gemm baseline"]
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


class BetweenProcess(msgspec.Struct, frozen=True, kw_only=True):
    """How far two processes of one program lie apart for as long as they live.

    Standard deviation of the logarithm of the ratio of their times, beyond what the rounds of one
    pair show.
    """

    deviation: float  # 0.02 is 2 %, of all variants together
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
    pytest_benchmark: tuple[float, ...] = ()  # ratios by the sequential loop of pytest-benchmark


class Selftest(msgspec.Struct, frozen=True, kw_only=True, tag="selftest", tag_field="record"):
    """What this harness finds where the truth is known, on this machine."""

    format: int = FORMAT
    started: str  # ISO 8601, UTC
    machine: Machine
    workload: Workload
    seconds: float  # a process and trial
    trials: tuple[Trials, ...]
    between_process: BetweenProcess
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
    between_process: BetweenProcess
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


class ColdStart(msgspec.Struct, frozen=True, kw_only=True):
    """What passes before the first warm step."""

    start_seconds: float  # the interpreter
    import_seconds: float  # the framework
    build_seconds: float  # the model
    first_call_seconds: float  # of the timed phase: tracing, compiling and one step


class ProcessRounds(msgspec.Struct, frozen=True, kw_only=True):
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
        None  # of these, left by builds before it in the same process: 0 in a fresh one
    )
    peak_device_bytes: int | None = None  # None where the framework does not count, as on a CPU
    cores_busy: float | None = None  # CPU time of this process in its timed steps, by wall time


class Measurement(msgspec.Struct, frozen=True, kw_only=True, tag="measurement", tag_field="record"):
    """One candidate in one workload."""

    workload: Workload
    variant: str
    role: Role = "variant"  # control: the same variant once more
    status: Status
    reason: str = ""  # of anything that is not "ok"
    serial: bool = False  # timed in one process with all others, alone: never compared
    versions: dict[str, str] = {}
    path: str = ""
    loss: float | None = None
    agreement: Agreement | None = None
    processes: tuple[ProcessRounds, ...] = ()  # one a process; empty where nothing was timed

    @property
    def round_seconds(self) -> tuple[float, ...]:
        """The values of all rounds of all processes."""
        return tuple(value for process in self.processes for value in process.seconds)


class ProcessConditions(msgspec.Struct, frozen=True, kw_only=True):
    """What was around the rounds of one process a candidate."""

    rounds: int
    stopped: Stopped
    before_seconds: float  # starting, building, checking, warming up, all candidates together
    rounds_seconds: float  # from the first round to the last
    timed_seconds: float  # of these, in timed steps
    after_seconds: float  # checking again
    blocks: int  # of all candidates, repeated ones among them
    repeated: int  # taken again because others were busy meanwhile
    disturbed: int  # kept, though others were busy
    # Cores' worth of CPU time that others used, round by round.
    others_cores: tuple[float, ...] = ()
    clock_mhz: tuple[float, ...] = ()  # of the processor, or the GPU's, round by round
    gpu_celsius: tuple[float, ...] = ()
    throttled: tuple[str, ...] = ()  # why a GPU held its clock down, each reason once


class WorkloadRecord(msgspec.Struct, frozen=True, kw_only=True, tag="workload", tag_field="record"):
    """What is known of a workload beside its candidates."""

    workload: Workload
    flops: int  # of the matrix products of a step, two a multiply-add
    processes: tuple[ProcessConditions, ...] = ()  # empty where nothing was compared
    # Norm of the loss's gradient by the input of a step, the step of the loss first; empty where
    # the model is too large to ask the oracle.
    gradient_norms: tuple[float, ...] = ()

    @property
    def disturbed(self) -> float:
        """Share of the blocks that were kept although others were busy meanwhile."""
        kept = sum(p.blocks - p.repeated for p in self.processes)
        return sum(p.disturbed for p in self.processes) / kept if kept else 0.0


Record = Run | Measurement | WorkloadRecord

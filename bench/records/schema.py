"""The record of a run: immutable and raw. A report is computed from it alone.

`measurements.jsonl` starts with a Run. Every further line is a Measurement (one per workload and
candidate), a WorkloadRecord (one per workload: the conditions during its rounds), or another Run,
where the run was resumed.

Format history: 5 is the first that is read; its workload is one object that contains the model.
"""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from bench.records.workload import Workload

FORMAT = 5

Role = Literal["variant", "control", "gemm baseline"]
Stopped = Literal["narrow enough", "time used up", "nothing left to learn"]
Status = Literal["ok", "disagrees", "refused", "skipped", "crashed", "timed out", "failed"]


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """A machine by its parts; never a host name, a user or a path."""

    cpu: str
    cores: int  # cores that this run may use
    memory_bytes: int
    gpus: tuple[str, ...] = ()
    system: str  # "Linux 6.1, x86_64"
    python: str  # "CPython 3.11.7"
    pinning: bool  # whether workers can be pinned to cores
    governor: str = ""  # frequency governor of the cores; empty if unknown
    slow_cores: int = 0  # further cores, which are slower and not used by default
    quota_cores: float | None = None  # CPU quota of the container, in cores; None: no limit


class BetweenProcess(msgspec.Struct, frozen=True, kw_only=True):
    """The between-process standard deviation: how much two processes of the same program differ.

    It is that of the log ratio of their times, beyond the scatter of the rounds of one pair.
    """

    deviation: float  # of all variants together; 0.02 is 2 %
    degrees: float  # degrees of freedom of this estimate
    variants: dict[str, float] = {}  # the deviation of each measured variant
    measured: str | None = None  # ISO 8601, UTC; None: assumed
    of_short_steps: BetweenProcess | None = None  # in steps of microseconds; None: the same


class Trials(msgspec.Struct, frozen=True, kw_only=True):
    """The trials in one row of a selftest's table."""

    variant: str
    slowdown: float  # injected share of a step; 0: none
    processes: int  # process pairs per trial
    pairs: int  # fresh process pairs in total
    ratios: tuple[float, ...]  # estimated ratios, one per trial
    called: int  # trials with the verdict faster or slower
    wrong: int  # those of them whose verdict is false
    covered: int  # trials whose 95 % interval contains the true ratio
    pytest_benchmark: tuple[float, ...] = ()  # ratios from pytest-benchmark's sequential loop


class Selftest(msgspec.Struct, frozen=True, kw_only=True, tag="selftest", tag_field="record"):
    """What this harness found on this machine in cases whose true result is known."""

    format: int = FORMAT
    started: str  # ISO 8601, UTC
    machine: Machine
    workload: Workload
    seconds: float  # of timed steps, per process and trial
    trials: tuple[Trials, ...]
    between_process: BetweenProcess
    recommended_processes: int  # K that finds a slow-down of 5 % in half of the cases; 0: none
    others_cores: float | None  # background load in cores, median over the rounds
    disturbed: float  # share of the kept blocks that were disturbed
    # Medians: of a process before its first round, and of a round of each process.
    process_seconds: float | None = None
    round_seconds: float | None = None
    best_rounds: int = 0  # of a process, for the narrowest interval in a given time; 0: unknown
    left_out: int = 0  # trials that failed, or for which there was no time
    problems: tuple[str, ...] = ()  # messages of what failed


class Run(msgspec.Struct, frozen=True, kw_only=True, tag="run", tag_field="record"):
    """What holds for all measurements of one run."""

    name: str  # the folder
    format: int = FORMAT
    started: str  # ISO 8601, UTC
    command: str  # repeats the run
    commit: str | None  # None outside a git checkout; with "+changes" if files differ
    project: str  # version of rnnbench
    machine: Machine
    threads: tuple[int, ...]
    cores_busy_before: float | None  # background load before the run, in cores; None if unknown
    between_process: BetweenProcess
    selftest: Selftest | None = None  # the last one made on this machine
    serial: bool = False  # all variants ran in one process: nothing is compared
    # Variables that may change the numbers or the speed of a framework, without paths.
    environment: dict[str, str] = {}
    memory_limit: str = ""  # of each worker, and how it is kept; empty: none
    bfloat16: tuple[str, ...] | None = None  # the CPU's instructions for it; None: unknown
    node: str = ""  # alias of the node in a fleet, never its host name; empty outside of a fleet
    # Set by the reader of the file: the further lines of this kind, and lines that are left out.
    resumed: tuple[str, ...] = ()  # when the run was resumed, ISO 8601, UTC
    damaged: tuple[str, ...] = ()  # "line 7 cannot be read: ..."


class TensorError(msgspec.Struct, frozen=True, kw_only=True):
    """The error of one tensor against the oracle, and its bound."""

    name: str
    # |a - ref| / |ref| in the 2-norm; if |ref| = 0, |a| / the largest norm of its kind. None if
    # the tensor is missing, has another shape or is not finite.
    error: float | None
    bound: float

    @property
    def severity(self) -> float:
        """error / bound: more than 1 is too much."""
        return math.inf if self.error is None else self.error / self.bound


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """The comparison of a variant with the float64 oracle, before and after its rounds."""

    tensors: int  # number of comparisons in all checks
    worst: TensorError  # the tensor with the largest error / bound
    kinds: dict[str, TensorError]  # the worst of "outputs", "states", "loss", "gradients"
    failures: tuple[str, ...] = ()  # "after the rounds: grad.l0.bwd.W_hh is off by 3.1e-2 ..."


class ColdStart(msgspec.Struct, frozen=True, kw_only=True):
    """The time before the first warm step."""

    start_seconds: float  # the interpreter
    import_seconds: float  # the framework
    build_seconds: float  # the model
    first_call_seconds: float  # of the timed phase: tracing, compiling and one step


class StepsOf(msgspec.Struct, frozen=True, kw_only=True):
    """The steps with one T, where T varies from call to call."""

    steps: int  # T
    first_call_seconds: float  # of the first call with this T
    seconds: float  # median of the timed steps with this T


class Scored(msgspec.Struct, frozen=True, kw_only=True):
    """How far a net was after so many updates, on the sequences that are only scored."""

    updates: int
    score: float  # the metric of the target
    loss: float
    spelled: str = ""  # the text of the first sequence; empty if the task spells none


class Learned(msgspec.Struct, frozen=True, kw_only=True):
    """A training until its target was reached, or given up."""

    losses: tuple[float, ...]  # of each update, on its own batch
    scores: tuple[Scored, ...]  # the first one before any update
    seconds: float  # of all updates
    reached: bool
    judged: int  # updates whose losses were compared with those of the oracle
    disturbed: int = 0  # stretches, of which each ends with a score, that were disturbed
    parted: int | None = None  # the first update whose loss is off by more than 1 % of the oracle's
    errors: tuple[float, ...] = ()  # of the losses of each stretch, relatively, against the oracle
    # Softmax (C,) of the outputs of the first sequence, by step; empty for numbers.
    probabilities: tuple[tuple[float, ...], ...] = ()

    @property
    def updates(self) -> int:
        return len(self.losses)


class StepTimes(msgspec.Struct, frozen=True, kw_only=True):
    """The distribution of the times of single steps."""

    steps: int  # N
    median_seconds: float
    p90_seconds: float  # that nine of ten steps do not exceed
    p99_seconds: float
    worst_seconds: float  # of the N


class ProcessRounds(msgspec.Struct, frozen=True, kw_only=True):
    """The timed rounds of one process."""

    seconds: tuple[float, ...]  # a round's value: the median of its synced steps (`TimedModel`)
    position: tuple[int, ...]  # place of this variant's block in each round, from 0
    step_seconds: tuple[tuple[float, ...], ...]  # raw, by round; a sample if there are many
    steps: int  # number of timed steps
    cold: ColdStart
    effective_threads: str  # as found: "2 by the framework, openblas 2, pinned to 2 cores"
    throughput_seconds: tuple[float, ...] = ()  # per step without syncs, of some rounds
    device_seconds: tuple[float, ...] = ()  # a round's median by the device's own events
    peak_host_bytes: int | None = None  # peak resident memory since the build, above the imports
    held_host_bytes: int | None = (
        None  # part of it that earlier workloads of the process left: 0 in a fresh one
    )
    peak_device_bytes: int | None = None  # None if the framework does not count, as on a CPU
    cores_busy: float | None = None  # CPU time / wall time of this process in its timed steps
    # A timed step's page faults without disk access, and context switches of all its threads.
    page_faults: float | None = None
    switches: float | None = None
    looks: int = 0  # answers that were compared with the oracle's during the rounds
    by_steps: tuple[StepsOf, ...] = ()  # in the order of their first calls; empty for a fixed T
    learned: Learned | None = None  # in the phase learn
    # Of a stream: of all timed steps, and of as many with the transfers of input and output.
    step_times: StepTimes | None = None
    transfer_step_times: StepTimes | None = None


class Measurement(msgspec.Struct, frozen=True, kw_only=True, tag="measurement", tag_field="record"):
    """One candidate in one workload."""

    workload: Workload
    variant: str
    role: Role = "variant"  # control: the same variant again
    status: Status
    reason: str = ""  # for any status but "ok"
    serial: bool = False  # from a serial run: never compared
    versions: dict[str, str] = {}
    path: str = ""
    loss: float | None = None
    agreement: Agreement | None = None
    processes: tuple[ProcessRounds, ...] = ()  # one per process; empty if nothing was timed

    @property
    def round_seconds(self) -> tuple[float, ...]:
        """The values of all rounds of all processes."""
        return tuple(value for process in self.processes for value in process.seconds)


class ProcessConditions(msgspec.Struct, frozen=True, kw_only=True):
    """The conditions during the rounds, with one process per candidate."""

    rounds: int
    stopped: Stopped
    before_seconds: float  # start, build, check and warm-up of all candidates
    rounds_seconds: float  # from the first round to the last
    timed_seconds: float  # of these, in timed steps
    after_seconds: float  # the second check
    blocks: int  # of all candidates, including the repeated ones
    repeated: int  # blocks that were disturbed and measured again
    disturbed: int  # blocks that were disturbed and kept
    # Background load in cores, by round.
    others_cores: tuple[float, ...] = ()
    clock_mhz: tuple[float, ...] = ()  # of the processor or the GPU, by round
    gpu_celsius: tuple[float, ...] = ()
    throttled: tuple[str, ...] = ()  # why a GPU reduced its clock, each reason once
    paused: int = 0  # blocks in which a CPU quota paused the process; each is disturbed


class Lesson(msgspec.Struct, frozen=True, kw_only=True):
    """What there was to learn, and how the oracle learns it."""

    metric: str
    threshold: float
    larger_is_better: bool
    most_updates: int
    every: int  # updates from one score to the next
    data: str  # where the batches come from, in words
    scored: int  # sequences
    single: bool  # they are the ones that are trained on
    wanted: str = ""  # the text of the first of them
    classes: tuple[str, ...] = ()  # the names of its outputs
    labels: tuple[int, ...] = ()  # of its first steps
    losses: tuple[float, ...] = ()  # of the oracle; empty if it cannot follow
    # The relative float32 reference error of the losses up to each score, as far as it was taken.
    reference_errors: tuple[float, ...] = ()


class WorkloadRecord(msgspec.Struct, frozen=True, kw_only=True, tag="workload", tag_field="record"):
    """A workload's FLOPs, conditions and gradients: what does not belong to one candidate."""

    workload: Workload
    flops: int  # of the matrix products of a step, two per multiply-add
    real_steps: int | None = None  # of a batch with lengths: those that are no padding
    processes: tuple[ProcessConditions, ...] = ()  # empty if nothing was compared
    # Norm of the gradient of the loss by the input of each step, backwards from the last step;
    # empty if the model is too large for the oracle.
    gradient_norms: tuple[float, ...] = ()
    lesson: Lesson | None = None  # of the phase learn

    @property
    def disturbed(self) -> float:
        """Share of the kept blocks that were disturbed."""
        kept = sum(p.blocks - p.repeated for p in self.processes)
        return sum(p.disturbed for p in self.processes) / kept if kept else 0.0


Record = Run | Measurement | WorkloadRecord

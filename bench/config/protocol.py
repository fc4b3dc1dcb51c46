"""The numbers of the protocol, by which a workload is measured, and which a run may set."""

from __future__ import annotations

from dataclasses import dataclass

LEAST_ROUNDS = 10
THROUGHPUT_EVERY = 3  # rounds

# A block. Warm-up steps fill caches and wake threads: the first step after a worker wakes takes 1
# to 6 % longer, later ones do not.
WARMUP_STEPS, WARMUP_SECONDS = 1, 0.005
TIMED_STEPS, TIMED_SECONDS = 2, 0.020
STREAM_STEPS = 20  # of a stream: in ten rounds so many that a 99th percentile says something

# A step of so many seconds has filled the caches and woken the threads before it has begun in
# earnest, so each block is one step, without warm-up or throughput. With twelve rounds the interval
# of a ratio is its ninth largest of 78 pairwise means to either side, so one bad step moves little.
SLOW_SECONDS, SLOW_ROUNDS = 0.5, 12

# Before the first round.
WARM_STEPS, WARM_SECONDS = 3, 0.2

# Rounds end when the half width of each ratio's interval, from the rounds alone, is below this.
NARROW = 0.005
LOOK_AGAIN = 1.25  # factor of rounds until the next test of the widths

# The largest share of blocks that are repeated: a busy machine must not prolong a run forever.
MOST_REPEATED, LEAST_REPEATS = 0.3, 3

# A pilot of so many processes gives the number of processes that a precision takes, up to the most.
PILOT, MOST_PROCESSES = 4, 64

RAW_STEPS = 10_000  # step times kept per variant and workload; of more, a seeded sample


@dataclass(frozen=True)
class Block:
    """The minimum lengths of a block."""

    warmup_steps: int = WARMUP_STEPS
    warmup_seconds: float = WARMUP_SECONDS
    timed_steps: int = TIMED_STEPS
    timed_seconds: float = TIMED_SECONDS

    @property
    def one_step(self) -> bool:
        return self.timed_steps == 1

    def of_steps(self, seconds: float) -> Block:
        """That of steps which take so long: one step, unless it needs several shapes."""
        if seconds < SLOW_SECONDS or self.timed_steps > TIMED_STEPS:
            return self
        return Block(warmup_steps=0, warmup_seconds=0.0, timed_steps=1, timed_seconds=0.0)


@dataclass(frozen=True)
class Settings:
    """What a run may set."""

    max_seconds: float = 1.0  # per variant, for warm-up and timed steps together
    min_rounds: int = LEAST_ROUNDS
    timed_seconds: float = TIMED_SECONDS
    processes: int = 1
    precision: float | None = None  # half the interval of a ratio: as many processes as it takes
    budget: float | None = None  # seconds of a run, or of one workload: as many as it holds
    seed: int = 0
    timed: bool = True  # False: only the checks
    narrow: float | None = NARROW  # half width of the intervals at which rounds end
    beside: bool = True  # with a control and the GEMM baseline
    serial: bool = False  # in this process, one variant after the other

    def block(self, shapes: int = 0, *, stream: bool = False) -> Block:
        """A block that has at least a step of each of so many shapes."""
        return Block(
            timed_steps=max(STREAM_STEPS if stream else TIMED_STEPS, shapes),
            timed_seconds=max(TIMED_SECONDS, self.timed_seconds),
        )

    @property
    def room(self) -> int:
        """Step times kept of each process."""
        return RAW_STEPS // (MOST_PROCESSES if self.finds_processes else self.processes)

    @property
    def finds_processes(self) -> bool:
        """Whether the number of processes is found while they run."""
        return self.precision is not None or self.budget is not None

    @property
    def least_rounds(self) -> int:
        return max(LEAST_ROUNDS, self.min_rounds)

    @property
    def in_words(self) -> str:
        """How each workload is measured, in a line."""
        if not self.timed:
            return "rnnbench: the checks alone; nothing is timed"
        block, own = self.block(), "a worker process of its own"
        where = "this process" if self.serial else own
        where = f"{self.processes} fresh processes" if self.processes > 1 else where
        if self.precision is not None:
            where = (
                f"as many fresh processes as ±{100 * self.precision:g} % takes, at least {PILOT}"
            )
        if self.budget is not None:
            asked = "as many fresh processes" if self.precision is None else where
            where = f"{asked}{' as' if self.precision is None else ', as far as'} " + (
                f"{self.budget:g} s for all workloads together hold"
            )
        until = f" or every interval is within ±{100 * self.narrow:g} %" if self.narrow else ""
        return (
            f"rnnbench: each variant runs in {where}, timed by time.perf_counter, without garbage "
            f"collection; a block has at least {block.warmup_seconds * 1e3:g} ms of warm-up and "
            f"{block.timed_seconds * 1e3:g} ms of synced steps; rounds of blocks: at least "
            f"{self.least_rounds}, then until {self.max_seconds:g} s a variant are used{until}; a "
            f"block of steps above {SLOW_SECONDS:g} s is one step, without warm-up"
        )

"""How a workload is measured: the numbers of the protocol, and which of them a run may set."""

from __future__ import annotations

from dataclasses import dataclass

LEAST_ROUNDS = 10
THROUGHPUT_EVERY = 3  # rounds

# A block. The first step after a worker wakes takes 1 to 6 % longer, those after it do not: the
# warm-up steps are there for caches to fill and threads to wake.
WARMUP_STEPS, WARMUP_SECONDS = 1, 0.005
TIMED_STEPS, TIMED_SECONDS = 2, 0.020

# Before the first round.
WARM_STEPS, WARM_SECONDS = 3, 0.2

# Half the width of a ratio's interval by its rounds, at which it is known well enough.
NARROW = 0.005
LOOK_AGAIN = 1.25  # times as many rounds as at the look before

# Blocks that may be taken again: a share of all, so that a busy machine ends nobody's run.
MOST_REPEATED, LEAST_REPEATS = 0.3, 3

RAW_STEPS = 10_000  # kept of a variant and workload; beyond, a seeded sample


@dataclass(frozen=True)
class Block:
    """How long a block of one timed model is, each at least."""

    warmup_steps: int = WARMUP_STEPS
    warmup_seconds: float = WARMUP_SECONDS
    timed_steps: int = TIMED_STEPS
    timed_seconds: float = TIMED_SECONDS


@dataclass(frozen=True)
class Settings:
    """What a run may set. `max_seconds` a variant, warm-up and timed steps together."""

    max_seconds: float = 1.0
    min_rounds: int = LEAST_ROUNDS
    timed_seconds: float = TIMED_SECONDS
    processes: int = 1
    seed: int = 0
    timed: bool = True  # False: the checks alone
    narrow: float | None = NARROW  # half the width of an interval at which rounds may end
    beside: bool = True  # a control and the GEMM baseline run along
    serial: bool = False  # in this process, one variant after the other

    @property
    def block(self) -> Block:
        return Block(timed_seconds=max(TIMED_SECONDS, self.timed_seconds))

    @property
    def least_rounds(self) -> int:
        return max(LEAST_ROUNDS, self.min_rounds)

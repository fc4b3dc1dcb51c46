"""What a check asks, in which order, and how much of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.spec import CELLS

DTYPES = ("float64", "float32")  # float32 last: it is what is timed
CONTRACT, PUBLISHED, PHASES_AGREE = "contract", "published outputs", "forward and bptt"
TRAINING, TIMED = "training, 50 updates", "around timed steps"
CHECKS = (CONTRACT, PUBLISHED, PHASES_AGREE, TRAINING, TIMED)


@dataclass(frozen=True)
class Plan:
    """How much is asked. What the time does not reach is counted as not checked."""

    seed: int = 0
    cells: Sequence[str] = CELLS
    models: int = 16  # random, a dtype; the fixed cases come on top
    seconds: float = 60.0  # after which no further check is begun
    shrink_seconds: float = 15.0
    timed: bool = True
    stop_at_first: bool = False  # a failure ends the check, and is not shrunk


SHORT = Plan()
LONG = Plan(models=400, seconds=1800.0, shrink_seconds=300.0)

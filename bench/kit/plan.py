"""What a check covers, in which order, and how much of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tasks.spec import CELLS

DTYPES = ("float64", "float32")  # float32 comes last, because it is the timed one
ON_REQUEST = ("bfloat16",)  # further ones
CONTRACT, PUBLISHED, PHASES_AGREE = "contract", "published outputs", "forward and bptt"
ROWS, STREAMS = "rows of a batch", "one step at a time"
TRAINING, TIMED = "training, 50 updates", "around timed steps"
CHECKS = (CONTRACT, PUBLISHED, PHASES_AGREE, ROWS, STREAMS, TRAINING, TIMED)


@dataclass(frozen=True)
class Plan:
    """How much a check covers. A check that leaves a part of it out is incomplete."""

    seed: int = 0
    cells: Sequence[str] = CELLS
    dtypes: Sequence[str] = DTYPES
    models: int = 8  # random models per dtype, besides the fixed cases
    seconds: float = math.inf  # no model is begun after this time
    shrink_seconds: float = 15.0
    timed: bool = True
    stop_at_first: bool = False  # the first failure ends the check and is not shrunk


SHORT = Plan()
LONG = Plan(models=400, shrink_seconds=300.0)

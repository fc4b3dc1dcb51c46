"""Outliers among the raw step times: counted and reported, never dropped. Pure."""

from __future__ import annotations

import numpy as np

from bench.records.schema import Measurement, ProcessRounds

FENCE = 3.0  # interquartile ranges beyond the quartiles of the process (Tukey's outer fences)
FEWEST = 8  # raw steps; quartiles of fewer mean nothing


def count(process: ProcessRounds) -> tuple[int, int]:
    """(outliers, raw steps) of one process; (0, 0) if it has too few steps."""
    steps = np.array([seconds for block in process.step_seconds for seconds in block])
    if len(steps) < FEWEST:
        return 0, 0
    low, high = np.quantile(steps, (0.25, 0.75))
    reach = FENCE * (high - low)
    return int(((steps < low - reach) | (steps > high + reach)).sum()), len(steps)


def counted(m: Measurement) -> str:
    """ "12 of 5,430" for all processes together; empty if there are too few steps."""
    pairs = list(map(count, m.processes))
    found, steps = (sum(column) for column in zip(*pairs, strict=True)) if pairs else (0, 0)
    return f"{found:,} of {steps:,}" if steps else ""

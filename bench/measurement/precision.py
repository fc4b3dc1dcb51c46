"""How many processes a workload needs for ratios of a given precision.

A pilot of PILOT processes gives the variance of each ratio, pooled with that of the selftest
(`bench.analysis.verdicts`). Its interval shrinks with the square root of the number of processes;
so many are made that the widest interval that matters is narrow enough (Stein, 1945). Where these
scatter more than the pilot did, it is asked again. When to stop depends on the scatter of a ratio
alone, never on the ratio, so the interval keeps its coverage.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from bench.analysis import verdicts
from bench.config.protocol import MOST_PROCESSES, PILOT, Settings
from bench.measurement.candidate import Outcome
from bench.records.schema import BetweenProcess, Measurement

# A variant that takes so many times as long as the fastest is not asked for more precisely.
MATTERS = 2.0


@dataclass
class Processes:
    """The processes of a workload, in their order; after the last one, what they fell short of."""

    settings: Settings
    between: BetweenProcess
    measured: Callable[[], Mapping[str, Outcome]]  # until now, by variant
    short: str = field(default="", init=False)  # empty: nothing

    def __iter__(self) -> Iterator[int]:
        settings = self.settings
        if not settings.timed or settings.precision is None:
            yield from range(settings.processes if settings.timed else 1)
            return
        done, needed = 0, PILOT
        while done < min(needed, MOST_PROCESSES):
            yield from range(done, done := min(needed, MOST_PROCESSES))
            found = {name: outcome.measurement for name, outcome in self.measured().items()}
            needed = enough(found, self.between, settings.precision, done)
        if needed > MOST_PROCESSES:
            self.short = (
                f"±{100 * settings.precision:g} % would take about {needed} processes; there were "
                f"{MOST_PROCESSES}"
            )


def enough(
    measured: Mapping[str, Measurement], between: BetweenProcess, precision: float, done: int
) -> int:
    """The number of processes with which every ratio that matters is known to ± `precision`, from
    the `done` ones.
    """
    compared = verdicts.against_fastest(measured, between).values()
    widest = max(
        (each.estimate.half_width for each in compared if each.estimate.ratio < MATTERS),
        default=0.0,
    )
    if not math.isfinite(widest):
        return MOST_PROCESSES
    return max(PILOT, math.ceil(done * (widest / math.log1p(precision)) ** 2))

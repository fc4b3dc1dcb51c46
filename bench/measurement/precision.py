"""How many processes a workload gets, and how many rounds each: for ratios of a given precision, or
as many as a given time holds.

A pilot of PILOT processes gives the variance of each ratio, pooled with that of the selftest
(`bench.analysis.verdicts`). Its interval shrinks with the square root of the number of processes;
so many are made that the widest interval that matters is narrow enough (Stein, 1945). Where these
scatter more than the pilot did, it is asked again. When to stop depends on the scatter of a ratio
and on the time alone, never on the ratio, so the interval keeps its coverage.

Each process but the first has the number of rounds that gives the narrowest interval for the time
of all (Kalibera and Jones, 2013): sqrt(c / d · v / w), where a process costs c seconds beside its
rounds and a round d, and a ratio has the variances v from round to round and w between processes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bench import signals
from bench.analysis import estimators, verdicts
from bench.config.protocol import MOST_PROCESSES, PILOT, Settings
from bench.measurement.candidate import Outcome
from bench.progress import in_words
from bench.records.schema import BetweenProcess, Measurement, ProcessConditions

# A variant that takes so many times as long as the fastest is not asked for more precisely.
MATTERS = 2.0


@dataclass
class Processes:
    """The processes of a workload, in their order; after the last one, what they fell short of."""

    settings: Settings
    between: BetweenProcess
    measured: Callable[[], Mapping[str, Outcome]]  # until now, by variant
    clock: Callable[[], float] = signals.awake_seconds
    short: str = field(default="", init=False)  # empty: nothing

    def __iter__(self) -> Iterator[int]:
        settings = self.settings
        if not settings.timed or not settings.finds_processes:
            yield from range(settings.processes if settings.timed else 1)
            return
        begin, done, needed = self.clock(), 0, self._needed(0)
        while done < min(needed, MOST_PROCESSES) and self._in_time(begin, done):
            yield done
            done += 1
            if done >= needed:
                needed = self._needed(done)
        if settings.precision is not None:
            self._note_shortfall(settings.precision, done, (self.clock() - begin) / done)

    def rounds(self, conditions: Sequence[ProcessConditions]) -> int | None:
        """Rounds of the next process, from those until now; None where that is not to be found."""
        if not self.settings.finds_processes or not conditions:
            return None
        return max(self.settings.least_rounds, best_rounds(self._found, self.between, conditions))

    @property
    def _found(self) -> dict[str, Measurement]:
        return {name: outcome.measurement for name, outcome in self.measured().items()}

    def _needed(self, done: int) -> int:
        if self.settings.precision is None:
            return MOST_PROCESSES
        return enough(self._found, self.between, self.settings.precision, done) if done else PILOT

    def _in_time(self, begin: float, done: int) -> bool:
        """Whether another process is expected to end in time; the first one always is."""
        if self.settings.budget is None or not done:
            return True
        used = self.clock() - begin
        return used + used / done <= self.settings.budget

    def _note_shortfall(self, precision: float, done: int, seconds: float) -> None:
        """Say what the precision would take, if it was not reached."""
        needed = enough(self._found, self.between, precision, done)
        if needed > done:
            self.short = (
                f"±{100 * precision:g} % would take about {needed} processes "
                f"({in_words(needed * seconds)}); there were {done}"
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
    return processes_for(widest, precision, done)


def processes_for(half_width: float, precision: float, done: int) -> int:
    """The number of processes that makes it `precision`, from the half width of `done` ones."""
    if not math.isfinite(half_width):
        return MOST_PROCESSES
    return max(PILOT, math.ceil(done * (half_width / math.log1p(precision)) ** 2))


def best_rounds(
    measured: Mapping[str, Measurement],
    between: BetweenProcess,
    conditions: Sequence[ProcessConditions],
) -> int:
    """The rounds of a process that make the ratios that matter most precise for their time."""
    best = estimators.fastest(measured.values())
    if best is None:
        return 0
    within, between_them = [], []
    for name, compared in verdicts.against_fastest(measured, between).items():
        if compared.estimate.ratio < MATTERS:
            logs = estimators.log_ratios(measured[name], best)
            within += [len(one) * estimators.standard_error(one) ** 2 for one in logs]
            known = verdicts.of_steps(between, measured[name], best)
            between_them.append(verdicts.deviation_of(known, name, best.variant) ** 2)
    round_seconds = sum(c.rounds_seconds for c in conditions) / sum(c.rounds for c in conditions)
    beside = float(np.mean([c.before_seconds + c.after_seconds for c in conditions]))
    return rounds_for(beside, round_seconds, within, between_them)


def rounds_for(
    process_seconds: float,
    round_seconds: float,
    within: Sequence[float],
    between: Sequence[float],
) -> int:
    """The best number of rounds, from the costs of a process and of a round, and from variances of
    log ratios from round to round (`within`) and `between` processes; 0 if they do not tell.
    """
    if not within or not between or not math.isfinite(sum(within)) or not sum(between):
        return 0
    variances = float(np.mean(within) / np.mean(between))
    return math.ceil(math.sqrt(process_seconds / round_seconds * variances))

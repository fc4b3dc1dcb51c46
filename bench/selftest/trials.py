"""Evaluates the trials of a selftest. Pure: the same trials give the same numbers.

Each trial has a known true ratio: it compares two processes of the same program, one of which may
be slowed down by a known share of each step.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from msgspec.structs import replace

from bench.analysis import estimators, verdicts
from bench.analysis.verdicts import PRIOR_PAIRS, Estimate
from bench.measurement.precision import rounds_for
from bench.records.schema import BetweenProcess, Trials

FOUND = 0.05  # the slow-down that the recommended number of processes must find
MOST_RECOMMENDED = 10
# Timed steps of a candidate in a workload of 1 s, the default. The rest of that second goes into
# warm-up steps, throughput and repeated blocks.
WORKLOAD_SECONDS = 0.5


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison of two processes of `variant`; the second is slowed down by `slowdown`."""

    variant: str
    pair: int  # number of the pair of fresh processes in the whole selftest
    slowdown: float
    first_seconds: tuple[float, ...]  # round by round
    second_seconds: tuple[float, ...]
    disturbed: float = 0.0  # share of the kept blocks that were disturbed
    others_cores: float | None = None
    timed_share: float | None = None  # share of the wall time of its rounds in timed steps
    process_seconds: float | None = None  # of each process before its first round
    round_seconds: float | None = None  # of each round and process
    short: bool = False  # of steps of microseconds

    @property
    def logs(self) -> np.ndarray:
        """log(second / first), (rounds,)."""
        return np.log(self.second_seconds) - np.log(self.first_seconds)


class BaselineTrial(msgspec.Struct, frozen=True, kw_only=True):
    """The same pair in pytest-benchmark's own loop, one process after the other."""

    variant: str
    pair: int
    slowdown: float
    first_seconds: float  # median
    second_seconds: float

    @property
    def ratio(self) -> float:
        return self.second_seconds / self.first_seconds


def read_raw(file: Path) -> tuple[list[Trial], list[BaselineTrial]]:
    """The trials that a selftest wrote."""
    ours: list[Trial] = []
    baseline: list[BaselineTrial] = []
    for line in file.read_bytes().splitlines():
        fields = msgspec.json.decode(line)
        if isinstance(fields["first_seconds"], list):
            ours.append(msgspec.convert(fields, Trial))
        else:
            baseline.append(msgspec.convert(fields, BaselineTrial))
    return ours, baseline


@dataclass(frozen=True)
class _Point:
    """A trial without a slow-down, whose true ratio is 1."""

    variant: str
    pair: int
    square: float  # square of the estimated log ratio
    within: float  # variance expected from the scatter of its rounds

    @staticmethod
    def of(trial: Trial) -> _Point:
        logs = trial.logs
        within = estimators.standard_error(logs) ** 2
        return _Point(trial.variant, trial.pair, estimators.centre(logs) ** 2, within)


def between_process(trials: Sequence[Trial], measured: str) -> BetweenProcess:
    """The between-process deviation from trials without a slow-down; `measured` is ISO 8601, UTC.

    The true ratio is 1, so the variance between processes is the mean of the squared log ratios
    minus the variance from the rounds. Few pairs can agree by chance. Therefore the assumed
    variance is pooled with the overall one, weighted as PRIOR_PAIRS pairs, and the overall variance
    with that of each variant. Each pair counts as one degree of freedom. Raises ValueError if there
    is no such trial. Trials of short steps have one of their own.
    """
    same = [_Point.of(trial) for trial in trials if not trial.slowdown]
    if not same:
        raise ValueError("no trial without a slow-down; expected one or more")
    of_long = [_Point.of(trial) for trial in trials if not (trial.slowdown or trial.short)]
    if not of_long or len(of_long) == len(same):
        return _between_process(same, measured)
    of_short = [_Point.of(trial) for trial in trials if trial.short and not trial.slowdown]
    found = _between_process(of_long, measured)
    return replace(found, of_short_steps=_between_process(of_short, measured))


def _between_process(same: Sequence[_Point], measured: str) -> BetweenProcess:
    overall = _joined(same, verdicts.ASSUMED.deviation**2)
    own = {
        name: _joined([point for point in same if point.variant == name], overall)
        for name in dict.fromkeys(point.variant for point in same)
    }
    return BetweenProcess(
        deviation=math.sqrt(overall),
        degrees=float(_pairs(same) + PRIOR_PAIRS),
        variants={name: math.sqrt(variance) for name, variance in own.items()},
        measured=measured,
    )


def _pairs(points: Sequence[_Point]) -> int:
    return len({point.pair for point in points})


def _joined(points: Sequence[_Point], prior: float) -> float:
    """Variance between processes, pooled with `prior` as if from PRIOR_PAIRS more pairs."""
    found = max(0.0, float(np.mean([point.square - point.within for point in points])))
    pairs = _pairs(points)
    return (pairs * found + PRIOR_PAIRS * prior) / (pairs + PRIOR_PAIRS)


def recommended_processes(
    trials: Sequence[Trial], found: BetweenProcess, seconds: float = WORKLOAD_SECONDS
) -> int:
    """The smallest K at which a slow-down of FOUND is called in at least half of the cases.

    0 if MOST_RECOMMENDED processes are not enough. The trials had `seconds` of timed steps per
    process; a workload has WORKLOAD_SECONDS, and so fewer rounds. Half of the estimates of a true
    5 % are above 5 %, so K is enough if an estimate of exactly 5 % is called.
    """
    within = float(np.median([estimators.standard_error(t.logs) for t in trials if not t.slowdown]))
    for processes in range(1, MOST_RECOMMENDED + 1):
        deviation = found.deviation
        error = math.sqrt((deviation**2 + within**2 * seconds / WORKLOAD_SECONDS) / processes)
        margin = math.log1p(max(verdicts.LEAST_MARGIN, deviation / math.sqrt(processes)))
        at = Estimate(math.log1p(FOUND), error, found.degrees + processes - 1, margin)
        if at.p_value < (1 - estimators.CONFIDENCE) / 2:
            return processes
    return 0


def median_cost(
    trials: Sequence[Trial], name: Literal["process_seconds", "round_seconds"]
) -> float | None:
    """The median of a cost over all trials; None if none has it."""
    costs = [cost for trial in trials if (cost := getattr(trial, name)) is not None]
    return float(np.median(costs)) if costs else None


def best_rounds(trials: Sequence[Trial], found: BetweenProcess) -> int:
    """The rounds of a process that give the narrowest intervals for their time; 0: unknown."""
    process, each = (median_cost(trials, name) for name in ("process_seconds", "round_seconds"))
    if process is None or each is None:
        return 0
    same = [trial.logs for trial in trials if not trial.slowdown]
    within = [len(logs) * estimators.standard_error(logs) ** 2 for logs in same]
    return rounds_for(process, each, within, [found.deviation**2])


def summarise(
    trials: Sequence[Trial],
    baseline: Sequence[BaselineTrial],
    processes: Sequence[int],
    measured: str,
) -> list[Trials]:
    """One line per variant, slow-down and number of processes.

    Each trial is judged with the deviation from all pairs except its own.
    """
    same = [_Point.of(trial) for trial in trials if not trial.slowdown]
    groups: dict[tuple[str, float], list[Trial]] = defaultdict(list)
    for trial in trials:
        groups[trial.variant, trial.slowdown].append(trial)
    by_baseline: dict[tuple[str, float], list[float]] = defaultdict(list)
    for other in baseline:
        by_baseline[other.variant, other.slowdown].append(other.ratio)
    return [
        _summary(members, same, count, measured, by_baseline[key] if count == 1 else [])
        for key, members in sorted(groups.items())
        for count in processes
        if len({t.pair for t in members}) >= count
    ]


def _summary(
    members: Sequence[Trial],
    same: Sequence[_Point],
    processes: int,
    measured: str,
    baseline: Sequence[float],
) -> Trials:
    truth = math.log1p(members[0].slowdown)
    ratios, called, wrong, covered = [], 0, 0, 0
    for together in _grouped(members, processes):
        found = _estimate(together, same, measured)
        disturbed = float(np.mean([trial.disturbed for trial in together]))
        verdict = verdicts.judge({"second": found}, disturbed=disturbed)["second"].verdict
        ratios.append(found.ratio)
        called += verdict in ("faster", "slower")
        wrong += verdict == "faster" or (verdict == "slower" and not truth)
        covered += abs(found.log_ratio - truth) <= found.half_width
    return Trials(
        variant=members[0].variant,
        slowdown=members[0].slowdown,
        processes=processes,
        pairs=len({trial.pair for trial in members}),
        ratios=tuple(ratios),
        called=called,
        wrong=wrong,
        covered=covered,
        pytest_benchmark=tuple(baseline),
    )


def _grouped(members: Sequence[Trial], processes: int) -> Iterator[list[Trial]]:
    """Groups of `processes` pairs each: disjoint groups, once per repetition."""
    by_pair: dict[int, list[Trial]] = defaultdict(list)
    for trial in members:
        by_pair[trial.pair].append(trial)
    pairs = list(by_pair.values())
    for start in range(0, len(pairs) - processes + 1, processes):
        chosen = pairs[start : start + processes]
        for together in zip(*chosen, strict=False):
            yield list(together)


def _estimate(together: Sequence[Trial], same: Sequence[_Point], measured: str) -> Estimate:
    own = {trial.pair for trial in together}
    others = [point for point in same if point.pair not in own]
    known = _between_process(others, measured) if others else verdicts.ASSUMED
    name = together[0].variant
    deviation = verdicts.deviation_of(known, name, name)
    degrees = verdicts.degrees_of(known, name, name)
    return verdicts.estimate([trial.logs for trial in together], deviation, degrees)

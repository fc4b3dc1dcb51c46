"""The change of one variant in one workload from run to run, without the drift of the machine.

Drift controls are the other candidates of the workload, timed in the same rounds: the GEMM
baseline, and every other program with unchanged versions. Let a be the variant in the base run, b
the variant in the other run, and y one of n drift controls. Then

    change = median over y of (log(b / y_b) - log(a / y_a))

where each log ratio is paired round by round within its run. With K processes per run and the
between-process standard deviation `deviation` of one program, the variance of the change is

    deviation^2 / K  (a against b)  +  min(1, pi / 2 / n) s^2  (drift controls)  +  rounds

where s^2 is deviation^2 / K or the variance of the drift controls' changes, whichever is larger.
The latter includes the scatter of their rounds; so `rounds` is taken from the drift control whose
ratios to the variant scatter least.

Without drift controls, seconds are compared without correction, and BETWEEN_RUNS squared is added:
the variance of one machine between two runs.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from bench.analysis import estimators, verdicts
from bench.analysis.verdicts import Estimate
from bench.compare.runs import Sample
from bench.records.schema import BetweenProcess

# Standard deviation of the log ratio of one program's times in two runs on one machine, and its
# degrees of freedom. Measured on a quiet machine: 5 to 11 % at the 90th percentile.
BETWEEN_RUNS, BETWEEN_RUNS_DEGREES = 0.05, 8.0
# Variants; fewer could all have changed. A GEMM baseline alone is enough.
ENOUGH_CONTROLS = 3
MOST_CONTROLS = 8

Samples = Mapping[str, Sample]  # the samples of a workload, by name


@dataclass(frozen=True)
class Ground:
    """What the comparison of two runs assumes."""

    between: BetweenProcess
    same_machine: bool  # False: there are no drift controls
    changed: frozenset[str]  # programs that changed, and so are not drift controls


@dataclass(frozen=True)
class Drifted:
    """A change of log seconds, and the parts of its variance."""

    centre: float
    lasting: float  # variance that lasts as long as the processes
    passing: float  # variance of this workload alone, without its rounds
    rounds: float  # variance expected from the scatter of the rounds
    degrees: float  # degrees of freedom of `lasting` and `passing`
    rounds_degrees: float  # degrees of freedom of `rounds`
    controls: int

    def estimate(self) -> Estimate:
        # The interval includes the between-process deviation already.
        margin = math.log1p(verdicts.LEAST_MARGIN)
        others = self.lasting + self.passing
        total = others + self.rounds
        if not math.isfinite(total):
            return Estimate(self.centre, math.inf, 1.0, margin)
        parts = ((others, self.degrees), (self.rounds, max(self.rounds_degrees, 1)))
        otherwise = self.degrees + self.rounds_degrees
        degrees = estimators.satterthwaite(parts, otherwise)
        return Estimate(self.centre, math.sqrt(total), degrees, margin)


def change(here: Samples, there: Samples, name: str, ground: Ground) -> Drifted:
    """log(seconds there / seconds here), without the drift of the machine if it is known."""
    between = ground.between
    own = between.variants.get(name, between.deviation)
    own_degrees = verdicts.degrees_of(between, name, name)
    processes = min(len(here[name].processes), len(there[name].processes))
    controls = _controls(here, there, name, ground.changed) if ground.same_machine else []
    rounds_degrees = sum(len(r) - 1 for samples in (here, there) for r in samples[name].processes)
    if not controls:
        centre, squared = _unpaired(here[name], there[name])
        return Drifted(
            centre,
            lasting=own**2 / processes + BETWEEN_RUNS**2,
            passing=0.0,
            rounds=squared,
            degrees=min(own_degrees, BETWEEN_RUNS_DEGREES),
            rounds_degrees=rounds_degrees,
            controls=0,
        )
    found = [_paired(here, there, name, control) for control in controls]
    of_all, of_own = between.deviation**2 / processes, own**2 / processes
    share, scatter = _of_controls([centre for centre, _ in found])
    parts = ((of_own, own_degrees), (share * of_all, between.degrees))
    return Drifted(
        median(centre for centre, _ in found),
        lasting=of_own + share * of_all,
        passing=share * max(0.0, scatter - of_all),
        rounds=min(squared for _, squared in found),
        degrees=estimators.satterthwaite(parts, otherwise=between.degrees),
        rounds_degrees=rounds_degrees,
        controls=len(controls),
    )


def mean(found: Sequence[Drifted]) -> Drifted:
    """The mean of changes that share their `lasting` variance, and nothing else."""
    count = len(found)
    return Drifted(
        float(np.mean([each.centre for each in found])),
        lasting=float(np.mean([each.lasting for each in found])),
        passing=float(np.mean([each.passing for each in found])) / count,
        rounds=float(np.mean([each.rounds for each in found])) / count,
        degrees=float(np.median([each.degrees for each in found])),
        rounds_degrees=float(sum(each.rounds_degrees for each in found)),
        controls=min(each.controls for each in found),
    )


def _controls(here: Samples, there: Samples, name: str, changed: Collection[str]) -> list[str]:
    """The drift controls of `name`; empty if there are too few."""
    baselines_first = sorted(here, key=lambda other: here[other].role != "gemm baseline")
    found = [
        other
        for other in baselines_first  # MOST_CONTROLS never cuts them off
        if other in there
        and here[other].program not in (here[name].program, *changed)
        and here[other].versions == there[other].versions
        and all(run[other].usable and _alternated(run[other], run[name]) for run in (here, there))
    ]
    enough = len(found) >= ENOUGH_CONTROLS
    enough |= any(here[other].role == "gemm baseline" for other in found)
    return found[:MOST_CONTROLS] if enough else []


def _alternated(a: Sample, b: Sample) -> bool:
    """Whether their rounds alternated, so that they can be paired."""
    counts = ([len(rounds) for rounds in sample.processes] for sample in (a, b))
    return a.interleaved and b.interleaved and operator.eq(*counts)


def _of_controls(changes: Sequence[float]) -> tuple[float, float]:
    """(variance of the median of the changes / variance of one change, variance of one change).

    The variance comes from the median absolute deviation, so an outlier does not count. It is 0 for
    a single change.
    """
    values = np.array(changes)
    deviation = 1.4826 * float(np.median(np.abs(values - np.median(values))))
    return min(1.0, math.pi / 2 / len(values)), deviation**2


def _paired(here: Samples, there: Samples, name: str, control: str) -> tuple[float, float]:
    """(change of log(name / control) from here to there, its variance from the rounds)."""
    centres, squared = [], 0.0
    for samples in (here, there):
        pairs = zip(samples[name].processes, samples[control].processes, strict=True)
        centre, variance = _centre([np.log(a) - np.log(b) for a, b in pairs])
        centres.append(centre)
        squared += variance
    return centres[1] - centres[0], squared


def _unpaired(here: Sample, there: Sample) -> tuple[float, float]:
    """(change of log seconds, its variance from the rounds)."""
    first, second = (_centre([np.log(r) for r in sample.processes]) for sample in (here, there))
    return second[0] - first[0], first[1] + second[1]


def _centre(logs: Sequence[np.ndarray]) -> tuple[float, float]:
    """Mean over the processes of the centre of their (N,) logs, and its variance."""
    centres = [estimators.centre(rounds) for rounds in logs]
    squares = [estimators.standard_error(rounds) ** 2 for rounds in logs]
    return float(np.mean(centres)), float(np.mean(squares)) / len(logs)

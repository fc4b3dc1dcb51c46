"""The change of one variant in one workload from run to run, less the drift of the machine.

Drift controls are the other candidates of the workload, which were timed in the same rounds: the
GEMM baseline, and every other program of the same versions. With a and b a variant in the base run
and in the other, and y one of n drift controls,

    change = median over y of (log(b / y_b) - log(a / y_a))

where each log ratio is paired round by round within its run. With K processes in either run and
`deviation` the between-process standard deviation of one program, its variance is

    deviation^2 / K  (a against b)  +  min(1, pi / 2 / n) y^2  (the drift controls')  +  rounds'

where y^2 is deviation^2 / K, or the scatter of the drift controls' changes if that is more. Their
scatter contains that of their own rounds; so the rounds' part is that of the drift control that
scatters least beside the variant.

Without a drift control seconds are compared as they are, and the variance of one machine between
two runs, BETWEEN_RUNS squared, is added.
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
# degrees of freedom: DESIGN found 5 to 11 % at the 90th percentile on a quiet one.
BETWEEN_RUNS, BETWEEN_RUNS_DEGREES = 0.05, 8.0
# Of variants; fewer might be the ones that changed. A GEMM baseline is enough alone.
ENOUGH_CONTROLS = 3
MOST_CONTROLS = 8

Samples = Mapping[str, Sample]  # of a workload, by name


@dataclass(frozen=True)
class Ground:
    """What the comparison of two runs stands on."""

    between: BetweenProcess
    same_machine: bool  # if not, there are no drift controls
    changed: frozenset[str]  # programs that are none, since they are known to have changed


@dataclass(frozen=True)
class Drifted:
    """A change of log seconds, and the parts of its variance."""

    centre: float
    lasting: float  # variance of what stays for as long as the processes live
    passing: float  # variance of what is this workload's own, beside its rounds
    rounds: float  # variance that the rounds let expect
    degrees: float  # of freedom, of the first two
    rounds_degrees: float  # and of the third
    controls: int

    def estimate(self) -> Estimate:
        # The deviation between processes is in the interval already.
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
    """log(seconds there / seconds here), less the machine's own change where it is known."""
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
    """Of changes that share what lasts as long as their processes, and nothing else."""
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
    """Names in both that stand for the machine beside `name`; none where they are too few."""
    baselines_first = sorted(here, key=lambda other: here[other].role != "gemm baseline")
    found = [
        other
        for other in baselines_first  # so that they are never cut off
        if other in there
        and here[other].program not in (here[name].program, *changed)
        and here[other].versions == there[other].versions
        and all(run[other].usable and _alternated(run[other], run[name]) for run in (here, there))
    ]
    enough = len(found) >= ENOUGH_CONTROLS
    enough |= any(here[other].role == "gemm baseline" for other in found)
    return found[:MOST_CONTROLS] if enough else []


def _alternated(a: Sample, b: Sample) -> bool:
    """Did their rounds alternate, so that each of one stands beside one of the other."""
    counts = ([len(rounds) for rounds in sample.processes] for sample in (a, b))
    return a.interleaved and b.interleaved and operator.eq(*counts)


def _of_controls(changes: Sequence[float]) -> tuple[float, float]:
    """Of their changes: the share of one's variance that their median has, and that variance.

    From the median deviation, so that one that did change does not count; 0 of one alone.
    """
    values = np.array(changes)
    deviation = 1.4826 * float(np.median(np.abs(values - np.median(values))))
    return min(1.0, math.pi / 2 / len(values)), deviation**2


def _paired(here: Samples, there: Samples, name: str, control: str) -> tuple[float, float]:
    """(change of log(name / control) from here to there, its variance by the rounds)."""
    centres, squared = [], 0.0
    for samples in (here, there):
        pairs = zip(samples[name].processes, samples[control].processes, strict=True)
        centre, variance = _centre([np.log(a) - np.log(b) for a, b in pairs])
        centres.append(centre)
        squared += variance
    return centres[1] - centres[0], squared


def _unpaired(here: Sample, there: Sample) -> tuple[float, float]:
    """(change of log seconds, its variance by the rounds)."""
    first, second = (_centre([np.log(r) for r in sample.processes]) for sample in (here, there))
    return second[0] - first[0], first[1] + second[1]


def _centre(logs: Sequence[np.ndarray]) -> tuple[float, float]:
    """Mean over processes of the centre of (N,) logs, and its variance by the rounds."""
    centres = [estimators.centre(rounds) for rounds in logs]
    squares = [estimators.standard_error(rounds) ** 2 for rounds in logs]
    return float(np.mean(centres)), float(np.mean(squares)) / len(logs)

"""Two runs side by side: the same variant in both, in the vocabulary of `verdicts`.

A run is a set of processes at a time of its own, so nothing is paired over runs. What is compared
is how a variant stands to its *yardsticks* in each run: the other entries of its cell, which were
timed in the same rounds (the GEMM floor, and every other variant of the same versions). Their
change from run to run is the machine's; their median is taken out. With a and b a variant in the
base run and in the other, and y one of n yardsticks,

    change = median over y of (log(b / y_b) - log(a / y_a))

where each log ratio is paired round by round within its run. Its variance, with K processes in
either run and `offset` of one program between two processes, is

    offset^2 / K  (a against b)  +  min(1, pi / 2 / n) offset^2 / K  (the yardsticks')  +  rounds'

(the yardsticks' is larger where they differ more than that from each other.)

Where there is no yardstick to rely on, seconds are compared as they are, and BETWEEN_RUNS, how far
a machine differs from itself between two runs, is added to the variance. So only large differences
are told then.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from bench import statistics, verdicts
from bench.record import Offset
from bench.sides import Key, Sample, Side
from bench.verdicts import Comparison, Estimate

# Standard deviation of the log ratio of one program's times in two runs on one machine: DESIGN
# found 5 to 11 % at the 90th percentile on a quiet one.
BETWEEN_RUNS = Offset(spread=0.05, degrees=8.0)
ENOUGH_YARDSTICKS = 3  # of variants; fewer might be the ones that changed. A floor is enough alone.
MOST_YARDSTICKS = 8


@dataclass(frozen=True)
class Change:
    """One variant in one cell, in two runs."""

    base: Sample
    other: Sample
    yardsticks: int  # entries that stand for the machine; 0: seconds were compared as they are
    seconds_ratio: float  # of the medians, as they are
    judged: Comparison


@dataclass(frozen=True)
class Result:
    """A run beside the base run."""

    changes: tuple[Change, ...]
    variants: dict[str, Comparison]  # over all its cells together
    machine: dict[Key, float]  # ratio of the yardsticks' seconds, a cell


def compare(base: Side, other: Side, *, same_machine: bool = True) -> Result:
    """Every variant that both have, in every cell that both have; raises ValueError for none.

    Verdicts are Holm-corrected over all cells and variants, and once more over the variants alone.
    Across machines nothing stands for "the machine": seconds are compared as they are.
    """
    estimates: dict[tuple[Key, str], tuple[Estimate, int]] = {}
    machine: dict[Key, float] = {}
    offset = _wider(base.offset, other.offset)
    for key in base.cells:
        if key not in other.cells:
            continue
        here, there = base.cells[key], other.cells[key]
        if same_machine and (moved := _moved(here, there)) is not None:
            machine[key] = moved
        for name in here:
            if name in there and here[name].variant and here[name].ranked and there[name].ranked:
                estimates[key, name] = _change(here, there, name, offset, same_machine)
    if not estimates:
        raise ValueError("the runs have no variant with a time in both")
    judged = _judged(base, other, {k: e for k, (e, _) in estimates.items()})
    changes = tuple(
        Change(
            base=base.cells[key][name],
            other=other.cells[key][name],
            yardsticks=estimates[key, name][1],
            seconds_ratio=other.cells[key][name].seconds / base.cells[key][name].seconds,
            judged=judged[key, name],
        )
        for key, name in estimates
    )
    return Result(changes, _by_variant(changes), machine)


def _wider(a: Offset, b: Offset) -> Offset:
    return max((a, b), key=lambda offset: offset.spread)


def _judged(
    base: Side, other: Side, estimates: Mapping[tuple[Key, str], Estimate]
) -> dict[tuple[Key, str], Comparison]:
    """By Holm's procedure over all; unclear in a cell that others disturbed in either run."""
    labels = {f"{number}": place for number, place in enumerate(estimates)}
    found = verdicts.judge({label: estimates[place] for label, place in labels.items()})
    judged = {labels[label]: comparison for label, comparison in found.items()}
    for (key, name), comparison in judged.items():
        worst = max(side.disturbed.get(key, 0.0) for side in (base, other))
        if worst > verdicts.MOST_DISTURBED:
            judged[key, name] = Comparison(comparison.estimate, "unclear")
    return judged


def _yardsticks(here: Mapping[str, Sample], there: Mapping[str, Sample], name: str) -> list[str]:
    """Entries of both that stand for the machine beside `name`; none where they are too few."""
    found = [
        other
        for other in here
        if other in there
        and here[other].program != here[name].program
        and here[other].versions == there[other].versions
        and all(side[other].usable and _paired(side[other], side[name]) for side in (here, there))
    ]
    floors = [other for other in found if here[other].floor]
    return found[:MOST_YARDSTICKS] if floors or len(found) >= ENOUGH_YARDSTICKS else []


def _paired(a: Sample, b: Sample) -> bool:
    return [len(rounds) for rounds in a.processes] == [len(rounds) for rounds in b.processes]


def _change(
    here: Mapping[str, Sample],
    there: Mapping[str, Sample],
    name: str,
    offset: Offset,
    same_machine: bool,
) -> tuple[Estimate, int]:
    """log(seconds there / seconds here), the machine's own change taken out where it is known."""
    spread = offset.variants.get(name, offset.spread)
    processes = min(len(here[name].processes), len(there[name].processes))
    yardsticks = _yardsticks(here, there, name) if same_machine else []
    if not yardsticks:
        centre, within, rounds = _unpaired(here[name], there[name])
        variance = spread**2 / processes + BETWEEN_RUNS.spread**2
        known = min(offset.degrees, BETWEEN_RUNS.degrees)
    else:
        found = [_paired_change(here, there, name, other) for other in yardsticks]
        centre = median(change for change, _ in found)
        within = median(squared for _, squared in found)
        rounds = sum(len(r) - 1 for side in (here, there) for r in side[name].processes)
        variance = spread**2 / processes + _of_yardsticks(found, offset.spread**2 / processes)
        known = offset.degrees
    margin = math.log1p(verdicts.LEAST_MARGIN)  # the offset is in the interval already
    total = variance + within
    if not math.isfinite(total):
        return Estimate(centre, math.inf, 1.0, margin), len(yardsticks)
    # Satterthwaite: the degrees of a sum of two variances that have their own.
    parts = variance**2 / known + within**2 / max(rounds, 1)
    degrees = total**2 / parts if parts else known + rounds
    return Estimate(centre, math.sqrt(total), degrees, margin), len(yardsticks)


def _of_yardsticks(found: Sequence[tuple[float, float]], offset_squared: float) -> float:
    """Variance of the median of their changes: by their offsets, or as they differ if that is more.

    A median deviation: one yardstick that did change does not count.
    """
    changes = np.array([change for change, _ in found])
    deviation = 1.4826 * float(np.median(np.abs(changes - np.median(changes))))
    share = min(1.0, math.pi / 2 / len(found))
    return share * max(offset_squared, deviation**2)


def _paired_change(
    here: Mapping[str, Sample], there: Mapping[str, Sample], name: str, yardstick: str
) -> tuple[float, float]:
    """(change of log(name / yardstick) from here to there, its variance by the rounds)."""
    centres, squared = [], 0.0
    for side in (here, there):
        logs = [
            np.log(a) - np.log(b)
            for a, b in zip(side[name].processes, side[yardstick].processes, strict=True)
        ]
        centre, variance = _centre(logs)
        centres.append(centre)
        squared += variance
    return centres[1] - centres[0], squared


def _unpaired(here: Sample, there: Sample) -> tuple[float, float, int]:
    """(change of log seconds, its variance by the rounds, degrees of freedom)."""
    first, second = (_centre([np.log(r) for r in s.processes]) for s in (here, there))
    rounds = sum(len(r) - 1 for sample in (here, there) for r in sample.processes)
    return second[0] - first[0], first[1] + second[1], rounds


def _centre(logs: Sequence[np.ndarray]) -> tuple[float, float]:
    """Mean over processes of the centre of (N,) logs, and its variance by the rounds."""
    centres = [statistics.centre(rounds) for rounds in logs]
    squares = [statistics.standard_error(rounds) ** 2 for rounds in logs]
    return float(np.mean(centres)), float(np.mean(squares)) / len(logs)


def _moved(here: Mapping[str, Sample], there: Mapping[str, Sample]) -> float | None:
    """Ratio of the seconds of what did not change: the floor or, without one, the median entry."""
    ratios = {
        name: there[name].seconds / here[name].seconds
        for name in here
        if name in there
        and here[name].usable
        and there[name].usable
        and here[name].versions == there[name].versions
    }
    floors = [ratio for name, ratio in ratios.items() if here[name].floor]
    if floors:
        return floors[0]
    return median(ratios.values()) if len(ratios) >= ENOUGH_YARDSTICKS else None


def _by_variant(changes: Sequence[Change]) -> dict[str, Comparison]:
    """A variant over all its cells: one process serves many, so their offset is one and stays."""
    groups: dict[str, list[Estimate]] = {}
    for change in changes:
        groups.setdefault(change.base.name, []).append(change.judged.estimate)
    joined = {name: _joined(found) for name, found in groups.items() if len(found) > 1}
    return verdicts.judge(joined)


def _joined(found: Sequence[Estimate]) -> Estimate:
    """The mean of changes that share their offset, so that it is no surer than one of them."""
    return Estimate(
        log_ratio=float(np.mean([estimate.log_ratio for estimate in found])),
        standard_error=float(np.median([estimate.standard_error for estimate in found])),
        degrees=float(np.median([estimate.degrees for estimate in found])),
        margin=found[0].margin,
    )

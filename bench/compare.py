"""Two runs side by side: the same variant in both, in the vocabulary of `verdicts`.

A run is a set of processes at a time of its own, so nothing is paired over runs. What is compared
is how a variant stands to its *yardsticks* in each run: the other entries of its cell, which were
timed in the same rounds (the GEMM floor, and every other variant of the same versions). Their
change from run to run is the machine's; their median is taken out. With a and b a variant in the
base run and in the other, and y one of n yardsticks,

    change = median over y of (log(b / y_b) - log(a / y_a))

where each log ratio is paired round by round within its run. Its variance, with K processes in
either run and `offset` of one program between two processes, is

    offset^2 / K  (a against b)  +  min(1, pi / 2 / n) y^2  (the yardsticks')  +  rounds'

where y^2 is offset^2 / K, or what the yardsticks' changes scatter if that is more. Their scatter
holds that of their own rounds; so the rounds' part is that of the yardstick that scatters least
beside the variant.

A variant over all cells of a run: offsets last as long as its processes, which serve many cells,
and stay whole; what is above them is each cell's own, and is averaged. Cells that others disturbed
are left out.

Who changed is no yardstick. So the most sure change is found first; its variant then stands for the
machine no longer, and all are compared again, until no further one is found.

Where there is no yardstick to rely on, seconds are compared as they are, and BETWEEN_RUNS, how far
a machine differs from itself between two runs, is added to the variance. So only large differences
are told then.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Collection, Mapping, Sequence
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


# A cell, and its entries in either run.
_Pair = tuple[Key, Mapping[str, Sample], Mapping[str, Sample]]


@dataclass(frozen=True)
class Result:
    """A run beside the base run."""

    changes: tuple[Change, ...]
    variants: dict[str, Comparison]  # over all its cells together
    floors: dict[Key, float]  # ratio of the seconds of the bare products, a cell


def compare(base: Side, other: Side, *, same_machine: bool = True) -> Result:
    """Every variant that both have, in every cell that both have; raises ValueError for none.

    Verdicts are Holm-corrected over all cells and variants, and once more over the variants alone.
    Across machines nothing stands for "the machine": seconds are compared as they are.
    """
    pairs = [(key, base.cells[key], other.cells[key]) for key in base.cells if key in other.cells]
    changed: set[str] = set()
    while True:
        result = _compared(base, other, pairs, _Ground(same_machine, frozenset(changed)))
        surest = _surest(result, changed)
        if surest is None:
            return result
        changed.add(surest)


@dataclass(frozen=True)
class _Ground:
    """What stands for the machine."""

    same_machine: bool
    changed: frozenset[str]  # programs that do not, since they are known to have changed


def _compared(base: Side, other: Side, pairs: Sequence[_Pair], ground: _Ground) -> Result:
    offset = _wider(base.offset, other.offset)
    spreads = {
        (key, name): _change(here, there, name, offset, ground)
        for key, here, there in pairs
        for name in here
        if name in there and here[name].variant and here[name].ranked and there[name].ranked
    }
    if not spreads:
        raise ValueError("the runs have no variant with a time in both")
    judged = _judged(base, other, {k: spread.estimate() for k, spread in spreads.items()})
    changes = tuple(
        Change(
            base=base.cells[key][name],
            other=other.cells[key][name],
            yardsticks=spreads[key, name].yardsticks,
            seconds_ratio=other.cells[key][name].seconds / base.cells[key][name].seconds,
            judged=judged[key, name],
        )
        for key, name in spreads
    )
    quiet = {k: spread for k, spread in spreads.items() if not _disturbed(base, other, k[0])}
    floors = {key: moved for key, here, there in pairs if (moved := _floor_moved(here, there))}
    return Result(changes, _by_variant(quiet), floors)


def _surest(result: Result, known: Collection[str]) -> str | None:
    """The program that changed most surely, of those not `known` to have; None if none did."""
    programs = {change.base.name: change.base.program for change in result.changes}
    told = [(change.base.name, change.judged) for change in result.changes]
    told += list(result.variants.items())
    found = [
        (judged.estimate.p_value, programs[name])
        for name, judged in told
        if judged.verdict in ("slower", "faster") and programs[name] not in known
    ]
    return min(found)[1] if found else None


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
        if _disturbed(base, other, key):
            judged[key, name] = Comparison(comparison.estimate, "unclear")
    return judged


def _disturbed(base: Side, other: Side, key: Key) -> bool:
    """Were others too busy in either run."""
    shares = (side.disturbed.get(key, 0.0) for side in (base, other))
    return max(shares) > verdicts.MOST_DISTURBED


def _yardsticks(
    here: Mapping[str, Sample], there: Mapping[str, Sample], name: str, changed: Collection[str]
) -> list[str]:
    """Entries of both that stand for the machine beside `name`; none where they are too few."""
    found = [
        other
        for other in sorted(here, key=lambda name: not here[name].floor)  # it is never cut off
        if other in there
        and here[other].program not in (here[name].program, *changed)
        and here[other].versions == there[other].versions
        and all(side[other].usable and _paired(side[other], side[name]) for side in (here, there))
    ]
    floors = [other for other in found if here[other].floor]
    return found[:MOST_YARDSTICKS] if floors or len(found) >= ENOUGH_YARDSTICKS else []


def _paired(a: Sample, b: Sample) -> bool:
    """Were their rounds taken in turn, so that each of one stands beside one of the other."""
    counts = ([len(rounds) for rounds in sample.processes] for sample in (a, b))
    return a.interleaved and b.interleaved and operator.eq(*counts)


@dataclass(frozen=True)
class _Spread:
    """A change, and the parts of its variance."""

    centre: float
    lasting: float  # variance of what stays for as long as the processes live
    passing: float  # variance of what is this cell's own, beside its rounds
    rounds: float  # variance that the rounds let expect
    known: float  # degrees of freedom of the first two
    degrees: float  # and of the third
    yardsticks: int

    def estimate(self) -> Estimate:
        margin = math.log1p(verdicts.LEAST_MARGIN)  # the offset is in the interval already
        other = self.lasting + self.passing
        total = other + self.rounds
        if not math.isfinite(total):
            return Estimate(self.centre, math.inf, 1.0, margin)
        # Satterthwaite: the degrees of a sum of two variances that have their own.
        parts = other**2 / self.known + self.rounds**2 / max(self.degrees, 1)
        degrees = total**2 / parts if parts else self.known + self.degrees
        return Estimate(self.centre, math.sqrt(total), degrees, margin)


def _change(
    here: Mapping[str, Sample],
    there: Mapping[str, Sample],
    name: str,
    offset: Offset,
    ground: _Ground,
) -> _Spread:
    """log(seconds there / seconds here), the machine's own change taken out where it is known."""
    own = offset.variants.get(name, offset.spread)
    processes = min(len(here[name].processes), len(there[name].processes))
    yardsticks = _yardsticks(here, there, name, ground.changed) if ground.same_machine else []
    if not yardsticks:
        centre, within, degrees = _unpaired(here[name], there[name])
        return _Spread(
            centre,
            lasting=own**2 / processes + BETWEEN_RUNS.spread**2,
            passing=0.0,
            rounds=within,
            known=min(verdicts.degrees_of(offset, name, name), BETWEEN_RUNS.degrees),
            degrees=degrees,
            yardsticks=0,
        )
    found = [_paired_change(here, there, name, other) for other in yardsticks]
    of_offset, of_own = offset.spread**2 / processes, own**2 / processes
    share, scatter = _of_yardsticks([change for change, _ in found])
    return _Spread(
        median(change for change, _ in found),
        lasting=of_own + share * of_offset,
        passing=share * max(0.0, scatter - of_offset),
        rounds=min(squared for _, squared in found),
        known=_degrees(offset, name, of_own, share * of_offset),
        degrees=sum(len(r) - 1 for side in (here, there) for r in side[name].processes),
        yardsticks=len(yardsticks),
    )


def _degrees(offset: Offset, name: str, own: float, others: float) -> float:
    """Of freedom, by Satterthwaite: of a variance of its own offset and one of all variants."""
    parts = ((own, verdicts.degrees_of(offset, name, name)), (others, offset.degrees))
    known = sum(variance**2 / degrees for variance, degrees in parts)
    return (own + others) ** 2 / known if known else offset.degrees


def _of_yardsticks(changes: Sequence[float]) -> tuple[float, float]:
    """Of their changes: the share of one's variance that their median has, and that variance.

    From the median deviation, so that one yardstick that did change does not count; 0 of one alone.
    """
    values = np.array(changes)
    deviation = 1.4826 * float(np.median(np.abs(values - np.median(values))))
    return min(1.0, math.pi / 2 / len(values)), deviation**2


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


def _floor_moved(here: Mapping[str, Sample], there: Mapping[str, Sample]) -> float | None:
    """Ratio of the seconds of the bare products; None where they are not in both, or not alike."""
    ratios = (
        there[name].seconds / floor.seconds
        for name, floor in here.items()
        if floor.floor and floor.usable and name in there and there[name].usable
        if floor.versions == there[name].versions
    )
    return next(ratios, None)


def _by_variant(spreads: Mapping[tuple[Key, str], _Spread]) -> dict[str, Comparison]:
    """Each variant over all its cells, where it has several."""
    groups: dict[str, list[_Spread]] = {}
    for (_, name), spread in spreads.items():
        groups.setdefault(name, []).append(spread)
    joined = {name: _joined(found) for name, found in groups.items() if len(found) > 1}
    return verdicts.judge({name: spread.estimate() for name, spread in joined.items()})


def _joined(found: Sequence[_Spread]) -> _Spread:
    """The mean of changes that share their offsets, and nothing else."""
    return _Spread(
        float(np.mean([spread.centre for spread in found])),
        lasting=float(np.mean([spread.lasting for spread in found])),
        passing=float(np.mean([spread.passing for spread in found])) / len(found),
        rounds=float(np.mean([spread.rounds for spread in found])) / len(found),
        known=float(np.median([spread.known for spread in found])),
        degrees=float(sum(spread.degrees for spread in found)),
        yardsticks=min(spread.yardsticks for spread in found),
    )

"""From the rounds of two variants to a ratio, its interval, a verdict and a rank.

Two things make a measured ratio differ from the true one. Within a pair of processes the rounds
scatter (`estimators.standard_error`). Between pairs of processes of the same two programs the ratio
differs for as long as they run (memory layout, page colours, thread placement), which no number of
rounds shows. With K processes per variant, the variance of the estimate is

    V / K,   V = deviation^2 + mean(standard_error_k^2)

where `deviation`, the between-process standard deviation, was measured on this machine (`rnnbench
selftest`) or is assumed. V is pooled with the sample variance of the K estimates, each weighted by
its degrees of freedom, as in a moderated t test (Smyth, 2004). So K = 1 has an interval, and K = 10
hardly depends on the deviation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bench.analysis import estimators
from bench.records.schema import BetweenProcess, Measurement

Verdict = Literal["faster", "slower", "same", "unclear"]

POWER = 0.8  # with which a change is said to be found
LEAST_MARGIN = 0.01  # nobody changes a framework for a smaller difference
# Identical programs, one after the other, differ by up to 11 % on a quiet machine.
UNPAIRED_MARGIN = 0.2
# Between-process standard deviation, assumed until a selftest has measured it.
ASSUMED = BetweenProcess(deviation=0.02, degrees=8.0)
# Steps below it have a deviation of their own (docs/decisions/0021).
SHORT_SECONDS = 1e-3
PRIOR_PAIRS = 2  # weight of the assumed deviation, in pairs of processes of a selftest
# Share of a workload's blocks; if more are disturbed, its verdicts are unclear.
MOST_DISTURBED = 0.2


@dataclass(frozen=True)
class Estimate:
    """An estimate of log(seconds of a / seconds of b)."""

    log_ratio: float
    standard_error: float  # between processes and within them
    degrees: float  # of freedom, of the standard error
    margin: float  # a |log_ratio| within it counts as no difference

    @property
    def ratio(self) -> float:
        return math.exp(self.log_ratio)

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the ratio, not corrected for the number of comparisons."""
        half = self.half_width
        return math.exp(self.log_ratio - half), math.exp(self.log_ratio + half)

    @property
    def half_width(self) -> float:
        """Half width of the 95 % interval of `log_ratio`; inf if there was one round only."""
        if not math.isfinite(self.standard_error):
            return math.inf
        return estimators.quantile(self.degrees) * self.standard_error

    @property
    def p_value(self) -> float:
        """One-sided p-value: the null hypothesis is a true ratio at the margin."""
        if not math.isfinite(self.standard_error):
            return 1.0
        beyond = abs(self.log_ratio) - self.margin
        if not self.standard_error:
            return 0.0 if beyond > 0 else 1.0
        return estimators.beyond(beyond / self.standard_error, self.degrees)

    def least_found(self, among: int) -> float:
        """The smallest ratio above 1 that is called slower with a probability of POWER.

        It is one of `among` comparisons, and the only one that changed: Holm's first bound.
        """
        if not math.isfinite(self.standard_error):
            return math.inf
        bound = (1 - estimators.CONFIDENCE) / 2 / among
        needed = estimators.distance_found(bound, POWER, self.degrees)
        return math.exp(self.margin + needed * self.standard_error)

    @property
    def same(self) -> bool:
        """Whether the whole interval lies within the margin."""
        return abs(self.log_ratio) + self.half_width <= self.margin


@dataclass(frozen=True)
class Comparison:
    """An estimate and its verdict, given the other estimates of the workload."""

    estimate: Estimate
    verdict: Verdict  # of a against b


def of_steps(between: BetweenProcess, *measurements: Measurement) -> BetweenProcess:
    """The deviation for measurements of about these steps: short ones may have their own."""
    short = between.of_short_steps
    if short is None or max(map(estimators.median_seconds, measurements)) >= SHORT_SECONDS:
        return between
    return short


def deviation_of(between: BetweenProcess, a: str, b: str) -> float:
    """Between-process standard deviation of log(a / b), for two variants.

    A variant's own deviation was measured between two of its processes, so each variant contributes
    half of that variance.
    """
    one, other = (between.variants.get(name, between.deviation) for name in (a, b))
    return math.sqrt((one**2 + other**2) / 2)


def degrees_of(between: BetweenProcess, a: str, b: str) -> float:
    """Degrees of freedom of `deviation_of`.

    The selftest's degrees count the pairs of all its variants, so each variant gets its share.
    """
    if not between.variants:
        return between.degrees
    own = PRIOR_PAIRS + (between.degrees - PRIOR_PAIRS) / len(between.variants)
    parts = [
        (between.variants[name] ** 2, own)
        if name in between.variants
        else (between.deviation**2, between.degrees)
        for name in ((a,) if a == b else (a, b))
    ]
    return estimators.satterthwaite(parts, otherwise=own)


def estimate(logs: Sequence[np.ndarray], deviation: float, degrees: float) -> Estimate:
    """The estimate from `logs`, one (rounds,) array of log ratios per process.

    `deviation` is the between-process standard deviation, with `degrees` degrees of freedom.
    """
    return of_centres(
        np.array([estimators.centre(rounds) for rounds in logs]),
        np.array([estimators.standard_error(rounds) for rounds in logs]),
        sum(len(values) - 1 for values in logs),
        deviation,
        degrees,
    )


def of_centres(
    centres: np.ndarray, errors: np.ndarray, freedom: int, deviation: float, degrees: float
) -> Estimate:
    """The estimate from the (K,) centres of K processes and their standard errors, which have
    `freedom` degrees of freedom together.
    """
    processes = len(centres)
    margin = math.log1p(max(LEAST_MARGIN, deviation / math.sqrt(processes)))
    within = float((errors**2).mean())
    if not math.isfinite(within):
        return Estimate(float(centres.mean()), math.inf, 1.0, margin)
    expected = deviation**2 + within
    parts = ((deviation**2, degrees), (within, freedom))
    prior = estimators.satterthwaite(parts, otherwise=degrees + freedom)
    found = float(centres.var(ddof=1)) if processes > 1 else 0.0
    total = prior + processes - 1
    variance = (prior * expected + (processes - 1) * found) / total
    return Estimate(float(centres.mean()), math.sqrt(variance / processes), total, margin)


def compare(a: Measurement, b: Measurement, between: BetweenProcess) -> Estimate:
    """`a` against `b`; raises ValueError if they were not timed in the same rounds."""
    between = of_steps(between, a, b)
    deviation = deviation_of(between, a.variant, b.variant)
    degrees = degrees_of(between, a.variant, b.variant)
    return estimate(estimators.log_ratios(a, b), deviation, degrees)


def unpaired(a: Measurement, b: Measurement, between: BetweenProcess) -> Estimate:
    """`a` against `b`, which were timed in rounds of their own, one after the other.

    The interval contains the scatter of the rounds of both and the between-process standard
    deviation, but not what the machine may have changed between them; the margin allows for that.
    """
    between = of_steps(between, a, b)
    deviation = deviation_of(between, a.variant, b.variant)
    degrees = degrees_of(between, a.variant, b.variant)
    logs = [[np.log(process.seconds) for process in m.processes] for m in (a, b)]
    first, second = (float(np.mean(list(map(estimators.centre, each)))) for each in logs)
    errors = [np.mean([estimators.standard_error(rounds) ** 2 for rounds in each]) for each in logs]
    within, processes = float(sum(errors)), min(map(len, logs))
    margin = math.log1p(UNPAIRED_MARGIN)
    if not math.isfinite(within):
        return Estimate(first - second, math.inf, 1.0, margin)
    rounds = sum(len(values) - 1 for each in logs for values in each)
    freedom = estimators.satterthwaite(
        ((deviation**2, degrees), (within, rounds)), otherwise=degrees + rounds
    )
    variance = (deviation**2 + within) / processes
    return Estimate(first - second, math.sqrt(variance), freedom, margin)


def judge(estimates: Mapping[str, Estimate], *, disturbed: float = 0.0) -> dict[str, Comparison]:
    """The verdicts on all candidates that were compared with one reference in one workload.

    `faster` and `slower` follow Holm's procedure: the k-th smallest of n p-values must be below
    2.5 % / (n - k + 1). If more than MOST_DISTURBED of the blocks are `disturbed`, all are unclear.
    """
    verdicts: dict[str, Verdict] = {
        name: "same" if found.same else "unclear" for name, found in estimates.items()
    }
    by_p = sorted(estimates, key=lambda name: estimates[name].p_value)
    for number, name in enumerate(by_p):
        if estimates[name].p_value > (1 - estimators.CONFIDENCE) / 2 / (len(by_p) - number):
            break
        verdicts[name] = "slower" if estimates[name].log_ratio > 0 else "faster"
    if disturbed > MOST_DISTURBED:
        verdicts = dict.fromkeys(verdicts, "unclear")
    return {name: Comparison(found, verdicts[name]) for name, found in estimates.items()}


def against_fastest(
    candidates: Mapping[str, Measurement], between: BetweenProcess, *, disturbed: float = 0.0
) -> dict[str, Comparison]:
    """Every other ranked candidate against the fastest (`estimators.fastest`).

    Candidates that were not timed in the same rounds as that reference are left out.
    """
    best = estimators.fastest(candidates.values())
    if best is None:
        return {}
    others = {
        label: m
        for label, m in candidates.items()
        if m is not best and estimators.ranked(m) and estimators.paired(m, best)
    }
    estimates = {label: compare(m, best, between) for label, m in others.items()}
    return judge(estimates, disturbed=disturbed)


def ranks(
    candidates: Mapping[str, Measurement], between: BetweenProcess, *, disturbed: float = 0.0
) -> dict[str, int]:
    """Rank of each ranked candidate, from 1.

    Candidates that are statistically indistinguishable from the leader of a rank share that rank;
    the next rank is the number of candidates before it, plus one. There are no ranks if more than
    MOST_DISTURBED of the blocks are disturbed.
    """
    if disturbed > MOST_DISTURBED:
        return {}
    left = {label: m for label, m in candidates.items() if estimators.ranked(m)}
    found: dict[str, int] = {}
    while left:
        best = estimators.fastest(left.values())
        comparisons = against_fastest(left, between)
        rank = len(found) + 1
        shared = [
            label
            for label, m in left.items()
            if m is best or (label in comparisons and comparisons[label].verdict != "slower")
        ]
        found |= dict.fromkeys(shared, rank)
        left = {label: m for label, m in left.items() if label not in shared}
        if left and not all(label in comparisons for label in left):
            # It was not timed in the same rounds: it gets no rank rather than a wrong one.
            left = {label: m for label, m in left.items() if label in comparisons}
    return found

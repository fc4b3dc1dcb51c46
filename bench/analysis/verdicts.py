"""What the rounds of two variants say of each other: a ratio, its interval, a verdict, a rank.

Two things make a measured ratio differ from the true one. Within a pair of processes the rounds
scatter: `estimators.standard_error`. Between processes of the same two programs there is a
difference that stays for as long as they live (memory layout, page colours, thread placement),
which no number of rounds shows. With K processes a variant, the variance of the estimate is

    V / K,   V = deviation^2 + mean(standard_error_k^2)

where `deviation`, the between-process standard deviation, was measured on this machine (`rnnbench
selftest`) or is assumed. The K estimates have a variance of their own; both are joined, weighted by
their degrees of freedom, as in a moderated t test (Smyth, 2004), so that K = 1 has an interval and
K = 10 hardly needs the deviation.
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

LEAST_MARGIN = 0.01  # a difference that nobody would change a framework for
# Of identical programs in two processes, as DESIGN found it, until a selftest has measured it.
ASSUMED = BetweenProcess(deviation=0.02, degrees=8.0)
PRIOR_PAIRS = 2  # of processes, that the assumed one counts as beside those of a selftest
# Of the blocks of a workload: more disturbed ones than this, and it decides nothing.
MOST_DISTURBED = 0.2


@dataclass(frozen=True)
class Estimate:
    """Of log(seconds of a / seconds of b)."""

    log_ratio: float
    standard_error: float  # between processes and within them
    degrees: float  # of freedom, of the standard error
    margin: float  # of log_ratio: within it, two programs count as the same

    @property
    def ratio(self) -> float:
        return math.exp(self.log_ratio)

    @property
    def interval(self) -> tuple[float, float]:
        """Of the ratio, 95 %, not corrected for the number of comparisons."""
        half = self.half_width
        return math.exp(self.log_ratio - half), math.exp(self.log_ratio + half)

    @property
    def half_width(self) -> float:
        """Of the 95 % interval of `log_ratio`; inf where one round says nothing of the scatter."""
        if not math.isfinite(self.standard_error):
            return math.inf
        return estimators.quantile(self.degrees) * self.standard_error

    @property
    def p_value(self) -> float:
        """One-sided: how often as far beyond the margin, were the truth just at the margin."""
        if not math.isfinite(self.standard_error):
            return 1.0
        beyond = abs(self.log_ratio) - self.margin
        if not self.standard_error:
            return 0.0 if beyond > 0 else 1.0
        return estimators.beyond(beyond / self.standard_error, self.degrees)

    @property
    def same(self) -> bool:
        """The whole interval lies within the margin."""
        return abs(self.log_ratio) + self.half_width <= self.margin


@dataclass(frozen=True)
class Comparison:
    """An estimate and what it comes to beside the others of its workload."""

    estimate: Estimate
    verdict: Verdict  # on a, beside b


def deviation_of(between: BetweenProcess, a: str, b: str) -> float:
    """Between-process standard deviation of log(a / b), for two variants.

    Each variant's own was measured with both processes its own: half of that variance each.
    """
    one, other = (between.variants.get(name, between.deviation) for name in (a, b))
    return math.sqrt((one**2 + other**2) / 2)


def degrees_of(between: BetweenProcess, a: str, b: str) -> float:
    """Degrees of freedom of `deviation_of`.

    Those of the selftest are of the pairs of all its variants; each had its share of the pairs.
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
    """Of log ratios, one (rounds,) array a process; between-process `deviation`, its `degrees`."""
    processes = len(logs)
    centres = np.array([estimators.centre(rounds) for rounds in logs])
    within = float(np.mean([estimators.standard_error(rounds) ** 2 for rounds in logs]))
    margin = math.log1p(max(LEAST_MARGIN, deviation / math.sqrt(processes)))
    if not math.isfinite(within):
        return Estimate(float(centres.mean()), math.inf, 1.0, margin)
    rounds = sum(len(values) - 1 for values in logs)
    expected = deviation**2 + within
    parts = ((deviation**2, degrees), (within, rounds))
    prior = estimators.satterthwaite(parts, otherwise=degrees + rounds)
    found = float(centres.var(ddof=1)) if processes > 1 else 0.0
    total = prior + processes - 1
    variance = (prior * expected + (processes - 1) * found) / total
    return Estimate(float(centres.mean()), math.sqrt(variance / processes), total, margin)


def compare(a: Measurement, b: Measurement, between: BetweenProcess) -> Estimate:
    """`a` beside `b`; raises ValueError where they were not timed in the same rounds."""
    deviation = deviation_of(between, a.variant, b.variant)
    degrees = degrees_of(between, a.variant, b.variant)
    return estimate(estimators.log_ratios(a, b), deviation, degrees)


def judge(estimates: Mapping[str, Estimate], *, disturbed: float = 0.0) -> dict[str, Comparison]:
    """Verdicts on all that were compared with one reference in one workload.

    `faster` and `slower` by Holm's procedure over them: the k-th smallest p-value of n must be
    below 2.5 % / (n - k + 1). Where others kept the machine busy in more than MOST_DISTURBED of the
    blocks, everything is unclear.
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
    """Every ranked candidate beside the one of the lowest median, which is left out itself.

    Candidates that were not timed in the same rounds as the reference are left out too.
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
    the next rank is the number of those before it, plus one. Nobody has a rank where others kept
    the machine busy in more than MOST_DISTURBED of the blocks.
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
            # Not timed in the same rounds: no rank, rather than a wrong one.
            left = {label: m for label, m in left.items() if label in comparisons}
    return found

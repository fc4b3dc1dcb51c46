"""What the rounds of two variants say of each other: a ratio, its interval, a verdict, a rank.

Two things make a measured ratio differ from the true one. Within a pair of processes the rounds
scatter: `statistics.standard_error`. Between processes of the same two programs there is an offset
that stays for as long as they live (memory layout, page colours, thread placement), which no number
of rounds shows. With K processes a variant, the variance of the estimate is

    V / K,   V = offset^2 + mean(standard_error_k^2)

where `offset` was measured on this machine (`rnnbench selftest`) or is assumed. The K estimates
have a variance of their own; both are joined, weighted by their degrees of freedom, as in a
moderated t test (Smyth, 2004), so that K = 1 has an interval and K = 10 hardly needs the offset.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bench import statistics
from bench.record import Measurement, Offset

Verdict = Literal["faster", "slower", "same", "unclear"]

LEAST_MARGIN = 0.01  # a difference that nobody would change a framework for
# Of identical programs in two processes, as DESIGN found it, until a selftest has measured it.
ASSUMED = Offset(spread=0.02, degrees=8.0)
PRIOR_PAIRS = 2  # of processes, that the assumed one counts as beside those of a selftest
# Of the blocks of a cell: more disturbed ones than this, and it decides nothing.
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
        return statistics.quantile(self.degrees) * self.standard_error

    @property
    def p_value(self) -> float:
        """One-sided: how often as far beyond the margin, were the truth just at the margin."""
        if not math.isfinite(self.standard_error):
            return 1.0
        beyond = abs(self.log_ratio) - self.margin
        if not self.standard_error:
            return 0.0 if beyond > 0 else 1.0
        return statistics.beyond(beyond / self.standard_error, self.degrees)

    @property
    def same(self) -> bool:
        """The whole interval lies within the margin."""
        return abs(self.log_ratio) + self.half_width <= self.margin


@dataclass(frozen=True)
class Comparison:
    """An estimate and what it comes to beside the others of its cell."""

    estimate: Estimate
    verdict: Verdict  # on a, beside b


def spread_of(offset: Offset, a: str, b: str) -> float:
    """Standard deviation of the offset of log(a / b) between process pairs, for two variants.

    Each variant's own was measured with both sides its own: half of that variance a side.
    """
    one, other = (offset.variants.get(name, offset.spread) for name in (a, b))
    return math.sqrt((one**2 + other**2) / 2)


def degrees_of(offset: Offset, a: str, b: str) -> float:
    """Degrees of freedom of `spread_of`, by Satterthwaite.

    Those of the offset are of the pairs of all its variants; each had its share of the pairs.
    """
    if not offset.variants:
        return offset.degrees
    own = PRIOR_PAIRS + (offset.degrees - PRIOR_PAIRS) / len(offset.variants)
    parts = [
        (offset.variants[name] ** 2, own)
        if name in offset.variants
        else (offset.spread**2, offset.degrees)
        for name in ((a,) if a == b else (a, b))
    ]
    known = sum(variance**2 / degrees for variance, degrees in parts)
    return sum(variance for variance, _ in parts) ** 2 / known if known else own


def estimate(logs: Sequence[np.ndarray], spread: float, degrees: float) -> Estimate:
    """Of log ratios, one (rounds,) array a process; `spread` of the offset and its `degrees`."""
    processes = len(logs)
    centres = np.array([statistics.centre(rounds) for rounds in logs])
    within = float(np.mean([statistics.standard_error(rounds) ** 2 for rounds in logs]))
    margin = math.log1p(max(LEAST_MARGIN, spread / math.sqrt(processes)))
    if not math.isfinite(within):
        return Estimate(float(centres.mean()), math.inf, 1.0, margin)
    rounds = sum(len(values) - 1 for values in logs)
    expected = spread**2 + within
    # Satterthwaite: the degrees of a sum of two variances that have their own.
    parts = spread**4 / degrees + within**2 / rounds
    prior = expected**2 / parts if parts else degrees + rounds
    found = float(centres.var(ddof=1)) if processes > 1 else 0.0
    total = prior + processes - 1
    variance = (prior * expected + (processes - 1) * found) / total
    return Estimate(float(centres.mean()), math.sqrt(variance / processes), total, margin)


def compare(a: Measurement, b: Measurement, offset: Offset) -> Estimate:
    """`a` beside `b`; raises ValueError where they were not timed in the same rounds."""
    spread = spread_of(offset, a.variant, b.variant)
    degrees = degrees_of(offset, a.variant, b.variant)
    return estimate(statistics.log_ratios(a, b), spread, degrees)


def judge(estimates: Mapping[str, Estimate], *, disturbed: float = 0.0) -> dict[str, Comparison]:
    """Verdicts on all that were compared with one reference in one cell.

    `faster` and `slower` by Holm's procedure over them: the k-th smallest p-value of n must be
    below 2.5 % / (n - k + 1). Where others kept the machine busy in more than MOST_DISTURBED of the
    blocks, everything is unclear.
    """
    verdicts: dict[str, Verdict] = {
        name: "same" if found.same else "unclear" for name, found in estimates.items()
    }
    by_p = sorted(estimates, key=lambda name: estimates[name].p_value)
    for number, name in enumerate(by_p):
        if estimates[name].p_value > (1 - statistics.CONFIDENCE) / 2 / (len(by_p) - number):
            break
        verdicts[name] = "slower" if estimates[name].log_ratio > 0 else "faster"
    if disturbed > MOST_DISTURBED:
        verdicts = dict.fromkeys(verdicts, "unclear")
    return {name: Comparison(found, verdicts[name]) for name, found in estimates.items()}


def against_fastest(
    entries: Mapping[str, Measurement], offset: Offset, *, disturbed: float = 0.0
) -> dict[str, Comparison]:
    """Every ranked entry beside the one of the lowest median, which is left out itself.

    Entries that were not timed in the same rounds as the reference are left out too.
    """
    best = statistics.fastest(entries.values())
    if best is None:
        return {}
    others = {
        label: m
        for label, m in entries.items()
        if m is not best and statistics.ranked(m) and statistics.paired(m, best)
    }
    estimates = {label: compare(m, best, offset) for label, m in others.items()}
    return judge(estimates, disturbed=disturbed)


def ranks(
    entries: Mapping[str, Measurement], offset: Offset, *, disturbed: float = 0.0
) -> dict[str, int]:
    """Rank of each ranked entry, from 1. Who is not told apart from the first of a rank shares it;

    whoever comes next has the number of those before it, plus one. Nobody has a rank where others
    kept the machine busy in more than MOST_DISTURBED of the blocks.
    """
    if disturbed > MOST_DISTURBED:
        return {}
    left = {label: m for label, m in entries.items() if statistics.ranked(m)}
    found: dict[str, int] = {}
    while left:
        best = statistics.fastest(left.values())
        comparisons = against_fastest(left, offset)
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

"""Numbers computed from recorded rounds. Pure: the same records give the same numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from scipy.special import stdtr, stdtrit

from bench.records.schema import Measurement

CONFIDENCE = 0.95
Z = 1.959964  # quantile(inf)
MOST_PAIRED = 1000  # half a million pairs


def median_seconds(measurement: Measurement) -> float:
    """Median of the values of all rounds of all processes. ValueError where nothing was timed."""
    return float(np.median(_rounds(measurement)))


def interquartile_range(measurement: Measurement) -> float:
    """Of the round values, as a share of their median.

    ValueError with fewer than two rounds: one value has none.
    """
    values = _rounds(measurement)
    if len(values) < 2:
        raise ValueError(
            f"{measurement.variant} has one round; expected two or more for an interquartile range"
        )
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
    return float((high - low) / middle)


def paired(a: Measurement, b: Measurement) -> bool:
    """Were `a` and `b` timed in the same rounds: as many processes, as many rounds in each."""
    counts = [tuple(len(process.seconds) for process in m.processes) for m in (a, b)]
    return counts[0] == counts[1]


def log_ratios(a: Measurement, b: Measurement) -> list[np.ndarray]:
    """log(a / b) round by round, one (rounds,) array a process: what disturbs both cancels.

    ValueError where the two were not timed in the same rounds.
    """
    a_rounds, b_rounds = _rounds(a), _rounds(b)
    if not paired(a, b):
        raise ValueError(
            f"{a.variant} has {len(a_rounds)} rounds in {len(a.processes)} processes, {b.variant} "
            f"{len(b_rounds)} in {len(b.processes)}; expected the same rounds in both"
        )
    logs = np.log(a_rounds) - np.log(b_rounds)
    return np.split(logs, np.cumsum([len(process.seconds) for process in a.processes])[:-1])


def centre(values: np.ndarray) -> float:
    """Hodges-Lehmann: the median of the means of all pairs of (N,) values, each with itself too.

    As hard to pull away as a median for up to 29 % of bad rounds, and nearly as sharp as a mean
    where there are none (Hodges and Lehmann, 1963).
    """
    return float(np.median(_pair_means(values)))


def standard_error(values: np.ndarray) -> float:
    """Of `centre`, from the width of its distribution-free interval; inf for a single value.

    The 95 % interval of Wilcoxon's signed ranks, inverted (Lehmann, 1975), is `quantile(n - 1)` of
    it to either side. Of few values it is the width of all their pair means.
    """
    if len(values) < 2:
        return math.inf
    means = np.sort(_pair_means(values))
    n = min(len(values), MOST_PAIRED)
    expected = n * (n + 1) / 4
    sigma = math.sqrt(n * (n + 1) * (2 * n + 1) / 24)
    low = max(0, math.floor(expected - Z * sigma))
    width = float(means[len(means) - 1 - low] - means[low])
    return width / (2 * quantile(n - 1)) * math.sqrt(n / len(values))


@lru_cache(maxsize=4096)
def quantile(degrees: float) -> float:
    """Of Student's t with so many degrees of freedom: 95 % lie within it, either way."""
    return float(stdtrit(degrees, (1 + CONFIDENCE) / 2))


def beyond(distance: float, degrees: float) -> float:
    """Share of Student's t with so many degrees of freedom that lies above `distance`."""
    return float(stdtr(degrees, -distance))


def satterthwaite(parts: Iterable[tuple[float, float]], otherwise: float) -> float:
    """Degrees of freedom of a sum of variances; `parts` are (variance, its degrees).

    `otherwise` where all variances are 0. (Satterthwaite, 1946.)
    """
    variances = list(parts)
    known = sum(variance**2 / degrees for variance, degrees in variances)
    return sum(variance for variance, _ in variances) ** 2 / known if known else otherwise


def _pair_means(values: np.ndarray) -> np.ndarray:
    """(N (N + 1) / 2,) of (N,); of more than MOST_PAIRED values, an even choice of them."""
    if len(values) > MOST_PAIRED:
        values = values[np.linspace(0, len(values) - 1, MOST_PAIRED).round().astype(int)]
    first, second = _pairs(len(values))
    return (values[first] + values[second]) / 2


@lru_cache(maxsize=16)  # the workloads of a run have about as many rounds each
def _pairs(count: int) -> tuple[np.ndarray, np.ndarray]:
    return np.triu_indices(count)


def ranked(measurement: Measurement) -> bool:
    """May it be compared: it agrees, something was compared to say so, it was timed, in rounds."""
    agreement = measurement.agreement
    return (
        measurement.status == "ok"
        and not measurement.serial
        and agreement is not None
        and agreement.tensors > 0
        and not agreement.failures
        and any(process.seconds for process in measurement.processes)
    )


def fastest(measurements: Iterable[Measurement]) -> Measurement | None:
    """The ranked one of the lowest median; the first of equals; None where none is ranked."""
    return min(filter(ranked, measurements), key=median_seconds, default=None)


def _rounds(measurement: Measurement) -> np.ndarray:
    """Values of all rounds, in seconds."""
    values = np.array(measurement.round_seconds)
    if not len(values):
        raise ValueError(f"{measurement.variant} has no rounds; expected a timed measurement")
    if not (values > 0.0).all():
        raise ValueError(f"{measurement.variant} has a round of {values.min()} s; expected above 0")
    return values

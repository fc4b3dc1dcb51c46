"""Numbers computed from recorded rounds. Pure: the same records give the same numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from bench.record import Measurement


def median_seconds(measurement: Measurement) -> float:
    """Median of the values of all rounds of all processes. ValueError where nothing was timed."""
    return float(np.median(_rounds(measurement)))


def spread(measurement: Measurement) -> float:
    """Interquartile range of the round values, as a share of their median.

    ValueError with fewer than two rounds: one value has no spread.
    """
    values = _rounds(measurement)
    if len(values) < 2:
        raise ValueError(f"{measurement.variant} has one round; expected two or more for a spread")
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
    return float((high - low) / middle)


def paired(a: Measurement, b: Measurement) -> bool:
    """Were `a` and `b` timed in the same rounds: as many processes, as many rounds in each."""
    counts = [tuple(len(process.seconds) for process in m.processes) for m in (a, b)]
    return counts[0] == counts[1]


def paired_ratio(a: Measurement, b: Measurement) -> float:
    """How many times the seconds of `b` is `a`: exp(median(log(a / b))), round by round.

    What disturbs both variants of a round alike cancels. ValueError where the two were not timed
    in the same rounds.
    """
    a_rounds, b_rounds = _rounds(a), _rounds(b)
    if not paired(a, b):
        raise ValueError(
            f"{a.variant} has {len(a_rounds)} rounds in {len(a.processes)} processes, {b.variant} "
            f"{len(b_rounds)} in {len(b.processes)}; expected the same rounds in both"
        )
    return math.exp(float(np.median(np.log(a_rounds) - np.log(b_rounds))))


def ranked(measurement: Measurement) -> bool:
    """May it be compared: it agrees, something was compared to say so, and it was timed."""
    agreement = measurement.agreement
    return (
        measurement.status == "ok"
        and agreement is not None
        and agreement.tensors > 0
        and not agreement.failures
        and bool(measurement.round_seconds)
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

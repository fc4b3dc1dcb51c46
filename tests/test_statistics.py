"""Numbers from rounds that are known."""

from __future__ import annotations

import numpy as np
import pytest
from record_samples import measurement, rounds

from bench.analysis import estimators, verdicts
from bench.records.schema import Measurement


def ratio(a: Measurement, b: Measurement) -> float:
    return verdicts.compare(a, b, verdicts.ASSUMED).ratio


def test_a_paired_ratio_is_that_of_the_rounds_of_each_process_and_then_of_all() -> None:
    a = measurement("a", rounds(2.0, 6.0, 12.0), rounds(5.0, 20.0))
    b = measurement("b", rounds(1.0, 3.0, 4.0), rounds(1.0, 1.0))
    # 2, 2, 3: the median of the means of all pairs of logarithms is log 2 + (log 3 - log 2) / 4.
    first = (3 * np.log(2.0) + np.log(3.0)) / 4
    second = np.log(10.0)
    assert ratio(a, b) == pytest.approx(np.exp((first + second) / 2))
    assert ratio(b, a) == pytest.approx(np.exp(-(first + second) / 2))
    assert ratio(a, a) == 1.0


def test_a_disturbance_of_whole_rounds_leaves_the_paired_ratio_alone() -> None:
    rng = np.random.default_rng(3)
    values = rng.lognormal(size=(2, 2, 10))  # variant, process, round
    disturbance = rng.uniform(1.0, 5.0, (2, 10))
    quiet, loud = (
        [measurement(name, *(rounds(*p) for p in v)) for name, v in zip("ab", x, strict=True)]
        for x in (values.tolist(), (values * disturbance).tolist())
    )
    assert ratio(*loud) == pytest.approx(ratio(*quiet))
    assert estimators.median_seconds(loud[0]) != pytest.approx(estimators.median_seconds(quiet[0]))


def test_median_and_interquartile_range_are_over_all_rounds() -> None:
    m = measurement("a", rounds(1.0, 2.0), rounds(3.0, 4.0, 5.0))
    assert estimators.median_seconds(m) == 3.0
    assert estimators.interquartile_range(m) == pytest.approx(2.0 / 3.0)


def test_the_fastest_is_one_that_may_be_compared() -> None:
    slow, fast = measurement("slow", rounds(2.0)), measurement("fast", rounds(1.0))
    wrong = measurement("wrong", rounds(0.1), status="disagrees")
    unchecked = measurement("unchecked", rounds(0.1), agreement=None)
    untimed = measurement("untimed")
    assert estimators.fastest([slow, wrong, unchecked, untimed, fast]) is fast
    assert estimators.fastest([wrong, unchecked, untimed]) is None


def test_statistics_refuse_what_they_cannot_compute() -> None:
    a, b = measurement("a", rounds(1.0, 2.0)), measurement("b", rounds(1.0), rounds(2.0))
    with pytest.raises(ValueError, match="same rounds in both"):
        ratio(a, b)
    with pytest.raises(ValueError, match="c has no rounds"):
        estimators.median_seconds(measurement("c"))
    with pytest.raises(ValueError, match="needs two or more"):
        estimators.interquartile_range(measurement("c", rounds(1.0)))
    with pytest.raises(ValueError, match="expected > 0 s"):
        estimators.median_seconds(measurement("c", rounds(0.0)))

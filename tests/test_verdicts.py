"""Ratios, intervals, verdicts and ranks, from rounds whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from record_samples import measurement, rounds

from bench.analysis import estimators, verdicts
from bench.records.schema import BetweenProcess, Measurement

KNOWN = BetweenProcess(deviation=0.015, degrees=20.0)
SAMPLES, TRIALS = 300, 400


def simulated(
    rng: np.random.Generator, truth: float, processes: int, count: int = 12, noise: float = 0.01
) -> list[np.ndarray]:
    """log ratios (rounds,) a process: truth, a constant a process, noise a round."""
    constants = truth + KNOWN.deviation * rng.standard_normal(processes)
    return [constant + noise * rng.standard_normal(count) for constant in constants]


def timed(name: str, log_ratios: list[np.ndarray], reference: float = 1.0) -> Measurement:
    return measurement(name, *(rounds(*(reference * np.exp(logs))) for logs in log_ratios))


@pytest.mark.parametrize("processes", [1, 2, 5])
def test_intervals_hold_the_truth(processes: int) -> None:
    rng = np.random.default_rng(processes)
    held = 0
    for _ in range(TRIALS):
        truth = rng.uniform(-0.3, 0.3)
        found = verdicts.estimate(simulated(rng, truth, processes), KNOWN.deviation, KNOWN.degrees)
        held += abs(found.log_ratio - truth) <= found.half_width
    assert held / TRIALS >= 0.92  # of 0.95, less what 400 trials scatter


@pytest.mark.parametrize("processes", [1, 2, 5])
def test_identical_programs_are_hardly_ever_called_different(processes: int) -> None:
    rng = np.random.default_rng(processes)
    wrong = 0
    for _ in range(TRIALS):
        found = verdicts.estimate(simulated(rng, 0.0, processes), KNOWN.deviation, KNOWN.degrees)
        wrong += verdicts.judge({"b": found})["b"].verdict in ("faster", "slower")
    assert wrong / TRIALS <= 0.05


def test_a_clear_difference_is_found_and_more_processes_find_a_smaller_one() -> None:
    rng = np.random.default_rng(0)
    share = {}
    for slowdown, processes in ((0.10, 1), (0.05, 1), (0.05, 6)):
        called = 0
        for _ in range(TRIALS):
            logs = simulated(rng, math.log1p(slowdown), processes)
            found = verdicts.estimate(logs, KNOWN.deviation, KNOWN.degrees)
            verdict = verdicts.judge({"b": found})["b"].verdict
            assert verdict != "faster"
            called += verdict == "slower"
        share[slowdown, processes] = called / TRIALS
    assert share[0.10, 1] > 0.9
    assert share[0.05, 6] > 0.9
    assert share[0.05, 1] < share[0.05, 6]


def test_same_needs_the_whole_interval_within_the_margin() -> None:
    narrow = verdicts.Estimate(0.001, 0.0005, 30.0, margin=math.log1p(0.01))
    wide = verdicts.Estimate(0.001, 0.05, 30.0, margin=math.log1p(0.01))
    found = verdicts.judge({"narrow": narrow, "wide": wide})
    assert [c.verdict for c in found.values()] == ["same", "unclear"]


def test_one_round_decides_nothing() -> None:
    found = verdicts.compare(
        measurement("a", rounds(2.0)), measurement("b", rounds(1.0)), verdicts.ASSUMED
    )
    assert found.ratio == pytest.approx(2.0)
    assert found.half_width == math.inf
    assert verdicts.judge({"a": found})["a"].verdict == "unclear"


def test_holm_asks_more_of_each_where_many_are_compared() -> None:
    borderline = verdicts.Estimate(0.0, 0.01, 1e6, margin=0.01)
    at = 0.01 + 2.1 * 0.01  # 1.96 standard errors beyond the margin are enough for one alone
    one = verdicts.Estimate(at, borderline.standard_error, 1e6, 0.01)
    assert verdicts.judge({"a": one})["a"].verdict == "slower"
    many = verdicts.judge({"a": one, "b": borderline, "c": borderline})
    assert many["a"].verdict == "unclear"
    far = verdicts.Estimate(1.0, 0.01, 1e6, 0.01)
    both = verdicts.judge({"far": far, "a": one})
    assert [c.verdict for c in both.values()] == ["slower", "slower"], "the rest is one alone"


def test_a_disturbed_workload_decides_nothing() -> None:
    far = verdicts.Estimate(1.0, 0.001, 30.0, 0.01)
    assert verdicts.judge({"a": far}, disturbed=0.19)["a"].verdict == "slower"
    assert verdicts.judge({"a": far}, disturbed=0.21)["a"].verdict == "unclear"


def test_who_is_indistinguishable_shares_a_rank() -> None:
    rng = np.random.default_rng(1)
    base = 0.001 * rng.standard_normal(12)
    candidates = {
        name: timed(name, [shift + base + 0.001 * rng.standard_normal(12)])
        for name, shift in (("a", 0.0), ("b", 0.01), ("c", 0.5), ("d", 0.505), ("e", 1.0))
    }
    assert verdicts.ranks(candidates, KNOWN) == {"a": 1, "b": 1, "c": 3, "d": 3, "e": 5}
    assert verdicts.ranks(candidates, KNOWN, disturbed=0.21) == {}


def test_who_was_not_timed_in_the_same_rounds_is_not_compared() -> None:
    candidates = {
        "a": measurement("a", rounds(*[1.0] * 10)),
        "b": measurement("b", rounds(*[2.0] * 10)),
        "odd": measurement("odd", rounds(*[3.0] * 9)),
    }
    assert set(verdicts.against_fastest(candidates, KNOWN)) == {"b"}
    assert verdicts.ranks(candidates, KNOWN) == {"a": 1, "b": 2}


def test_a_serial_measurement_is_never_ranked() -> None:
    from msgspec.structs import replace

    alone = replace(measurement("a", rounds(*[1.0] * 10)), serial=True)
    assert not estimators.ranked(alone)
    assert verdicts.ranks({"a": alone}, KNOWN) == {}


def test_the_deviation_of_two_variants_is_half_of_each_ones_own() -> None:
    between = BetweenProcess(deviation=0.02, degrees=8.0, variants={"a": 0.01, "b": 0.03})
    assert verdicts.deviation_of(between, "a", "a") == pytest.approx(0.01)
    assert verdicts.deviation_of(between, "a", "b") == pytest.approx(math.sqrt(0.0005))
    assert verdicts.deviation_of(between, "unknown", "unknown") == pytest.approx(0.02)


def test_steps_of_microseconds_have_a_deviation_of_their_own() -> None:
    short = BetweenProcess(deviation=0.005, degrees=12.0)
    between = BetweenProcess(deviation=0.03, degrees=12.0, of_short_steps=short)
    for pace, known in ((2e-6, short), (2e-3, between)):
        a = measurement("a", rounds(*[pace, 1.01 * pace] * 5))
        b = measurement("b", rounds(*[1.02 * pace, 1.01 * pace] * 5))
        assert verdicts.of_steps(between, a, b) is known
        found = verdicts.compare(a, b, between)
        assert found == verdicts.compare(a, b, known)
        assert found.margin == pytest.approx(math.log1p(max(0.01, known.deviation)))
        apart = verdicts.unpaired(a, b, between)
        assert apart == verdicts.unpaired(a, b, known)
    long = measurement("c", rounds(*[1.0, 1.01] * 5))
    assert verdicts.of_steps(between, a, long) is between, "both must be short"


def test_the_centre_is_as_sharp_as_a_mean_and_as_steady_as_a_median() -> None:
    rng = np.random.default_rng(2)
    values = rng.standard_normal((SAMPLES, 15))
    centres = np.array([estimators.centre(row) for row in values])
    assert centres.std() < 1.1 * values.mean(axis=1).std() < np.median(values, axis=1).std()
    errors = np.array([estimators.standard_error(row) for row in values])
    assert np.sqrt((errors**2).mean()) == pytest.approx(centres.std(), rel=0.15)
    pulled = values.copy()
    pulled[:, :3] = 1e6
    assert max(abs(estimators.centre(row)) for row in pulled) < 5


def test_many_values_are_thinned_out_evenly() -> None:
    values = np.random.default_rng(0).standard_normal(20_000)
    assert estimators.centre(values) == pytest.approx(0.0, abs=0.1)
    assert estimators.standard_error(values) == pytest.approx(1 / math.sqrt(20_000), rel=0.1)


def test_each_variant_has_the_degrees_of_its_own_pairs() -> None:
    variants = {"a": 0.02, "b": 0.02, "c": 0.06, "d": 0.0}
    between = BetweenProcess(deviation=0.02, degrees=42.0, variants=variants)
    assert verdicts.degrees_of(between, "a", "a") == pytest.approx(12.0)  # 10 pairs, 2 assumed
    assert verdicts.degrees_of(between, "a", "b") == pytest.approx(24.0)
    assert 12.0 < verdicts.degrees_of(between, "a", "c") < 15.0, "mostly those of c"
    assert verdicts.degrees_of(between, "d", "d") == pytest.approx(12.0)
    assert verdicts.degrees_of(between, "unknown", "unknown") == pytest.approx(42.0)
    assert verdicts.degrees_of(verdicts.ASSUMED, "a", "b") == verdicts.ASSUMED.degrees

"""`--precision`: as many processes as the ratios of a workload take, found from four."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import pytest
from record_samples import FULL_RUN, PACES, parted, workload_records
from running import suite

from bench.analysis import verdicts
from bench.config.protocol import MOST_PROCESSES, PILOT, Settings
from bench.measurement.candidate import Outcome
from bench.measurement.precision import MATTERS, Processes, enough, rounds_for
from bench.records.schema import BetweenProcess, Measurement

NEAR = {name: PACES[name] for name in ("numpy", "torch", "jax", "flax")}
BETWEEN = FULL_RUN.between_process


def measured(processes: int, seed: int = 1) -> Mapping[str, Measurement]:
    records = parted(workload_records(seed, NEAR, rounds=10, processes=processes))[0]
    return {m.variant: m for m in records if m.role == "variant"}


def widest(found: Mapping[str, Measurement]) -> float:
    compared = verdicts.against_fastest(found, BETWEEN).values()
    return max(c.estimate.half_width for c in compared if c.estimate.ratio < MATTERS)


def made(precision: float, seed: int, between: BetweenProcess = BETWEEN) -> tuple[int, str]:
    """How many processes there were, and what they fell short of."""
    count = 0

    def until_now() -> dict[str, Outcome]:
        return {name: Outcome(m) for name, m in measured(count, seed).items()}

    processes = Processes(Settings(processes=PILOT, precision=precision), between, until_now)
    for number in processes:
        assert number == count, "one after the other"
        count += 1
    return count, processes.short


@pytest.mark.parametrize("precision", [0.007, 0.01, 0.015])
def test_so_many_processes_make_the_intervals_as_narrow(precision: float) -> None:
    for seed in range(6):
        count, short = made(precision, seed)
        assert PILOT <= count < MOST_PROCESSES
        assert not short
        assert widest(measured(count, seed)) <= math.log1p(precision)
        estimated = enough(measured(PILOT, seed), BETWEEN, precision, PILOT)
        assert count <= 2 * estimated, "not many more than the pilot said"


def test_a_wide_precision_takes_the_pilot_alone() -> None:
    assert made(0.5, 1) == (PILOT, "")


def test_what_many_processes_fall_short_of_is_said() -> None:
    count, short = made(0.005, 1, BetweenProcess(deviation=0.03, degrees=19.0))
    assert count == MOST_PROCESSES
    assert short.startswith("±0.5 % would take about ")
    assert short.endswith("; there were 64")


def test_without_a_precision_their_number_is_that_of_the_run() -> None:
    def numbers(settings: Settings) -> list[int]:
        return list(Processes(settings, BETWEEN, dict))

    assert numbers(Settings(processes=3)) == [0, 1, 2]
    assert numbers(Settings(processes=3, timed=False)) == [0]


def test_who_is_far_behind_is_not_asked_for_more() -> None:
    records = measured(PILOT)
    before = enough(records, BETWEEN, 0.01, PILOT)
    slow = parted(workload_records(1, NEAR, rounds=10, processes=PILOT, slower={"numpy": 50.0}))[0]
    wide = {m.variant: m for m in slow if m.role == "variant"}
    assert enough({**records, "numpy": wide["numpy"]}, BETWEEN, 0.01, PILOT) <= before


class Clock:
    """A clock that a process moves on by so many seconds."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def within(budget: float, seconds: float, precision: float | None = None) -> tuple[int, str]:
    """How many processes of `seconds` each there were, and what they fell short of."""
    count, clock = 0, Clock()

    def until_now() -> dict[str, Outcome]:
        return {name: Outcome(m) for name, m in measured(count).items()}

    settings = Settings(processes=PILOT, precision=precision, budget=budget)
    processes = Processes(settings, BETWEEN, until_now, clock)
    for _ in processes:
        count += 1
        clock.now += seconds
    return count, processes.short


@pytest.mark.parametrize(
    ("budget", "processes"), [(0.5, 1), (10, 1), (19.9, 1), (20, 2), (65, 6), (1e6, MOST_PROCESSES)]
)
def test_a_budget_is_as_many_processes_as_it_holds_and_one_at_least(
    budget: float, processes: int
) -> None:
    assert within(budget, 10.0) == (processes, "")


def test_a_budget_ends_what_a_precision_asks_for_and_what_it_takes_is_said() -> None:
    needed, _ = made(0.007, 1)
    count, short = within(10.0 * (needed - 2), 10.0, 0.007)
    assert count == needed - 2
    assert short.startswith("±0.7 % would take about ")
    assert short.endswith(f"; there were {count}")
    assert "processes (" in short, "and its time"


def test_a_precision_does_not_use_a_budget_up() -> None:
    needed, _ = made(0.01, 1)
    assert within(1e6, 10.0, 0.01) == (needed, "")


@pytest.mark.parametrize(
    ("process_seconds", "round_seconds", "scatter", "apart"),
    [(3.0, 0.035, 0.05, 0.02), (0.7, 0.035, 0.05, 0.005), (30.0, 0.035, 0.01, 0.02)],
)
def test_no_other_number_of_rounds_gives_a_narrower_interval_for_the_time(
    process_seconds: float, round_seconds: float, scatter: float, apart: float
) -> None:
    def variance(rounds: int) -> float:
        """Of the mean of as many processes as a second holds."""
        each = apart**2 + scatter**2 / rounds
        return each * (process_seconds + rounds * round_seconds)

    found = rounds_for(process_seconds, round_seconds, [scatter**2], [apart**2])
    best = min(range(1, 2000), key=variance)
    assert abs(found - best) <= 1


def test_no_number_of_rounds_follows_from_nothing() -> None:
    assert rounds_for(3.0, 0.03, [], []) == 0
    assert rounds_for(3.0, 0.03, [math.inf], [0.02**2]) == 0
    assert rounds_for(3.0, 0.03, [0.05**2], [0.0]) == 0


@pytest.mark.slow
def test_a_run_of_a_budget_ends_in_time_with_more_than_one_process(tmp_path: Path) -> None:
    options = ("--task=hihello", "--phase=forward,bptt", "--backend=numpy", "--cell=gru")
    ran = suite(tmp_path, *options, "--budget=20s", "--benchmark-max-time=0.05")
    assert ran.code == 0, ran.output
    assert "20 s for all workloads together hold" in ran.output
    counts = [len(measurement.processes) for measurement in ran.measurements().values()]
    assert len(counts) == 2
    assert min(counts) > 1
    resumed = suite(tmp_path, *options, "--budget=20s", f"--resume={ran.folder}")
    assert resumed.code == 0, resumed.output
    assert "has 2 of 2 workloads already" in resumed.output


@pytest.mark.slow
def test_a_run_of_a_precision_makes_four_processes_and_more(tmp_path: Path) -> None:
    options = ("--task=hihello", "--phase=forward", "--backend=numpy,jax", "--precision=100%")
    ran = suite(tmp_path, *options, "--benchmark-max-time=0.05")
    assert ran.code == 0, ran.output
    assert "as many fresh processes as ±100 % takes, at least 4" in ran.output
    for measurement in ran.measurements().values():
        assert len(measurement.processes) == PILOT

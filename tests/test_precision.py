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
from bench.measurement.precision import MATTERS, Processes, enough
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
    assert short.endswith(" processes; there were 64")


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


@pytest.mark.slow
def test_a_run_of_a_precision_makes_four_processes_and_more(tmp_path: Path) -> None:
    options = ("--task=hihello", "--phase=forward", "--backend=numpy,jax", "--precision=100%")
    ran = suite(tmp_path, *options, "--benchmark-max-time=0.05")
    assert ran.code == 0, ran.output
    assert "as many fresh processes as ±100 % takes, at least 4" in ran.output
    for measurement in ran.measurements().values():
        assert len(measurement.processes) == PILOT

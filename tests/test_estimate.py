"""What `--dry-run` says of the time."""

from __future__ import annotations

import pytest

from bench.config import grid
from bench.config.grid import Request
from bench.config.protocol import SLOW_ROUNDS, Settings
from bench.measurement import costs, estimate
from bench.measurement.case import Case
from bench.measurement.costs import Cost
from bench.measurement.estimate import Parts, parts, plan_parts, plan_seconds, print_plan
from bench.records.workload import Workload

NONE = frozenset[str]()


def workload(task: str = "hihello", phase: str = "bptt") -> Workload:
    request = Request(
        tasks=(task,), phases=(phase,), devices=("cpu",), dtypes=("float32",), threads=(2,)
    )
    return next(grid.workloads(request))


def test_a_worker_starts_once_or_in_each_process() -> None:
    one, first = Settings(), parts(workload(), ["numpy", "torch"], Settings(), NONE)
    start = {name: costs.of(name).start for name in ("numpy", "torch")}
    assert first.starting == pytest.approx(2 * start["numpy"] + start["torch"]), "and the control"
    again = parts(workload(), ["numpy", "torch"], one, frozenset(("numpy", "torch")))
    assert again.starting == 0
    assert (again.checking, again.rounds) == (first.checking, first.rounds)
    fresh = parts(workload(), ["numpy", "torch"], Settings(processes=3), NONE)
    oracle = costs.ORACLE * costs.of("numpy").step(costs.work(workload()))
    assert fresh.seconds - oracle == pytest.approx(3 * (first.seconds - oracle))


def test_rounds_take_the_time_that_is_set_or_the_least_number_of_blocks() -> None:
    names = ["numpy", "torch"]
    assert parts(workload(), names, Settings(), NONE).rounds == 4.0, "control and baseline beside"
    assert parts(workload(), names, Settings(max_seconds=3.0), NONE).rounds == 12.0
    assert parts(workload(), names, Settings(timed=False), NONE).rounds == 0
    serial = Settings(serial=True, beside=False)
    assert parts(workload(), names, serial, NONE).rounds == 2.0


def test_steps_of_seconds_are_counted_as_the_rounds_make_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow = Cost(start=1.0, first=0.0, cell=0.0, flop=0.0, element=0.0, call=2e6)
    monkeypatch.setitem(costs.COSTS, "torch", slow)
    found = parts(workload(), ["torch"], Settings(beside=False), NONE)
    assert found.rounds == pytest.approx(SLOW_ROUNDS * 2.0)
    assert found.again == pytest.approx(costs.AFTER[0] + costs.AFTER[1] * 2.0)


def test_a_variant_costs_what_its_name_begins_with() -> None:
    assert costs.of("jax@0.9") is costs.of("jax")
    assert costs.of("keras-jax") is not costs.of("jax")
    assert costs.of("torch-of-mine") is costs.of("torch")
    assert costs.of("torchlike") is costs.OTHER


def test_training_takes_longer_than_the_forward_pass() -> None:
    both = [
        costs.of("torch").step(costs.work(workload("sentiment", p))) for p in ("forward", "bptt")
    ]
    assert 2 * both[0] < both[1]


def test_the_parts_are_said_and_add_up(capsys: pytest.CaptureFixture[str]) -> None:
    plan = {workload(): [Case(workload(), "numpy")], workload("sentiment"): []}
    print_plan(plan, Settings())
    out = capsys.readouterr().out
    found = plan_parts(plan, Settings())[workload()]
    assert f"    {found.in_words}" in out
    assert "of rounds" in out
    assert "nothing runs" in out
    assert sum(plan_seconds(plan, Settings()).values()) == pytest.approx(found.seconds)
    assert Parts(3.0, 4.0, 5.0, 2.0).in_words == (
        "about 14 s: 3 s to start, 4 s to build and check, 5 s of rounds, 2 s to check again"
    )


def test_a_budget_is_what_a_run_takes_unless_one_process_takes_longer(
    capsys: pytest.CaptureFixture[str],
) -> None:
    plan = {workload(): [Case(workload(), "numpy")]}
    assert sum(plan_seconds(plan, Settings(processes=4, budget=600.0)).values()) == 600.0
    once = plan_parts(plan, Settings())[workload()].seconds
    assert sum(plan_seconds(plan, Settings(processes=4, budget=1.0)).values()) == once
    print_plan(plan, Settings(processes=4, budget=600.0))
    out = capsys.readouterr().out
    assert f"each process {plan_parts(plan, Settings())[workload()].in_words}" in out
    assert "1 test in 1 workload, about 10 min" in out


def test_the_name_of_the_baseline_is_known() -> None:
    assert estimate.BASELINE in costs.COSTS

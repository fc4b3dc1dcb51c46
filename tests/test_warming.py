"""Warm steps before the rounds: on a GPU until its clock stands."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any

import pytest

from bench.measurement import machine_state, warm_up

READ: dict[str, tuple[list[float | None], int]] = {
    "stands": ([1000.0] * 20, warm_up.LOOKS),
    "rises": ([200.0, 500.0, 900.0, 1000.0, 1010.0, 1005.0], 6),
    "is not known": ([None] * 20, int(warm_up.STEADY_SECONDS)),
    "is known at times": ([None, 1000.0, None, 1000.0, 1000.0], 5),
}


@pytest.mark.parametrize("clock", READ)
def test_a_gpu_runs_until_its_clock_is_known_to_stand(
    clock: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings, looks = READ[clock]
    mhz: Iterator[float | None] = iter(readings)
    seconds = 0.0

    def ask(operation: str, **options: Any) -> float:
        nonlocal seconds
        assert operation == "warm"
        seconds += 1.0
        return 1e-3

    monkeypatch.setattr(warm_up, "perf_counter", lambda: seconds)
    monkeypatch.setattr(machine_state, "clocks", lambda device: machine_state.Clocks(mhz=next(mhz)))
    workload: Any = types.SimpleNamespace(device="cuda:0", phase="bptt")
    warm_up.warm_up(ask, workload)
    assert seconds == 1 + looks


@pytest.mark.parametrize(
    ("step_seconds", "least"),
    [(1e-3, [1]), (0.06, [1]), (0.1, [1, 2]), (0.4, [1, 2]), (0.5, [1]), (2.0, [1])],
)
def test_a_processor_is_warm_after_three_steps_or_a_slow_one(
    step_seconds: float, least: list[int]
) -> None:
    asked = []

    def ask(operation: str, *, phase: str, seconds: float, steps: int) -> float:
        assert (operation, phase) == ("warm", "bptt")
        asked.append(steps)
        return step_seconds

    workload: Any = types.SimpleNamespace(device="cpu", phase="bptt")
    assert warm_up.warm_up(ask, workload) == step_seconds
    assert asked == least

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

    def ask(operation: str, **options: Any) -> None:
        nonlocal seconds
        assert operation == "warm"
        seconds += 1.0

    monkeypatch.setattr(warm_up, "perf_counter", lambda: seconds)
    monkeypatch.setattr(machine_state, "clocks", lambda device: machine_state.Clocks(mhz=next(mhz)))
    workload: Any = types.SimpleNamespace(device="cuda:0", phase="bptt")
    warm_up.warm_up(ask, workload)
    assert seconds == 1 + looks


def test_a_processor_is_warm_at_once() -> None:
    asked = []
    workload: Any = types.SimpleNamespace(device="cpu", phase="bptt")
    warm_up.warm_up(lambda operation, **options: asked.append(operation), workload)
    assert asked == ["warm"]

"""Warm steps before the rounds: on a GPU until its clock stands."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any

import pytest

from bench import race, state
from bench.race import CellRun

TOLD: dict[str, tuple[list[float | None], int]] = {
    "stands": ([1000.0] * 20, race.LOOKS),
    "rises": ([200.0, 500.0, 900.0, 1000.0, 1010.0, 1005.0], 6),
    "is not told": ([None] * 20, int(race.STEADY_SECONDS)),
    "is told at times": ([None, 1000.0, None, 1000.0, 1000.0], 5),
}


@pytest.mark.parametrize("clock", TOLD)
def test_a_gpu_runs_until_its_clock_is_known_to_stand(
    clock: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, looks = TOLD[clock]
    mhz: Iterator[float | None] = iter(told)
    seconds = 0.0

    def ask(operation: str, **options: Any) -> None:
        nonlocal seconds
        assert operation == "warm"
        seconds += 1.0

    monkeypatch.setattr(race, "perf_counter", lambda: seconds)
    monkeypatch.setattr(state, "clocks", lambda device: state.Clocks(mhz=next(mhz)))
    run: Any = types.SimpleNamespace(cell=types.SimpleNamespace(device="cuda:0", phase="bptt"))
    CellRun._warm(run, ask)
    assert seconds == 1 + looks


def test_a_processor_is_warm_at_once() -> None:
    asked = []
    run: Any = types.SimpleNamespace(cell=types.SimpleNamespace(device="cpu", phase="bptt"))
    CellRun._warm(run, lambda operation, **options: asked.append(operation))
    assert asked == ["warm"]

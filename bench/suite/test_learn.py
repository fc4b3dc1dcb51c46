"""learn: from the same parameters until the target of the task is reached."""

from __future__ import annotations

from typing import Any

import pytest

from bench.measurement.candidate import Outcome
from bench.suite.replay import clock, replay

PHASE = "learn"


@pytest.mark.benchmark(timer=clock)
def test_learn(benchmark: Any, outcome: Outcome) -> None:
    replay(benchmark, outcome)

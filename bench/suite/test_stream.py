"""stream: one step a call, with the state carried from step to step."""

from __future__ import annotations

from typing import Any

import pytest

from bench.measurement.candidate import Outcome
from bench.suite.replay import clock, replay

PHASE = "stream"


@pytest.mark.benchmark(timer=clock)
def test_stream(benchmark: Any, outcome: Outcome) -> None:
    replay(benchmark, outcome)

"""forward: the outputs and every last state of a batch."""

from __future__ import annotations

from typing import Any

import pytest

from bench.measurement.candidate import Outcome
from bench.suite.replay import clock, replay

PHASE = "forward"


@pytest.mark.benchmark(timer=clock)
def test_forward(benchmark: Any, outcome: Outcome) -> None:
    replay(benchmark, outcome)

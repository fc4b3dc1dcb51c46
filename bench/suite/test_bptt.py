"""bptt: the loss and the gradient of every parameter, through all time steps."""

from __future__ import annotations

from typing import Any

import pytest

from bench.measurement.candidate import Outcome
from bench.suite.replay import clock, replay

PHASE = "bptt"


@pytest.mark.benchmark(timer=clock)
def test_bptt(benchmark: Any, outcome: Outcome) -> None:
    replay(benchmark, outcome)

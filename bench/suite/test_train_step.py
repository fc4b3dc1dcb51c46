"""train_step: loss, gradients, and one update of the parameters in place."""

from __future__ import annotations

from typing import Any

import pytest

from bench.measurement.candidate import Outcome
from bench.suite.replay import clock, replay

PHASE = "train_step"


@pytest.mark.benchmark(timer=clock)
def test_train_step(benchmark: Any, outcome: Outcome) -> None:
    replay(benchmark, outcome)

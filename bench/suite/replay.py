"""Replays measured rounds into pytest-benchmark, for its table, JSON and storage."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import pytest

from bench.measurement.candidate import Outcome
from tasks.spec import parameter_count


class Clock:
    """A timer that advances only when a recorded duration is replayed."""

    def __init__(self) -> None:
        self._now = 0.0

    def __call__(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += seconds


clock = Clock()


def replay(benchmark: Any, outcome: Outcome) -> None:
    """Give pytest-benchmark one round per recorded round; skip or fail with the outcome."""
    measurement = outcome.measurement
    if measurement.status in ("refused", "skipped"):
        pytest.skip(measurement.reason)
    if measurement.status != "ok":
        reason = f"{measurement.variant} {measurement.status}: {measurement.reason}"
        pytest.fail("\n".join(filter(None, (reason, outcome.details))), pytrace=False)
    agreement = measurement.agreement
    assert agreement is not None, "a variant that was not checked has no number"
    alone = f", {measurement.variant} alone (--serial)" if measurement.serial else ""
    workload = measurement.workload
    benchmark.group = workload.id + alone
    benchmark.extra_info.update(
        workload=msgspec.to_builtins(workload),
        phase=workload.phase,
        task=workload.task,
        size=workload.label,
        spec=dataclasses.asdict(workload.spec),
        batch=workload.batch,
        steps=workload.steps,
        device=workload.device,
        dtype=workload.dtype,
        threads=workload.threads,
        serial=measurement.serial,
        variant=measurement.variant,
        versions=measurement.versions,
        path=measurement.path,
        loss=measurement.loss,
        worst_error=agreement.worst.error,
        worst_error_bound=agreement.worst.bound,
        worst_tensor=agreement.worst.name,
        # The largest error of each kind (outputs, states, loss, ...), and its tensor.
        errors={kind: worst.error for kind, worst in agreement.kinds.items()},
        error_tensors={kind: worst.name for kind, worst in agreement.kinds.items()},
        tensors_compared=agreement.tensors,
        parameters=parameter_count(workload.spec),
    )
    durations = iter(measurement.round_seconds)
    benchmark.pedantic(
        # pytest-benchmark makes one more call than it times.
        lambda: clock.advance(next(durations, 0.0)),
        rounds=max(1, len(measurement.round_seconds)),
        iterations=1,
    )

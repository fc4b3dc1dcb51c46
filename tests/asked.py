"""Every variant that ships here, in a worker process of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from backends import registry
from bench.kit.subject import PoolSubject
from bench.records import machine
from bench.workers.pool import WorkerPool

TIMEOUT_SECONDS = 300.0
THREADS = len(machine.available_cores())
# One that compiles for minutes is left to `rnnbench check`.
VARIANTS = [e.name for e in registry.BUILT_IN if not e.slow_build]


def opened() -> Iterator[WorkerPool]:
    """For a fixture: the workers of a module's tests."""
    with WorkerPool(machine.cores_to_pin(), TIMEOUT_SECONDS) as made:
        yield made


def subject(pool: WorkerPool, variant: str) -> PoolSubject:
    """Skips the test where the variant is not installed."""
    missing = registry.missing(registry.find(variant))
    if missing:
        pytest.skip(missing)
    return PoolSubject(pool, variant, "cpu", THREADS)

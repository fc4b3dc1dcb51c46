"""Every variant that ships here, in a worker process of its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from backends import registry
from bench.kit.case import CaseSpec
from bench.kit.conditioning import pair_of_cases
from bench.kit.plan import DTYPES
from bench.kit.subject import PoolSubject
from bench.records import machine
from bench.workers.pool import WorkerPool

TIMEOUT_SECONDS = 300.0
THREADS = len(machine.available_cores())
# One that compiles for minutes is left to `rnnbench check`.
# The same program as torch, in another environment (tests/test_quiet_malloc.py).
SAME_PROGRAM = ("torch-quiet-malloc",)
VARIANTS = [e.name for e in registry.BUILT_IN if not e.slow_build and e.name not in SAME_PROGRAM]
# The default ones. `make test` leaves out two, which compile for long and share their framework's
# arithmetic with others.
DEFAULT = [
    pytest.param(name, marks=pytest.mark.slow) if name in ("keras-jax", "keras-torch") else name
    for name in registry.default_names()
]


def steady(case: CaseSpec) -> CaseSpec:
    """The same with the first seed that makes it well-conditioned in both dtypes."""
    for number in range(50):
        moved = dataclasses.replace(case, seed=case.seed + 100 * number)
        if not any(isinstance(pair_of_cases(moved, dtype), str) for dtype in DTYPES):
            return moved
    raise ValueError(f"{case.code()} is not well-conditioned with any of 50 seeds")


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

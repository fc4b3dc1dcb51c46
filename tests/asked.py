"""Every variant that ships here, in an interpreter of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from backends import registry
from backends.interface import PHASES
from bench import machine
from bench.check.subject import LabSubject
from bench.lab import Lab
from tasks.spec import ModelSpec

TIMEOUT_SECONDS = 300.0
THREADS = len(machine.available_cores())
# One that compiles for minutes is left to `rnnbench check`.
VARIANTS = [e.name for e in registry.BUILT_IN if not getattr(e, "slow_build", False)]


def opened() -> Iterator[Lab]:
    """For a fixture: the workers of a module's tests."""
    cores = machine.available_cores() if machine.pinning() else None
    with Lab(cores, TIMEOUT_SECONDS) as made:
        yield made


def subject(lab: Lab, variant: str) -> LabSubject:
    """Skips the test where the variant is not installed."""
    missing = registry.find(variant).missing()
    if missing:
        pytest.skip(missing)
    return LabSubject(lab, variant, "cpu", THREADS)


def phases(asked: LabSubject, spec: ModelSpec, dtype: str) -> tuple[str, ...]:
    """Those that it does not refuse."""
    return tuple(
        phase
        for phase in PHASES
        if asked.consult("refusal", spec, device="cpu", dtype=dtype, phase=phase) is None
    )

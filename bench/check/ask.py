"""The kit's two questions, of a variant by its name: all of it, and one example again."""

from __future__ import annotations

from bench import machine
from bench.check.examine import ADAM, SGD, examine, examine_training, offered
from bench.check.example import Example
from bench.check.kit import SHORT, Kit, Plan, Say
from bench.check.report import Report
from bench.check.subject import LabSubject
from bench.lab import Lab

TIMEOUT_SECONDS = 120.0


def check(
    name: str, *, device: str = "cpu", plan: Plan = SHORT, say: Say = lambda _: None
) -> Report:
    """Check one variant in interpreters of its own; raises registry.UnknownBackendError."""
    with _lab() as lab:
        threads = len(machine.available_cores())
        return Kit(LabSubject(lab, name, device, threads), plan, threads, say).run()


def replay(name: str, example: Example, dtype: str = "float32", device: str = "cpu") -> bool:
    """Ask a variant about one example and print what comes; True where all of it agrees."""
    with _lab() as lab:
        subject = LabSubject(lab, name, device, len(machine.available_cores()))
        phases = [p for p, why in offered(subject, example.spec, dtype).items() if why is None]
        found = examine(subject, example, dtype, tuple(phases))
        if "train_step" in phases:
            for optimizer in (ADAM, SGD):
                found += examine_training(subject, dtype, optimizer, example)
    failures = [failure for each in found for failure in each.failures]
    print("\n".join(failures) or f"{sum(each.tensors for each in found)} tensors agree")
    return not failures


def _lab() -> Lab:
    return Lab(machine.available_cores() if machine.pinning() else None, TIMEOUT_SECONDS)

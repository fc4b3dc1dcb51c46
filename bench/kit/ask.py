"""The two ways to run the kit on a variant, by its name: all checks, or one case again."""

from __future__ import annotations

from itertools import product

from backends import registry
from bench.kit.case import CaseSpec
from bench.kit.examine import ADAM, SGD, examine, examine_training
from bench.kit.findings import Findings
from bench.kit.plan import SHORT, Plan
from bench.kit.rows import examine_rows
from bench.kit.run import Kit
from bench.kit.streams import examine_streams
from bench.kit.subject import PoolSubject, carries, phases, streams, unsupported
from bench.records import machine
from bench.workers.pool import Progress, WorkerPool, silent

TIMEOUT_SECONDS = 120.0


def missing(name: str) -> str | None:
    """Why a built-in variant cannot run here. What a plugin lacks is one of the findings.

    Raises registry.UnknownBackendError, or registry.BrokenBackendError if two have that name.
    """
    entry = registry.find(name)
    return None if entry.plugin else registry.missing(entry)


def check(
    name: str, *, device: str = "cpu", plan: Plan = SHORT, progress: Progress = silent
) -> Findings:
    """Check one variant in worker processes of its own; raises registry.UnknownBackendError."""
    with _pool() as pool:
        threads = len(machine.available_cores())
        return Kit(PoolSubject(pool, name, device, threads), plan, threads, progress).run()


def replay(name: str, case: CaseSpec, dtype: str = "float32", device: str = "cpu") -> bool:
    """Run one case on a variant and print the result; True if all tensors agree."""
    with _pool() as pool:
        subject = PoolSubject(pool, name, device, len(machine.available_cores()))
        if reason := unsupported(subject, case, dtype):
            print(reason)
            return False
        taken = phases(subject, case.spec, dtype)
        found = examine(subject, case, dtype, taken)
        if "forward" in taken:
            found += examine_rows(subject, case, dtype)
        if streams(subject, case.spec, dtype) and case.lengths is None:
            found += examine_streams(subject, case, dtype)
        if "train_step" in taken:
            carried = (False, True) if carries(subject, case.spec, dtype) else (False,)
            for optimizer, stateful in product((ADAM, SGD), carried):
                found += examine_training(subject, dtype, optimizer, case, stateful=stateful)
    failures = [failure for each in found for failure in each.failures]
    print("\n".join(failures) or f"{sum(each.tensors for each in found)} tensors agree")
    return not failures


def _pool() -> WorkerPool:
    return WorkerPool(machine.cores_to_pin(), TIMEOUT_SECONDS)

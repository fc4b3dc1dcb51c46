"""Which worker processes a workload needs."""

from __future__ import annotations

from collections.abc import Sequence

from bench.records.workload import LEARN, Workload
from bench.workers.process import WorkerKey

CONTROL, GEMM_BASELINE = 1, 2  # WorkerKey.copy of their workers


def worker_key(workload: Workload, variant: str, copy: int = 0) -> WorkerKey:
    return WorkerKey(variant, workload.dtype, workload.device, workload.threads, copy)


def worker_keys(workload: Workload, variants: Sequence[str]) -> set[WorkerKey]:
    """Every worker that a workload may need: of each variant, of the control, of the baseline."""
    copies = [worker_key(workload, name, copy) for name in variants for copy in (0, CONTROL)]
    return {*copies, baseline_key(workload)}


def baseline_key(workload: Workload) -> WorkerKey:
    return WorkerKey("numpy", workload.dtype, "cpu", workload.threads, GEMM_BASELINE)


def has_baseline(workload: Workload) -> bool:
    """Whether numpy can run its products: on the CPU, in a dtype that BLAS has, with one T.

    There is none beside a net that learns, whose rounds are its own.
    """
    known = workload.device == "cpu" and workload.dtype in ("float32", "float64")
    return known and not workload.steps_vary and workload.phase != LEARN

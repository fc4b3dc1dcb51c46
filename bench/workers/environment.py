"""The environment variables that a worker starts with."""

from __future__ import annotations

from collections.abc import Mapping

from backends import registry
from bench.records import machine
from bench.records.workload import LEFT_ALONE
from bench.workers.process import WorkerKey

# By these the libraries below the frameworks, and the frameworks, take their number of threads.
THREAD_VARIABLES = frozenset(
    (
        *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS"),
        *("VECLIB_MAXIMUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"),
        "PJRT_NPROC",
    )
)


def variables(key: WorkerKey) -> Mapping[str, str]:
    """What its variant asks for; without THREAD_VARIABLES where the threads are left alone."""
    if key.threads != LEFT_ALONE:
        return _asked(key, key.threads)
    asked = _asked(key, len(machine.available_cores()))
    return {name: value for name, value in asked.items() if name not in THREAD_VARIABLES}


def own_thread_variables(key: WorkerKey) -> list[str]:
    """ "ORT_THREADS=2": what sets the threads of the variant although they are left alone."""
    if key.threads != LEFT_ALONE:
        return []
    cores = len(machine.available_cores())
    asked, other = _asked(key, cores), _asked(key, cores + 1)
    return [
        f"{name}={value}"
        for name, value in asked.items()
        if name not in THREAD_VARIABLES and other.get(name) != value
    ]


def _asked(key: WorkerKey, threads: int) -> Mapping[str, str]:
    found: Mapping[str, str] = registry.ask(
        key.variant, "environment", threads=threads, device=key.device, dtype=key.dtype
    )
    return found

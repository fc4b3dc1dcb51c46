"""Jobs by submitit: on SLURM, or with its local executor on this machine."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.fleet import state
from bench.fleet.job import Job
from bench.fleet.state import Fleet
from bench.records import machine

MOST_REQUEUES = 1000
END_SECONDS = 120  # from the signal before the time limit to the limit


def submit(folder: Path, fleet: Fleet, tasks: Sequence[int]) -> Fleet:
    """Submit a job for each of the tasks; return the fleet with their numbers, which is saved.

    Raises ModuleNotFoundError without submitit, and RuntimeError with what the engine answered.
    """
    import submitit  # the extra `fleet`

    cluster = "local" if fleet.local else "slurm"
    requeues = MOST_REQUEUES if fleet.requeue else 0
    requeue: dict[str, Any] = {f"{cluster}_max_num_timeout": requeues}
    executor = submitit.AutoExecutor(folder=folder / "jobs", cluster=cluster, **requeue)
    executor.update_parameters(**(_of_local(fleet) if fleet.local else _of_slurm(fleet, tasks)))
    with _away() if fleet.local else contextlib.nullcontext(), executor.batch():
        jobs = [executor.submit(Job(folder, task)) for task in tasks]
    found = state.with_jobs(fleet, tasks, [str(job.job_id) for job in jobs])
    state.save(folder, found)
    return found


def _of_slurm(fleet: Fleet, tasks: Sequence[int]) -> dict[str, Any]:
    further: dict[str, Any] = {"requeue" if fleet.requeue else "no-requeue": True, "mem": "0"}
    return {
        "name": "rnnbench",
        "timeout_min": fleet.minutes,
        "nodes": 1,
        "slurm_exclusive": True,
        "slurm_array_parallelism": len(tasks),
        "slurm_signal_delay_s": END_SECONDS,
        # The run pins its own workers, to all cores of the node.
        "slurm_srun_args": ["--cpu-bind=none"],
        "slurm_additional_parameters": {**further, **fleet.sbatch},
    }


def _of_local(fleet: Fleet) -> dict[str, Any]:
    return {
        "timeout_min": fleet.minutes,
        "gpus_per_node": len(machine.describe().gpus),  # 0 would hide them
    }


@contextlib.contextmanager
def _away() -> Iterator[None]:
    """What starts meanwhile has neither this terminal nor this pipe: nobody waits for it."""
    kept = [os.dup(number) for number in (0, 1, 2)]
    nowhere = os.open(os.devnull, os.O_RDWR)
    try:
        for number in (0, 1, 2):
            os.dup2(nowhere, number)
        yield
    finally:
        for number, before in enumerate(kept):
            os.dup2(before, number)
            os.close(before)
        os.close(nowhere)

"""What has become of each task of a fleet, by what its nodes have written and by the engine."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.fleet import state
from bench.fleet.state import Fleet, NodeState
from bench.records import store

RUNNING = ("looking", "measuring")


@dataclass(frozen=True)
class TaskStatus:
    """A task as it stands: on the node where it was tried last."""

    task: int
    node: str  # alias; empty: on none yet
    state: str  # "queued", "looking", "measuring", "measured", "sick", "failed", "lost"
    workloads: int  # that have ended
    found: tuple[str, ...]

    @property
    def open(self) -> bool:
        """Whether a further job is needed: none is queued or running, and there is no answer."""
        return self.state in ("failed", "lost")


def statuses(folder: Path, fleet: Fleet) -> Iterator[TaskStatus]:
    """The status of each task. Raises RuntimeError if SLURM does not answer."""
    alive = _alive_here(fleet) if fleet.local else _alive_on_slurm()
    newest = {node.task: node for node in state.nodes(folder)}
    for task, jobs in enumerate(fleet.jobs, 1):
        node = newest.get(task)
        engine = alive.get(jobs[-1]) if jobs else None
        yield TaskStatus(
            task=task,
            node=node.node if node else "",
            state=_state(node, engine),
            workloads=_workloads(folder, node) if node else 0,
            found=node.found if node else (),
        )


def _state(node: NodeState | None, engine: str | None) -> str:
    """The word of the node; the engine's where the node has none, or has it no longer."""
    if node is not None and node.state in ("measured", "sick"):
        return node.state
    if engine is None:
        return "failed" if node is not None and node.state == "failed" else "lost"
    if engine == "RUNNING" and node is not None and node.state in RUNNING:
        return node.state
    return "starting" if engine == "RUNNING" else "queued"


def _workloads(folder: Path, node: NodeState) -> int:
    """How many workloads have ended there: each has one such record at its end."""
    file = state.run_folder(folder, node.name) / store.FILE
    try:
        with file.open("rb") as lines:
            return sum(line.startswith(_OF_WORKLOAD) for line in lines)
    except FileNotFoundError:
        return 0


_OF_WORKLOAD = b'{"record":"workload"'


def _alive_on_slurm() -> dict[str, str]:
    """The state of each of this user's jobs that SLURM holds, by number."""
    command = ["squeue", "--me", "--noheader", "--array", "--format=%F_%K %A %T"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RuntimeError(f"squeue does not answer: {error}") from error
    if done.returncode:
        raise RuntimeError(f"squeue does not answer: {done.stderr.strip()}")
    found = {}
    for line in done.stdout.splitlines():
        of_array, number, word = line.split()
        found[of_array] = found[number] = word
    return found


def _alive_here(fleet: Fleet) -> dict[str, str]:
    """The jobs of submitit's local executor that go on; their numbers are those of processes."""
    found = {}
    for jobs in fleet.jobs:
        for job in jobs:
            try:
                process = psutil.Process(int(job))
                ours = any(word.startswith("submitit") for word in process.cmdline())
                if ours and process.status() != psutil.STATUS_ZOMBIE:
                    found[job] = "RUNNING"
            except psutil.Error:
                continue
    return found

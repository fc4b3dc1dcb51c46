"""The folder of a fleet. Everything is there: any later shell, on any node, reads it.

    fleet.json                what was asked for, and the jobs' numbers (private: it has paths)
    jobs/                     the files of submitit (private: they have paths and host names)
    nodes/TASK-ALIAS.json     what has become of a task on a node
    runs/TASK-ALIAS/          the run of a task on a node, with its summary

A task is one run of all workloads. It is tried again where its job is requeued, perhaps on another
node. Each file has one writer at a time.
"""

from __future__ import annotations

import hashlib
import os
import platform
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from bench.records.store import write_whole

FILE = "fleet.json"
FORMAT = 1
RUNS_PAGE = "# Runs of a fleet\n\nOne folder for each task and node; machines.md compares them.\n"
ALIAS_DIGITS = 8  # hexadecimal: two of 1,000 nodes share an alias once in 8,000 fleets

State = Literal["looking", "measuring", "measured", "sick", "failed"]


class Fleet(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for."""

    format: int = FORMAT
    words: tuple[str, ...]  # of `rnnbench run`
    variants: tuple[str, ...]  # that each node must be able to run
    directory: str  # where the words hold
    salt: str
    local: bool  # submitit's local executor instead of SLURM
    minutes: int  # the time limit of a job
    requeue: bool
    allow_busy: bool  # measure where others work too
    sbatch: dict[str, str]  # further options
    jobs: tuple[tuple[str, ...], ...]  # the numbers of the jobs of each task, the newest last


class NodeState(msgspec.Struct, frozen=True, kw_only=True):
    """What has become of a task on a node."""

    task: int  # from 1
    node: str  # alias
    job: str
    state: State
    found: tuple[str, ...] = ()  # why it is sick, or has failed

    @property
    def name(self) -> str:
        """Of its file and of its run."""
        return f"{self.task}-{self.node}"


def new(folder: Path, fleet: Fleet) -> None:
    """Make the folder of a fleet. Raises FileExistsError if it holds one, OSError otherwise."""
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / FILE).exists():
        raise FileExistsError(f"{folder} holds a fleet already")
    for name in ("jobs", "nodes", "runs"):
        (folder / name).mkdir(exist_ok=True)
    # It is no index of reports, so that a run does not read all others to write one.
    (folder / "runs" / "README.md").write_text(RUNS_PAGE, encoding="utf-8")
    save(folder, fleet)


def save(folder: Path, fleet: Fleet) -> None:
    """It has the salt, by which an alias could be traced back: only its owner may read it."""
    write_whole(folder / FILE, msgspec.json.encode(fleet) + b"\n").chmod(0o600)


def load(folder: Path) -> Fleet:
    """Raises ValueError if it is not the folder of a fleet, or of another version."""
    try:
        found = msgspec.json.decode((folder / FILE).read_bytes(), type=Fleet)
    except FileNotFoundError:
        raise ValueError(f"{folder} is not the folder of a fleet: it has no {FILE}") from None
    except msgspec.DecodeError as error:
        raise ValueError(f"{folder / FILE} cannot be read: {error}") from error
    if found.format != FORMAT:
        raise ValueError(f"{folder / FILE} has format {found.format}; this version reads {FORMAT}")
    return found


def keep(folder: Path, state: NodeState) -> None:
    write_whole(folder / "nodes" / f"{state.name}.json", msgspec.json.encode(state) + b"\n")


def nodes(folder: Path) -> list[NodeState]:
    """By task, and for each task the newest last."""
    files = [*(folder / "nodes").glob("*.json")]
    files.sort(key=lambda file: file.stat().st_mtime)
    found = [msgspec.json.decode(file.read_bytes(), type=NodeState) for file in files]
    return sorted(found, key=lambda each: each.task)


def run_folder(folder: Path, name: str) -> Path:
    return folder / "runs" / name


def salt() -> str:
    return secrets.token_hex(16)


def alias(of_fleet: str, variables: Mapping[str, str] = os.environ) -> str:
    """The alias of this node: a hash of its name with the fleet's salt."""
    name = variables.get("SLURMD_NODENAME") or platform.node()
    return hashlib.sha256(f"{of_fleet} {name}".encode()).hexdigest()[:ALIAS_DIGITS]


def with_jobs(fleet: Fleet, tasks: Sequence[int], jobs: Sequence[str]) -> Fleet:
    """The fleet with one more job for each of the tasks."""
    more = dict(zip(tasks, jobs, strict=True))
    return msgspec.structs.replace(
        fleet,
        jobs=tuple(
            (*before, more[task]) if task in more else before
            for task, before in enumerate(fleet.jobs, 1)
        ),
    )

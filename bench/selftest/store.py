"""Keeps the results of `rnnbench selftest` on this machine for later runs."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec
import platformdirs

from bench.analysis import verdicts
from bench.records import machine
from bench.records.schema import BetweenProcess, Machine, Selftest

FOLDER = "RNNBENCH_STATE"  # environment variable that names another folder


def path(parts: Machine | None = None) -> Path:
    """The file for a machine and its number of usable cores.

    Several machines, and containers with a part of one, may share a home directory.
    """
    here = parts or machine.describe()
    parted = (here.cpu, here.cores, here.memory_bytes, here.gpus, here.system)
    named = msgspec.json.encode(parted)
    folder = os.environ.get(FOLDER) or platformdirs.user_state_path("rnnbench")
    return Path(folder) / f"selftest-{hashlib.sha256(named).hexdigest()[:12]}.json"


def save(selftest: Selftest) -> Path:
    """Keep it, replacing the previous one; return the file."""
    file = path(selftest.machine)
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(".tmp")
    draft.write_bytes(msgspec.json.encode(selftest))
    draft.replace(file)
    return file


def load() -> Selftest | None:
    """The last selftest of this machine; None if there is none or it cannot be read."""
    try:
        return msgspec.json.decode(path().read_bytes(), type=Selftest)
    except (FileNotFoundError, msgspec.DecodeError):
        return None  # never made, or written by another version


def between_process(selftest: Selftest | None) -> BetweenProcess:
    """The between-process standard deviation, as measured here or as assumed."""
    return verdicts.ASSUMED if selftest is None else selftest.between_process

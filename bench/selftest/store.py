"""What `rnnbench selftest` found on this machine, kept for the runs that follow."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec
import platformdirs

from bench.analysis import verdicts
from bench.records import machine
from bench.records.schema import BetweenProcess, Machine, Selftest

FOLDER = "RNNBENCH_STATE"  # environment variable: where it is kept instead


def path(parts: Machine | None = None) -> Path:
    """One file a machine, and number of its cores that may be used.

    A home directory may be shared by several, and by containers that have a part of one.
    """
    here = parts or machine.describe()
    parted = (here.cpu, here.cores, here.memory_bytes, here.gpus, here.system)
    named = msgspec.json.encode(parted)
    folder = os.environ.get(FOLDER) or platformdirs.user_state_path("rnnbench")
    return Path(folder) / f"selftest-{hashlib.sha256(named).hexdigest()[:12]}.json"


def save(selftest: Selftest) -> Path:
    """Keep it in place of the one before; gives the file."""
    file = path(selftest.machine)
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(".tmp")
    draft.write_bytes(msgspec.json.encode(selftest))
    draft.replace(file)
    return file


def load() -> Selftest | None:
    """The last selftest of this machine; None where there is none that can be read."""
    try:
        return msgspec.json.decode(path().read_bytes(), type=Selftest)
    except (FileNotFoundError, msgspec.DecodeError):
        return None  # never made, or by another version: its successor takes its place


def between_process(selftest: Selftest | None) -> BetweenProcess:
    """How far processes of one program lie apart: as measured here, or as assumed."""
    return verdicts.ASSUMED if selftest is None else selftest.between_process

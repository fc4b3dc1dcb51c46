"""Imports the user's module in a process of its own, and returns what was read from the net."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backends import registry
from bench import ROOT
from bench.describe.target import split
from bench.records import provenance
from tasks.spec import ModelSpec

WAIT_SECONDS = 120.0
TAIL_BYTES = 2000  # of what the process prints
RESULT, PARAMS, PRINTED = "result.json", "params.npz", "printed.txt"


@dataclass(frozen=True)
class Description:
    """A net as it was read. None: the net does not say it."""

    target: str
    spec: ModelSpec  # its loss is not read yet
    params: Path  # NPZ, by canonical names
    activation: str  # on the outputs: none, softmax, log_softmax
    batch: int | None
    steps: int | None
    loss: str | None
    optimizer: str | None
    notes: Sequence[str]


def describe(
    target: str,
    folder: Path,
    wait_seconds: float = WAIT_SECONDS,
    sizes: registry.Shape = (None, None),
) -> Description:
    """Read "my_module:net" from the current folder; `folder` is empty and takes the weights.

    `sizes` are B and T, for a net that takes no others. Raises ValueError, in one line, if there is
    no such net or if no workload file describes it.
    """
    split(target)
    status = _run(target, folder, sizes, wait_seconds)
    result = folder / RESULT
    if not result.exists():
        how = f"with status {status}" if status >= 0 else f"by {signal.Signals(-status).name}"
        raise ValueError(
            f"{target} ends its process {how} before the net is read{_last_line(folder / PRINTED)}"
        )
    found = json.loads(result.read_text(encoding="utf-8"))
    if "error" in found:
        raise ValueError(found["error"])
    spec = ModelSpec(**found.pop("spec"))
    return Description(target=target, spec=spec, params=folder / PARAMS, **found)


def _last_line(printed: Path) -> str:
    """ "; its last line is ...": what a process printed before it ended; empty if nothing."""
    with printed.open("rb") as content:
        content.seek(-min(TAIL_BYTES, printed.stat().st_size), os.SEEK_END)
        lines = content.read().decode(errors="replace").split("\n")
    found = [line for line in map(registry.plain, lines) if line]
    return f"; its last line is {provenance.without_paths(found[-1])!r}" if found else ""


def _run(target: str, folder: Path, sizes: registry.Shape, wait_seconds: float) -> int:
    """The exit status of the process. What it prints goes into a file, and is not shown."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    # -P: a package `bench` in the current folder is not ours.
    arguments = [str(folder), target, *map(str, sizes)]
    words = [sys.executable, "-P", "-m", "bench.describe", *arguments]
    with (folder / PRINTED).open("wb") as printed:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=printed,
            env=environment,
            start_new_session=True,
        )
        try:
            return process.wait(wait_seconds)
        except subprocess.TimeoutExpired as error:
            raise ValueError(
                f"{target} is not read after {wait_seconds:g} s; expected a module that ends "
                "its work when it is imported (--wait=SECONDS waits longer)"
            ) from error
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process, and those that it started."""
    try:
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    except (ProcessLookupError, PermissionError):
        pass
    process.wait()

"""The process that imports the user's module: FOLDER TARGET B T. It leaves its result in FOLDER."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from backends import registry
from bench.describe import readout, target
from bench.describe.process import PARAMS, RESULT
from bench.records import provenance


def main(folder: Path, asked: str, sizes: registry.Shape) -> None:
    """Write the result, and end at once: no exit handler or thread of the user's can hinder it."""
    sys.argv = [asked]
    try:
        found = _described(folder, asked, sizes)
    except (target.TargetError, registry.NotDescribableError) as error:
        found = {"error": registry.plain(provenance.without_paths(str(error)))}
    except Exception as error:  # a net may be odd in ways that no reader foresees
        words = provenance.without_paths(registry.first_line(error))
        found = {"error": f"{asked} cannot be read: {words}"}
    written = folder / f"{RESULT}.part"
    written.write_text(json.dumps(found), encoding="utf-8")
    written.rename(folder / RESULT)
    os._exit(0)


def _described(folder: Path, asked: str, sizes: registry.Shape) -> dict[str, Any]:
    net = target.find(asked)
    read = registry.reader(net)
    assert read is not None
    try:
        described = readout.settled(read(net, sizes))
    except registry.NotDescribableError as error:
        raise registry.NotDescribableError(f"{asked} cannot be described: {error}") from error
    np.savez(folder / PARAMS, **described.params)  # type: ignore[arg-type]
    return {
        "spec": asdict(described.spec),
        "activation": described.activation,
        "batch": described.batch,
        "steps": described.steps,
        "loss": described.loss,
        "optimizer": described.optimizer,
        "notes": list(described.notes),
    }


def _size(word: str) -> int | None:
    return None if word == "None" else int(word)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], (_size(sys.argv[3]), _size(sys.argv[4])))

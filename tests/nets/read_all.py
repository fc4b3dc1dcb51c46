"""Reads every net of a module in one process: MODULE [FOLDER].

Prints the fields of each net, or the reason against it, in JSON. Into the folder go the workload
files, each with its weights. `SIZES` of the module are B and T of nets that take no others.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from backends import registry
from bench.describe import readout, text
from bench.describe.process import Description
from tasks.spec import check_params


def read(target: str, net: Any, folder: Path | None, sizes: registry.Shape) -> Any:
    reader = registry.reader(net)
    assert reader is not None, type(net)
    try:
        described = readout.settled(reader(net, sizes))
        spec = described.spec
    except registry.NotDescribableError as error:
        return str(error)
    check_params(spec, described.params)
    if folder is not None:
        weights = folder / f"{target.partition(':')[2]}.npz"
        np.savez(weights, **described.params)
        rest = {n: getattr(described, n) for n in ("activation", "batch", "loss", "optimizer")}
        found = Description(
            target, spec, weights, steps=described.steps, notes=described.notes, **rest
        )
        choices = text.Choices(batch=4, steps=described.steps or 6)
        weights.with_suffix(".toml").write_text(text.render(found, choices, weights.name))
    return {
        "spec": dataclasses.asdict(spec),
        "notes": [*described.notes],
        "activation": described.activation,
        "batch": described.batch,
        "steps": described.steps,
        "loss": described.loss,
        "optimizer": described.optimizer,
    }


def main(name: str, folder: Path | None) -> None:
    module = importlib.import_module(name)
    nets = getattr(module, "REFUSED", None) or {n: getattr(module, n) for n in module.NETS}
    sizes = getattr(module, "SIZES", (None, None))
    found = {}
    for each, make in nets.items():
        net = make if registry.reader(make) is not None else make()
        found[each] = read(f"{name}:{each}", net, folder, sizes)
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]) if len(sys.argv) > 2 else None)

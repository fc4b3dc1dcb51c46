"""Presets: runs that somebody published or asked for, each a workload file with its source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from bench.config import workload_file
from bench.config.fields import Values
from bench.config.grid import DEFAULT_OPTIMIZER
from bench.config.workload_file import DEFAULT_TASK, WorkloadFile
from tasks import TASKS

FOLDER = Path(__file__).parent
# What an option is where a preset leaves it out.
_MODEL = TASKS[DEFAULT_TASK].spec("base")
DEFAULTS: Mapping[str, Any] = {
    "cell": _MODEL.cell,
    "layers": _MODEL.num_layers,
    "readout": _MODEL.readout,
    "loss": _MODEL.loss,
    "bidirectional": False,
    "no_bias": False,
    "initial_state": False,
    "stateful": False,
    "dropout": 0.0,
    "device": "cpu",
    "dtype": "float32",
    "optimizer": DEFAULT_OPTIMIZER,
}


@dataclass(frozen=True)
class Preset:
    """One preset file."""

    name: str
    asks: str  # the question that its run answers
    source: str
    differs: str  # the differences from the source; empty if there are none
    gpu: bool  # meant for a GPU
    needs: str  # the commands that make what it needs besides a default installation
    stated: Values  # the options that the source states
    file: WorkloadFile

    @property
    def command(self) -> str:
        return f"pytest --benchmark-only --preset={self.name}"

    def here(self, option: str) -> tuple[Any, ...]:
        """The values of an option in the workloads of this file, each once."""
        found = (
            value
            for workload in self.file.workloads
            for value in workload.values.get(option, (DEFAULTS.get(option),))
        )
        return tuple(dict.fromkeys(found))

    def differing(self) -> list[str]:
        """The options whose values here are not those that the source states."""
        return [
            option for option, values in self.stated.items() if {*values} != {*self.here(option)}
        ]


def names() -> list[str]:
    return sorted(file.stem for file in FOLDER.glob("*.toml"))


@cache
def find(name: str) -> Preset:
    """The preset of that name.

    Raises KeyError with the valid names if there is none, and ValueError if its file is wrong.
    """
    if name not in names():
        raise KeyError(f"preset {name!r} is unknown; expected one of {', '.join(names())}")
    file = workload_file.read(FOLDER / f"{name}.toml")
    if missing := {"asks", "source"} - file.about.keys():
        raise ValueError(f"preset {name!r} has no {', '.join(sorted(missing))}")
    return Preset(
        name=name,
        asks=file.about["asks"],
        source=file.about["source"],
        differs=file.about.get("differs", ""),
        gpu=file.about.get("gpu", False),
        needs=file.about.get("needs", ""),
        stated=file.about["stated"],
        file=file,
    )

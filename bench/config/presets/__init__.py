"""Presets: runs that somebody published or asked for, each a workload file with its source."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bench.config import workload_file
from bench.config.workload_file import WorkloadFile

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Preset:
    """One preset file."""

    name: str
    asks: str  # the question that its run answers
    source: str
    differs: str  # the differences from the source; empty if there are none
    gpu: bool  # meant for a GPU
    file: WorkloadFile

    @property
    def command(self) -> str:
        return f"pytest --benchmark-only --preset={self.name}"


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
        file=file,
    )

"""Presets: runs that somebody published or asked for, each a small TOML file with its source.

A preset holds options of a run. `[options]` applies to the whole run. Each `[[part]]` is one of
several grids in the run; the first part has every phase of the run. Other options on the command
line override those of the preset.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent
# The options that a preset may hold, named as on the command line. All are strings, except
# `bidirectional`, which is true.
ALLOWED = (
    *("task", "backend", "cell", "device", "dtype", "phase", "size", "batch", "steps", "input"),
    *("hidden", "layers", "optimizer", "threads", "dropout", "processes", "bidirectional"),
)
OF_RUN = ("backend", "processes")  # not allowed in a part: they hold for the whole run


@dataclass(frozen=True)
class Preset:
    """One preset file."""

    name: str
    asks: str  # the question that its run answers
    source: str
    differs: str  # the differences from the source; empty if there are none
    gpu: bool  # meant for a GPU
    options: Mapping[str, str | bool]
    parts: tuple[Mapping[str, str | bool], ...]  # at least one; with `options` in each

    @property
    def command(self) -> str:
        return f"pytest --benchmark-only --preset={self.name}"


def names() -> list[str]:
    return sorted(file.stem for file in FOLDER.glob("*.toml"))


@cache
def find(name: str) -> Preset:
    """The preset of that name.

    Raises KeyError with the valid names if there is none, and ValueError if its file has an option
    that a preset may not hold.
    """
    file = FOLDER / f"{name}.toml"
    if name not in names():
        raise KeyError(f"preset {name!r} is unknown; expected one of {', '.join(names())}")
    content = tomllib.loads(file.read_text(encoding="utf-8"))
    options: dict[str, str | bool] = content.get("options", {})
    parts = tuple({**options, **part} for part in content.get("part", [{}]))
    if unknown := {option for part in parts for option in part} - set(ALLOWED):
        raise ValueError(
            f"{file.name} has {', '.join(sorted(unknown))}; expected {', '.join(ALLOWED)}"
        )
    if misplaced := {option for part in content.get("part", ()) for option in part} & set(OF_RUN):
        raise ValueError(f"{file.name} has {', '.join(misplaced)} in a part; expected in [options]")
    return Preset(
        name=name,
        asks=content["asks"],
        source=content["source"],
        differs=content.get("differs", ""),
        gpu=content.get("gpu", False),
        options=options,
        parts=parts,
    )

"""Runs that somebody published or asked for, each a small TOML file with its source.

A preset holds options of a run: `[options]` for all of it, and `[[part]]` for each of several grids
that are measured in one run; the first part has every phase of the run. What stands on the command
line beside `--preset` goes before it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent
# The options that a preset may hold, as they are called on the command line; all hold text, as
# there, but `bidirectional`, which is true.
ALLOWED = (
    *("task", "backend", "cell", "device", "dtype", "phase", "size", "batch", "steps", "input"),
    *("hidden", "layers", "optimizer", "threads", "dropout", "processes", "bidirectional"),
)
OF_RUN = ("backend", "processes")  # for all parts of a run together


@dataclass(frozen=True)
class Preset:
    """One file."""

    name: str
    asks: str  # what a run of it answers
    source: str
    differs: str  # from the source; empty where nothing does
    gpu: bool  # meant for one
    options: Mapping[str, str | bool]
    parts: tuple[Mapping[str, str | bool], ...]  # at least one; with `options` in each

    @property
    def command(self) -> str:
        return f"pytest --benchmark-only --preset={self.name}"


def names() -> list[str]:
    return sorted(file.stem for file in FOLDER.glob("*.toml"))


@cache
def find(name: str) -> Preset:
    """The preset of that name; an unknown one raises KeyError with the valid names.

    Raises ValueError for a file with an option that a preset may not hold.
    """
    file = FOLDER / f"{name}.toml"
    if name not in names():
        raise KeyError(f"preset {name!r} is unknown; expected one of {', '.join(names())}")
    content = tomllib.loads(file.read_text(encoding="utf-8"))
    options: dict[str, str | bool] = content.get("options", {})
    parts = tuple({**options, **part} for part in content.get("part", [{}]))
    if unknown := {option for part in parts for option in part} - set(ALLOWED):
        raise ValueError(
            f"{file.name} holds {', '.join(sorted(unknown))}; expected {', '.join(ALLOWED)}"
        )
    if misplaced := {option for part in content.get("part", ()) for option in part} & set(OF_RUN):
        raise ValueError(f"{file.name} holds {', '.join(misplaced)} in a part; expected in options")
    return Preset(
        name=name,
        asks=content["asks"],
        source=content["source"],
        differs=content.get("differs", ""),
        gpu=content.get("gpu", False),
        options=options,
        parts=parts,
    )

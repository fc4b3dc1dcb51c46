"""Backends in environments of their own, from the configuration in the current folder.

In `pyproject.toml` or `rnnbench.toml`:

    [tool.rnnbench.backends."jax@0.9"]
    python = ".venv-jax-0.9/bin/python"   # relative to the file
    backend = "jax"                       # the variant there; default: the name up to the "@"
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAME = re.compile(r"(?!all$)[A-Za-z0-9][A-Za-z0-9._@+-]*")  # `all` means every backend
FILES = ("pyproject.toml", "rnnbench.toml")
KEYS = ("python", "backend")
_QUOTED = "put a name with a dot or an @ in quotes"


@dataclass(frozen=True)
class Environment:
    """One table of the configuration."""

    name: str
    python: str  # absolute
    backend: str
    file: str  # its name without folders
    problem: str  # why it cannot be used; empty if its interpreter exists


def read(folder: Path) -> list[Environment]:
    """The environments in the files of `folder`; raises ValueError, which names file and key."""
    found: dict[str, Environment] = {}
    for file in FILES:
        for name, table in _tables(folder / file).items():
            if name in found:
                raise ValueError(
                    f"{_header(name)} is in both {found[name].file} and {file}; expected only one"
                )
            found[name] = _environment(folder, file, name, table)
    return list(found.values())


def _header(name: str) -> str:
    bare = re.fullmatch(r"[A-Za-z0-9_-]+", name)
    return f"[tool.rnnbench.backends.{name}]" if bare else f'[tool.rnnbench.backends."{name}"]'


def _tables(file: Path) -> Mapping[str, Any]:
    """The tables of backends in a file, by name; empty if there is no such file."""
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ValueError(f"{file.name} cannot be read: {error}; {_QUOTED}") from error
    where: Any = content
    for part in ("tool", "rnnbench", "backends"):
        unknown = sorted(set(where) - {part})
        if unknown and (part == "backends" or file.name == FILES[1]):
            raise ValueError(
                f"{file.name} has {', '.join(unknown)}; expected tables "
                "[tool.rnnbench.backends.NAME] alone"
            )
        where = where.get(part, {})
        if not isinstance(where, dict):
            raise ValueError(f"{file.name} has {part} = {where!r}; expected a table")
    return where


def _environment(folder: Path, file: str, name: str, table: Any) -> Environment:
    header = f"{_header(name)} in {file}"
    if not NAME.fullmatch(name):
        raise ValueError(
            f"{header}: expected a name of ASCII letters, digits and . _ @ + -, and not `all`"
        )
    expected = 'expected python = "...", and backend = "..." unless it is the name up to the @'
    if not isinstance(table, dict) or not isinstance(table.get("python"), str):
        raise ValueError(f"{header} names no interpreter; {expected}; {_QUOTED}")
    unknown = sorted(set(table) - set(KEYS))
    if unknown:
        raise ValueError(f"{header} has {', '.join(unknown)}; {expected}")
    backend = table.get("backend", name.partition("@")[0])
    if not isinstance(backend, str) or not NAME.fullmatch(backend):
        raise ValueError(f"{header} has backend = {backend!r}; {expected}")
    # The path is not resolved: Python finds its virtual environment by the location of this link.
    python = os.path.abspath(folder / Path(table["python"]).expanduser())
    problem = (
        f"{name}: the `python` of {header} does not exist or cannot be run; expected the Python of "
        "a virtual environment, relative to that file, such as .venv-other/bin/python"
    )
    if os.path.isfile(python) and os.access(python, os.X_OK):
        problem = ""
    return Environment(name, python, backend, file, problem)

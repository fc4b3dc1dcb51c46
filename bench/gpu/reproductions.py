"""The reproductions in docs/reproductions: programs that need a framework alone.

The first line of each one's text is its title; a line "Needs: a, b" names its modules. It is run
with the device as its only argument. One line that it prints begins with REPRODUCED,
NOT_REPRODUCED or SKIPPED.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from bench import ROOT

FOLDER = ROOT / "docs" / "reproductions"
REPRODUCED, NOT_REPRODUCED, SKIPPED = "reproduced: ", "not reproduced: ", "skipped: "


@dataclass(frozen=True)
class Reproduction:
    """One program."""

    file: Path
    title: str
    modules: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.file.stem

    def missing(self) -> list[str]:
        """Its modules that are not installed."""
        return [module for module in self.modules if find_spec(module) is None]


def every(folder: Path = FOLDER) -> list[Reproduction]:
    """All of them, by name; raises ValueError for one that does not name its modules."""
    return [_read(file) for file in sorted(folder.glob("*.py"))]


def _read(file: Path) -> Reproduction:
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    needs = re.search(r"^Needs: (.+)$", text, re.M)
    if needs is None:
        raise ValueError(f"{file.name}: expected a line 'Needs: MODULE, ...' in its first text")
    modules = tuple(part.strip() for part in needs[1].split(","))
    return Reproduction(file, text.splitlines()[0], modules)

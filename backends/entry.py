"""What is known of a variant without importing it. Plain data."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.util import find_spec


@dataclass(frozen=True)
class Entry:
    """Where a variant comes from. `modules` must be importable before it can run."""

    name: str
    target: str  # "package.module:factory"; empty where another environment knows it
    modules: tuple[str, ...] = ()
    extra: str = ""  # of our own pyproject, for the install command
    default: bool = True  # in a run that names no backend
    origin: str = "built in"
    plugin: bool = False  # a third party's: never imported into the process of a run
    runs: str = ""  # what it is called in an environment of its own
    python: str = ""  # the Python of that environment
    problem: str = ""  # why it cannot be used at all
    ambiguous: bool = False  # there are several of this name
    slow_build: bool = False  # compiles for many seconds a model: left out of long series of them

    @property
    def own_environment(self) -> bool:
        return bool(self.runs)

    @property
    def executable(self) -> str:
        """The Python that it runs in."""
        return self.python or sys.executable

    @property
    def backend(self) -> str:
        """What it is called there."""
        return self.runs or self.name

    @property
    def third_party(self) -> bool:
        """Its pure members are asked in a process of its own."""
        return self.plugin or self.own_environment

    def absent(self) -> list[str]:
        """Modules that it needs and this Python does not find."""
        return [module for module in self.modules if find_spec(module) is None]

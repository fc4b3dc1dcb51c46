"""What is known about a variant without importing it. Plain data."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.util import find_spec


@dataclass(frozen=True)
class Entry:
    """Where a variant comes from. It needs the `modules` to run."""

    name: str
    target: str  # "package.module:factory"; empty if it runs in another environment
    modules: tuple[str, ...] = ()
    extra: str = ""  # the extra of our pyproject.toml, for the install command
    default: bool = True  # part of a run without --backend
    origin: str = "built in"
    plugin: bool = False  # from a third party: never imported into the process of a run
    runs: str = ""  # its name in an environment of its own
    python: str = ""  # the Python of that environment
    problem: str = ""  # why it cannot be used at all
    ambiguous: bool = False  # several variants have this name
    slow_build: bool = False  # compiles each model for many seconds: left out of long series

    @property
    def own_environment(self) -> bool:
        return bool(self.runs)

    @property
    def executable(self) -> str:
        """The Python that runs it."""
        return self.python or sys.executable

    @property
    def backend(self) -> str:
        """Its name in that Python."""
        return self.runs or self.name

    @property
    def third_party(self) -> bool:
        """Whether its pure members are called in a process of its own."""
        return self.plugin or self.own_environment

    def absent(self) -> list[str]:
        """The modules that it needs and that this Python does not find."""
        return [module for module in self.modules if find_spec(module) is None]

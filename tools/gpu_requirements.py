"""What `tools/gpu.sh` installs beside the frameworks that a machine has: one list a run.

    python tools/gpu_requirements.py needed | wanted | held

`needed`: what builds and runs rnnbench. `wanted`: what one more variant needs, and only where its
framework is there. `held`: the exact versions of what must stay as it is, as constraints for pip.
Needs the standard library of Python 3.11 alone, and runs before anything is installed.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
# The frameworks, and what belongs to their builds: never installed, never changed.
HEAVY = re.compile(r"(torch|jax|jaxlib|tensorflow|numpy|triton|cupy|nvidia|cuda)([-_.].*)?$", re.I)
# An extra of pyproject.toml, and the modules of which one must be there.
WANTED = {"keras": ("torch", "jax", "tensorflow"), "jax": ("jax",)}


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def needed() -> list[str]:
    """The build system and the dependencies of pyproject.toml."""
    content = project()
    return [*content["build-system"]["requires"], *content["project"]["dependencies"]]


def wanted() -> Iterator[str]:
    """What is light of the extras whose framework is installed."""
    extras = project()["project"]["optional-dependencies"]
    for extra, modules in WANTED.items():
        if any(find_spec(module) is not None for module in modules):
            yield from (r for r in extras[extra] if not HEAVY.match(name(r)))


def held() -> Iterator[str]:
    """name==version of each installed distribution that is HEAVY."""
    found = {d.name: d.version for d in distributions() if d.name and HEAVY.match(d.name)}
    yield from (f"{each}=={version}" for each, version in sorted(found.items()))


def name(requirement: str) -> str:
    """The distribution that a requirement is about: "jax" of "jax>=0.4.35"."""
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0]


if __name__ == "__main__":
    lists = {"needed": needed, "wanted": wanted, "held": held}
    print(*lists[sys.argv[1]](), sep="\n")

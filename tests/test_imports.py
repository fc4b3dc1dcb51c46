"""Importing the project imports no framework, and the rooms' arrows hold."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from bench.interpreter import ROOT

FRAMEWORKS = ("torch", "tensorflow", "keras", "jax", "jaxlib", "flax", "optax", "cupy")

_ALL = """
import importlib, pkgutil, sys
for name in {packages}:
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, name + "."):
        importlib.import_module(module.name)
from backends import registry
for name in registry.table():
    backend = registry.load(name)
    backend.environment(threads=1, device="cpu", dtype="float32")
print(*sorted({{name.partition(".")[0] for name in sys.modules}}))
"""


def _imported(*packages: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", _ALL.format(packages=packages)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return set(done.stdout.split())


def test_importing_everything_imports_no_framework() -> None:
    imported = _imported("tasks", "backends", "bench")
    assert {"tasks", "backends", "bench", "numpy"} <= imported
    assert not imported & set(FRAMEWORKS)


def _imports(file: Path) -> set[str]:
    """First parts of all that a file imports, at its top or within a function."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found


@pytest.mark.parametrize(
    ("room", "barred"),
    [("tasks", {"backends", "bench"}), ("backends", {"bench"}), ("bench", set(FRAMEWORKS))],
)
def test_the_arrows_hold(room: str, barred: set[str]) -> None:
    files = sorted((ROOT / room).rglob("*.py"))
    assert files
    for file in files:
        assert not _imports(file) & barred, file.relative_to(ROOT)


def test_nothing_outside_a_backend_asks_for_its_name() -> None:
    names = {"torch", "jax", "keras-tensorflow", "keras-jax", "keras-torch", "flax"}
    for file in sorted((ROOT / "bench").rglob("*.py")):
        constants = {
            node.value
            for node in ast.walk(ast.parse(file.read_text()))
            if isinstance(node, ast.Constant)
        }
        assert not names & {c for c in constants if isinstance(c, str)}, file.name

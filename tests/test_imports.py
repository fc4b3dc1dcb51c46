"""Importing the project imports no framework, and the arrows between the rooms hold."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench import ROOT

FRAMEWORKS = ("torch", "tensorflow", "keras", "jax", "jaxlib", "flax", "optax", "cupy")
PACKAGES = ("tasks", "backends", "bench")

_ALL = """
import importlib, pkgutil, sys
for name in {packages}:
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, name + "."):
        if not module.name.endswith("__main__"):
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
    imported = _imported(*PACKAGES)
    assert {*PACKAGES, "numpy"} <= imported
    assert not imported & set(FRAMEWORKS)


def _lint(folder: Path) -> tuple[int, str]:
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={"PYTHONPATH": str(folder), "COLUMNS": "200"},
    )
    return done.returncode, done.stdout + done.stderr


def test_the_arrows_hold() -> None:
    code, output = _lint(ROOT)
    assert code == 0, output
    assert " 0 broken" in output


# A file, a line that goes against an arrow, and the contract that says so.
AGAINST = [
    ("tasks/loss.py", "import backends.interface", "tasks <- backends <- bench"),
    ("backends/plugins/contract.py", "import bench.records.schema", "tasks <- backends <- bench"),
    ("bench/measurement/case.py", "import backends.torch.model", "interface and their registry"),
    ("bench/records/store.py", "import bench.config.grid", "The rooms of bench"),
    ("bench/report/csv.py", "import bench.workers.pool", "records and their analysis alone"),
    ("bench/kit/ask.py", "import torch", "Only a backend's own folder"),
    ("backends/jax/model.py", "import backends.flax.nnx", "The rooms of backends"),
]


@pytest.mark.parametrize(
    ("file", "line", "contract"), AGAINST, ids=[line for _, line, _ in AGAINST]
)
def test_an_import_against_an_arrow_is_seen(
    tmp_path: Path, file: str, line: str, contract: str
) -> None:
    for name in PACKAGES:
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / file).open("a") as code:
        code.write(f"\n\ndef against() -> None:\n    {line}\n")
    status, output = _lint(tmp_path)
    assert status == 1, output
    (broken,) = [name for name in output.splitlines() if contract in name and "BROKEN" in name]
    assert broken


def test_nothing_outside_a_backend_asks_for_its_name() -> None:
    names = {"torch", "jax", "keras-tensorflow", "keras-jax", "keras-torch", "flax"}
    files = sorted((ROOT / "bench").rglob("*.py"))
    assert len(files) > 50
    for file in files:
        constants = {
            node.value
            for node in ast.walk(ast.parse(file.read_text()))
            if isinstance(node, ast.Constant)
        }
        assert not names & {c for c in constants if isinstance(c, str)}, file.name

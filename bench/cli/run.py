"""`rnnbench run`: the suite, in a pytest of its own."""

from __future__ import annotations

import subprocess
import sys

import typer

from bench import ROOT

PYTEST_WRONG_USE = (3, 4, 5)  # an internal error, a usage error, nothing collected


def run(context: typer.Context) -> None:
    """The suite: every option of `pytest --benchmark-only` (see `pytest --help`, "rnnbench")."""
    suite = ["--rootdir", str(ROOT), "-c", str(ROOT / "pyproject.toml"), str(ROOT / "bench/suite")]
    command = [sys.executable, "-m", "pytest", *suite, "--benchmark-only", *context.args]
    done = subprocess.run(command, check=False)
    if done.returncode in PYTEST_WRONG_USE:
        raise typer.Exit(2)
    raise typer.Exit(done.returncode and 1)

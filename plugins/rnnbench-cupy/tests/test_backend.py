"""The whole code path with numpy in CuPy's place; with CuPy and a GPU, on the GPU."""

import importlib.util
import os
import subprocess
from pathlib import Path

import pytest

STAND_IN = Path(__file__).parent / "stand_in"


def check(**variables):
    return subprocess.run(
        ["rnnbench", "check", "cupy", "--device", "cuda:0"],
        capture_output=True,
        text=True,
        env={**os.environ, **variables},
    )


def test_it_conforms_with_numpy_in_cupys_place():
    done = check(PYTHONPATH=str(STAND_IN))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "stand-in" in done.stdout


@pytest.mark.skipif(importlib.util.find_spec("cupy") is not None, reason="CuPy is installed")
def test_without_cupy_it_is_a_skip_that_says_what_to_install():
    done = subprocess.run(["rnnbench", "list"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("cupy: ")]
    assert "No module named 'cupy'" in line
    assert "pip install cupy-cuda12x" in line


@pytest.mark.skipif(importlib.util.find_spec("cupy") is None, reason="needs CuPy and a GPU")
def test_it_conforms_on_the_gpu():
    done = check()
    assert done.returncode == 0, done.stdout + done.stderr

"""Virtual environments made for a test, with what pip gets."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def make(folder: Path, *requirements: str) -> Path:
    """The Python of a fresh environment with these requirements; pip's own words where it fails."""
    _checked([sys.executable, "-m", "venv", str(folder)])
    python = folder / "bin" / "python"
    if requirements:
        pip(python, "install", "--no-compile", *requirements)
    return python


def pip(python: Path, *arguments: str, folder: Path | None = None) -> str:
    """`pip ...` of that environment, in `folder`."""
    command = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    return _checked(command, folder)


def _checked(command: list[str], folder: Path | None = None) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout

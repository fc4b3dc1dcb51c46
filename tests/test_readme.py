"""The README's commands do what they say, exactly as printed, one after the other in a clone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench import ROOT

pytestmark = pytest.mark.slow
_BLOCK = re.compile(r"^```bash\n(.*?)^```$", re.M | re.S)
# What takes minutes is run by .ci/run (make) or by hand.
LONG = "# minutes"
NOT_COPIED = (".git", ".venv", "*.egg-info", "__pycache__", "reports", "build", "dist")


def commands() -> list[str]:
    return _BLOCK.findall((ROOT / "README.md").read_text())


def test_each_block_is_one_command() -> None:
    found = commands()
    assert len(found) > 10
    for command in found:
        assert len(command.strip().splitlines()) == 1, command
    assert sum(LONG in command for command in found) < len(found) / 2


def test_the_commands_run_as_printed(tmp_path: Path) -> None:
    clone = tmp_path / "rnnbench"
    shutil.copytree(ROOT, clone, ignore=shutil.ignore_patterns(*NOT_COPIED))
    (clone / ".venv").symlink_to(sys.prefix)  # which `make` has made
    script = "".join(command for command in commands() if LONG not in command)
    done = subprocess.run(
        ["bash", "-c", f"set -eux\n{script}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        cwd=clone,
        env={**os.environ, "PYTHONPATH": str(clone)},  # the environment's package is another's
    )
    assert done.returncode == 0, done.stdout
    for name in ("before/report.md", "after/report.md", "report.html"):
        assert (clone / "reports" / name).stat().st_size > 1000, name
    assert (clone / "mylib" / "pyproject.toml").exists()
    assert "numpy passes: " in done.stdout

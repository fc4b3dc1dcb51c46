"""Runs `rnnbench` as a user does, wherever they stand."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from running import Ran, command, environment

from bench import ROOT


def rnnbench(
    *arguments: str,
    paths: tuple[Path, ...] = (),
    more: Mapping[str, str] = {},
    folder: Path = ROOT,
    timeout: float = 900,
) -> tuple[int, str]:
    """Its exit status, and all that it prints, with `paths` importable first."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.cli", *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment(more, ROOT, *paths),
        timeout=timeout,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def measured(
    reports: Path,
    *arguments: str,
    paths: tuple[Path, ...] = (),
    more: Mapping[str, str] = {},
    folder: Path = ROOT,
    timeout: float = 900,
) -> Ran:
    """`rnnbench run` in a folder, by pytest's own exit status."""
    suite = ("--rootdir", str(ROOT), "-c", str(ROOT / "pyproject.toml"), str(ROOT / "bench/suite"))
    done = subprocess.run(
        command(*suite, "--benchmark-only", f"--reports={reports}", *arguments),
        cwd=folder,
        env=environment(more, ROOT, *paths),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    last_line = (done.stdout.splitlines() or [""])[-1]
    return Ran(done.returncode, done.stdout + done.stderr, last_line, reports)

"""Runs the suite as a user does: pytest in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench import record, remembered
from bench.interpreter import ROOT


@dataclass(frozen=True)
class Ran:
    """What a run of the suite printed and left behind."""

    code: int
    output: str  # and errors, after it
    last_line: str  # of the output alone
    reports: Path

    @property
    def folder(self) -> Path:
        """Of the one run in `reports`."""
        (file,) = self.reports.glob("*/measurements.jsonl")
        return file.parent

    def measurements(self) -> dict[tuple[str, str], record.Measurement]:
        """By cell and variant."""
        _, found = record.read(self.folder / "measurements.jsonl")
        return {(m.cell, m.variant): m for m in found}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--color=no", *arguments]


def environment(more: Mapping[str, str] = {}, *paths: Path) -> dict[str, str]:
    """This process' own, less what pytest leaves in it, with `paths` importable first."""
    base = {k: v for k, v in os.environ.items() if k not in ("PYTEST_ADDOPTS", "COLUMNS")}
    python_path = [*map(str, paths), base.get("PYTHONPATH", "")]
    base["PYTHONPATH"] = os.pathsep.join(filter(None, python_path))
    # No test depends on what a selftest has found on this machine, unless it says where that is.
    base.setdefault(remembered.FOLDER, str(ROOT / "no-such-folder"))
    return base | {"COLUMNS": "200"} | more


def suite(
    reports: Path, *arguments: str, paths: tuple[Path, ...] = (), timeout: float = 300
) -> Ran:
    """`pytest --benchmark-only` with its reports below `reports`."""
    done = subprocess.run(
        command("--benchmark-only", f"--reports={reports}", *arguments),
        cwd=ROOT,
        env=environment({}, *paths),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    last_line = (done.stdout.splitlines() or [""])[-1]
    return Ran(done.returncode, done.stdout + done.stderr, last_line, reports)


def install_plugins(folder: Path, entries: Mapping[str, str]) -> Path:
    """A folder that, on the path, is an installed distribution with these backends."""
    info = folder / "strangers-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: strangers\nVersion: 1.0\n")
    lines = [f"{name} = {target}" for name, target in entries.items()]
    (info / "entry_points.txt").write_text("\n".join(["[rnnbench.backends]", *lines]) + "\n")
    return folder

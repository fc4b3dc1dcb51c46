"""Runs the suite as a user does: pytest in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench import ROOT
from bench.records import schema
from bench.records import store as records
from bench.selftest import store as selftests


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

    def measurements(self) -> dict[tuple[str, str], schema.Measurement]:
        """Of the variants, by the id of the workload and the variant."""
        _, found, _ = records.read(self.folder / records.FILE)
        return {(m.workload.id, m.variant): m for m in found if m.role == "variant"}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--color=no", *arguments]


def environment(more: Mapping[str, str] = {}, *paths: Path) -> dict[str, str]:
    """This process' own, less what pytest leaves in it, with `paths` importable first."""
    base = {k: v for k, v in os.environ.items() if k not in ("PYTEST_ADDOPTS", "COLUMNS")}
    python_path = [*map(str, paths), base.get("PYTHONPATH", "")]
    base["PYTHONPATH"] = os.pathsep.join(filter(None, python_path))
    # No test depends on what a selftest has found on this machine, unless it says where that is.
    base.setdefault(selftests.FOLDER, str(ROOT / "no-such-folder"))
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


def install(
    folder: Path,
    entries: Mapping[str, str],
    name: str = "third-party",
    version: str = "1.0",
    checkout: Path | None = None,
) -> Path:
    """A folder that, on the path, is an installed distribution with these backends.

    It was installed for editing from `checkout`, if there is one.
    """
    # Of a name with a hyphen, all before it would be taken for the name.
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8"
    )
    lines = "\n".join(f"{backend} = {target}" for backend, target in entries.items())
    if checkout:
        source = {"url": checkout.as_uri(), "dir_info": {"editable": True}}
        (info / "direct_url.json").write_text(json.dumps(source), encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[rnnbench.backends]\n{lines}\n", encoding="utf-8")
    return folder

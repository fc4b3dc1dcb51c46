"""Folders that are full, read-only, or vanish, before a run and in the middle of it."""

from __future__ import annotations

import resource
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import kit
import pytest
from kit import Fault, Happened, Run

SLOW = ("--task=hihello", "--backend=numpy", "--benchmark-max-time=2")
SIZE = "400k"
NO_MOUNT = "this user may not mount a file system; `file-limit` stands for it"


def _rescued(run: Run, folder: Path, *expected: str) -> Happened:
    """The run goes on in a folder for temporary files, in `folder`, and has a report there."""
    happened = run.end()
    (kept,) = folder.glob("rnnbench-*/run")
    happened.lost = kit.missing(kept, *expected)
    happened.also(f"All that was measured is in {kept}" in happened.output, "where it is")
    return happened.also((kept / "report.md").exists(), "no report")


def _temporary(folder: Path) -> dict[str, str]:
    (folder / "tmp").mkdir()
    return {"TMPDIR": str(folder / "tmp")}


def _file_limit() -> None:
    """Where no file system can be mounted: no file may grow beyond this."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8 * 2**10, 8 * 2**10))


def _full(folder: Path) -> Happened:
    """The disk becomes full while the second workload is measured."""
    with kit.mounted(folder / "disk", SIZE) as real:
        if not real:
            pytest.skip(NO_MOUNT)
        variables = _temporary(folder)
        with Run(folder / "disk", *SLOW, variables=variables) as run:
            run.wait_for("[2/2]")
            _fill(folder / "disk")
            return _rescued(run, folder / "tmp", *kit.BOTH)


def _fill(folder: Path) -> None:
    try:
        with (folder / "rest").open("wb", buffering=0) as rest:
            while True:
                rest.write(b"x" * 512)
    except OSError:
        return


def _limited(folder: Path) -> Happened:
    """Files may not grow beyond a size that the records reach."""
    with Run(folder, *kit.QUICK, limit=_file_limit) as run:
        happened = run.end()
    return happened.also("report: " not in happened.output, "no report")


def _read_only(folder: Path) -> Happened:
    (folder / "disk").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "ro", "rnnbench-test", str(folder / "disk")]
    real = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    if not real:
        (folder / "disk").chmod(0o555)
    try:
        with Run(folder, *kit.QUICK, f"--reports={folder / 'disk' / 'there'}") as run:
            return run.end()
    finally:
        if real:
            subprocess.run(["umount", "-l", str(folder / "disk")], check=True)


def _vanished(folder: Path) -> Happened:
    variables = _temporary(folder)
    with Run(folder, *SLOW, variables=variables) as run:
        run.wait_for("[2/2]")
        shutil.rmtree(run.reports)
        return _rescued(run, folder / "tmp", *kit.BOTH)


def _full_from_the_start(folder: Path) -> Happened:
    with kit.mounted(folder / "disk", "64k") as real:
        if not real:
            pytest.skip(NO_MOUNT)
        _fill(folder / "disk")
        with Run(folder, *kit.QUICK, f"--reports={folder / 'disk' / 'there'}") as run:
            return run.end()


def _json(folder: Path) -> Happened:
    """pytest-benchmark's own JSON goes to a full disk; the rest does not."""
    with Run(folder, *kit.QUICK, "--benchmark-json=/dev/full") as run:
        happened = run.end(*kit.BOTH)
        happened.also((run.folder / "report.md").exists(), "no report")
    return happened.also(Path("/dev/full").is_char_device(), "/dev/full is gone")


def _saved(folder: Path) -> Happened:
    """The storage of --benchmark-save is on a disk that becomes full."""
    with kit.mounted(folder / "disk", "64k") as real:
        if not real:
            pytest.skip(NO_MOUNT)
        storage = f"--benchmark-storage={folder / 'disk'}"
        with Run(folder, *kit.QUICK, "--benchmark-save=x", storage) as run:
            run.wait_for("[1/2]")
            _fill(folder / "disk")
            happened = run.end(*kit.BOTH)
            return happened.also((run.folder / "report.md").exists(), "no report")


def _in_the_way(folder: Path) -> Happened:
    (folder / "file").write_text("in the way")
    with Run(folder / "run", *kit.QUICK, f"--reports={folder / 'file'}") as run:
        return run.end()


def _report(folder: Path) -> Happened:
    """A folder stands where the report should be written."""
    with Run(folder, *kit.QUICK) as run:
        run.wait_for("[1/2]")
        (run.folder / "report.md").mkdir()
        return run.end(*kit.BOTH)


def _fault(
    name: str, what: str, means: str, code: int, says: str, do: Callable[[Path], Happened],
    prove: bool = False,
) -> Fault:  # fmt: skip
    return Fault(name, what, means, code, says, do, prove)


MOUNTED = "a small file system (a machine that allows no mounts has none)"
FAULTS = [
    _fault("full", "The disk becomes full in a run", MOUNTED, 1, "No space left on device", _full),
    _fault(
        "file-limit", "A file may not grow further", "a file-size limit", 1, "File too large",
        _limited,
    ),
    _fault(
        "read-only", "The disk is read-only", "a read-only file system, or folder", 2,
        "choose another with --reports", _read_only,
    ),
    _fault(
        "vanished", "The folder of the run is removed in a run", "a removed folder", 1,
        "it is no longer there", _vanished,
    ),
    _fault(
        "full-before", "The disk is full before the run", MOUNTED, 2,
        "choose another with --reports", _full_from_the_start,
    ),
    _fault(
        "json-full", "The disk of --benchmark-json is full", "/dev/full", 1,
        "/dev/full cannot be written: No space left on device; the records have all of it",
        _json, prove=True,
    ),
    _fault(
        "storage-full", "The disk of --benchmark-save becomes full", MOUNTED, 1,
        "--benchmark-save", _saved, prove=True,
    ),
    _fault(
        "in-the-way", "A file stands in place of the folder", "a file", 2,
        "choose another with --reports", _in_the_way,
    ),
    _fault(
        "report", "The report cannot be written", "a folder in its place", 1,
        "the measurements are kept", _report, prove=True,
    ),
]  # fmt: skip

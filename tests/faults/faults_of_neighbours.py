"""Two timed runs at once, and the locks that keep them apart."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import kit
import pytest
from kit import Fault, Happened, Run

SLOW = ("--task=hihello", "--backend=numpy", "--benchmark-max-time=4", "--phase=forward")
ONE = (*kit.QUICK, "--phase=forward")
FIRST, SECOND = "first", "second"


def _second(folder: Path, *words: str, run: Run) -> Run:
    """Another run beside `run`, with the same locks and a folder of its own."""
    locks = {"RNNBENCH_LOCKS": str(run.reports.parent / "locks")}
    return Run(folder / SECOND, *words, variables=locks)


def _refused(folder: Path) -> Happened:
    with Run(folder / FIRST, *SLOW) as first:
        first.wait_for("[1/1]")
        with _second(folder, *ONE, run=first) as second:
            happened = second.end()
        happened.also(f"process {first.process.pid}" in happened.output, "who it is")
        happened.also(not second.reports.exists(), "nothing is left")
        return happened.also(first.end(kit.BOTH[1]).lost == [], "the first run")


def _queued(folder: Path) -> Happened:
    with Run(folder / FIRST, *SLOW) as first:
        first.wait_for("[1/1]")
        with _second(folder, *ONE, "--queue", run=first) as second:
            second.wait_for("waiting for it (--queue)")
            assert not second.workers()
            happened = second.end(kit.BOTH[1])
        return happened.also(first.end(kit.BOTH[1]).lost == [], "the first run")


def _ended_in_the_queue(folder: Path) -> Happened:
    with Run(folder / FIRST, *SLOW) as first:
        first.wait_for("[1/1]")
        with _second(folder, *ONE, "--queue", run=first) as second:
            second.wait_for("waiting for it (--queue)").send(signal.SIGTERM)
            happened = second.end()
        return happened.also(first.end(kit.BOTH[1]).lost == [], "the first run")


def _after_sigkill(folder: Path) -> Happened:
    with Run(folder / FIRST, *SLOW) as first:
        first.wait_for("[1/1]").send(signal.SIGKILL)
        first.process.wait()
        with _second(folder, *ONE, run=first) as second:
            return second.end(kit.BOTH[1])


def _exempt(folder: Path) -> Happened:
    """Beside a timed run: a run in one process, and the checks alone."""
    with Run(folder / FIRST, *SLOW, "--benchmark-min-rounds=100000") as first:
        first.wait_for("[1/1]")
        with _second(folder, *ONE, "--dry-run", run=first) as second:
            happened = second.end()
        with _second(folder / "third", *ONE, "--serial", run=first) as third:
            happened.also(third.end().code == 0, "--serial")
        return happened.also(first.process.poll() is None, "the first run has ended")


def _no_folder(folder: Path) -> Happened:
    (folder / "file").write_text("in the way")
    locks = {"RNNBENCH_LOCKS": str(folder / "file" / "locks")}
    with Run(folder / FIRST, *ONE, variables=locks) as run:
        return run.end()


def _one_core(number: int) -> None:
    os.sched_setaffinity(0, [sorted(os.sched_getaffinity(0))[number]])


def _own_cores(folder: Path) -> Happened:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("there is one core, and nothing to divide")
    slow = (*SLOW, "--benchmark-max-time=2")
    with Run(folder / FIRST, *slow, limit=lambda: _one_core(0)) as first:
        first.wait_for("[1/1]")
        locks = {"RNNBENCH_LOCKS": str(folder / FIRST / "locks")}
        with Run(folder / SECOND, *ONE, variables=locks, limit=lambda: _one_core(1)) as second:
            happened = second.end(kit.BOTH[1])
        return happened.also(first.end(kit.BOTH[1]).lost == [], "the first run")


FAULTS = [
    Fault(
        "same-cores", "A second timed run on the same cores", "a real run", 2,
        "times that are taken side by side are wrong", _refused,
    ),
    Fault(
        "queue", "The same with --queue", "a real run", 0, "waiting for it (--queue)", _queued
    ),
    Fault(
        "sigterm-in-the-queue", "SIGTERM while it waits", "a real signal", 143,
        "ended by SIGTERM", _ended_in_the_queue, prove=True,
    ),
    Fault(
        "lock-of-a-killed-run", "A second run after the first was killed with SIGKILL",
        "a real signal", 0, "1 passed", _after_sigkill, prove=True,
    ),
    Fault(
        "exempt", "--dry-run and --serial beside a timed run", "a real run", 0, "1 tests in",
        _exempt, prove=True,
    ),
    Fault(
        "own-cores", "Two runs, each on a core of its own (taskset)", "real runs", 0, "1 passed",
        _own_cores, prove=True,
    ),
    Fault(
        "no-locks", "The folder of the locks cannot be used", "a file in its place", 2,
        "name a folder with RNNBENCH_LOCKS", _no_folder,
    ),
]  # fmt: skip

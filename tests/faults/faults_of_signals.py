"""Signals to the run, to its workers and to its guardian."""

from __future__ import annotations

import functools
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import faulty
import kit
from kit import Fault, Happened, Run
from running import install

SLOW = ("--task=hihello", "--backend=numpy", "--benchmark-max-time=1.5")


def _ended(number: signal.Signals, folder: Path) -> Happened:
    """In the second workload."""
    with Run(folder, *SLOW) as run:
        run.wait_for("[2/2]").send(number)
        happened = run.end(kit.BOTH[0])
        report = (run.folder / "report.md").read_text()
    return happened.also("bptt" in report, "no report")


def _several(folder: Path) -> Happened:
    """As a terminal does that is closed."""
    with Run(folder, *SLOW) as run:
        run.wait_for("[2/2]")
        for number in (signal.SIGHUP, signal.SIGHUP, signal.SIGTERM, signal.SIGHUP):
            run.send(number)
        happened = run.end(kit.BOTH[0])
        return happened.also((run.folder / "report.md").exists(), "no report")


def _early(folder: Path) -> Happened:
    with Run(folder, *SLOW) as run:
        kit.until(60, "a worker", run.workers)
        run.send(signal.SIGTERM)
        happened = run.end()
    return happened.also(not run.reports.exists(), "an empty folder is left")


def _nohup(folder: Path) -> Happened:
    ignore: Callable[[], object] = lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)  # noqa: E731
    with Run(folder, *kit.QUICK, limit=lambda: (ignore(), None)[1]) as run:
        run.wait_for("[1/2]").send(signal.SIGHUP)
        return run.end(*kit.BOTH)


def _killed(folder: Path) -> Happened:
    """And resumed."""
    with Run(folder, *SLOW) as run:
        run.wait_for("[2/2]").send(signal.SIGKILL)
        happened = run.end(kit.BOTH[0])
    with Run(folder, *SLOW, f"--resume={run.folder}") as again:
        resumed = again.end(*kit.BOTH, at=run.folder)
    resumed.also(resumed.code == 0, "not resumed")
    return Happened(happened.code, resumed.output, resumed.lost, happened.left + resumed.left)


def _killed_beside_a_daemon(folder: Path) -> Happened:
    plugins = install(folder / "plugins", faulty.ENTRY_POINTS)
    paths = (plugins, *kit.HERE)
    with Run(folder, *SLOW, "--backend=numpy,leaves-a-daemon", paths=paths) as run:
        run.wait_for("[2/2]")
        kit.until(60, "a daemon", lambda: any(p.ppid() == 1 for p in kit.marked(run.mark)))
        run.send(signal.SIGKILL)
        return run.end(kit.BOTH[0])


def _stopped(number: signal.Signals, folder: Path) -> Happened:
    """For longer than a worker may take for its answer."""
    with Run(folder, *SLOW, "--worker-timeout=3") as run:
        run.wait_for("[2/2]")
        os.kill(run.process.pid, number)
        os.waitid(os.P_PID, run.process.pid, os.WSTOPPED | os.WNOWAIT)
        time.sleep(5)
        os.kill(run.process.pid, signal.SIGCONT)
        return run.end(*kit.BOTH)


def _guardian(folder: Path) -> Happened:
    with Run(folder, *SLOW, "--processes=2") as run:
        run.wait_for("[1/2]")
        for process in kit.marked(run.mark):
            if "-u" not in process.cmdline() and process.pid != run.process.pid:
                process.kill()
        return run.end(*kit.BOTH)


def _fault(
    name: str,
    what: str,
    code: int,
    says: str,
    do: Callable[[Path], Happened],
    prove: bool = False,
) -> Fault:
    return Fault(name, what, "a real signal", code, says, do, prove)


_KEPT = "1 of 2 workloads were finished, and are kept in"
FAULTS = [
    _fault(
        "ctrl-c", "Ctrl-C", 130, f"interrupted: {_KEPT}",
        functools.partial(_ended, signal.SIGINT), prove=True,
    ),
    _fault(
        "sigterm", "SIGTERM", 143, f"ended by SIGTERM: {_KEPT}",
        functools.partial(_ended, signal.SIGTERM),
    ),
    _fault(
        "sighup", "The terminal is closed: SIGHUP and SIGTERM several times", 129,
        f"ended by SIGHUP: {_KEPT}", _several,
    ),
    _fault(
        "sigterm-early", "SIGTERM before anything is measured", 143,
        "ended by SIGTERM: no workload was finished; nothing is kept", _early,
    ),
    _fault("nohup", "SIGHUP under nohup", 0, "report: ", _nohup, prove=True),
    _fault("sigkill", "SIGKILL, and then --resume", -9, "has 1 of 2 workloads already", _killed),
    _fault(
        "sigkill-daemon", "SIGKILL of a run whose backend has left a daemon", -9, "",
        _killed_beside_a_daemon, prove=True,
    ),
    _fault(
        "ctrl-z", "Ctrl-Z, and fg after more than --worker-timeout", 0, "2 passed",
        functools.partial(_stopped, signal.SIGTSTP),
    ),
    _fault(
        "sigstop", "A batch system stops the run for longer than --worker-timeout", 0, "2 passed",
        functools.partial(_stopped, signal.SIGSTOP), prove=True,
    ),
    _fault(
        "guardian-killed", "SIGKILL of the guardian of the workers", 0, "2 passed", _guardian,
        prove=True,
    ),
]  # fmt: skip

"""Workers: a process each, still while they wait, and gone when they should be."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from running import command, environment

from backends.plugins import process as processes
from backends.plugins.client import SERVER
from backends.plugins.errors import StartError
from backends.plugins.process import PythonProcess
from bench import ROOT
from bench.records import machine
from bench.workers.pool import WorkerPool
from bench.workers.process import WorkerKey, WorkerProcess, WorkerRaisedError

KEY = WorkerKey("numpy", "float32", "cpu", 1)
MARK = "RNNBENCH_TEST_MARK"


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    with WorkerPool(machine.cores_to_pin(), timeout=60) as made:
        yield made


def _process(worker: WorkerProcess) -> psutil.Process:
    return psutil.Process(worker.pid)


def test_a_waiting_worker_is_stopped_and_has_a_session_of_its_own(pool: WorkerPool) -> None:
    worker = pool.get(KEY)
    assert _process(worker).status() == psutil.STATUS_STOPPED
    assert os.getsid(worker.pid) == worker.pid
    assert os.getpgid(worker.pid) == worker.pid
    assert pool.get(KEY) is worker


@pytest.mark.skipif(sys.platform != "linux", reason="threads' states are read from /proc")
def test_it_stands_still_as_soon_as_it_has_answered(pool: WorkerPool) -> None:
    worker = pool.get(KEY)
    for _ in range(200):
        with pytest.raises(WorkerRaisedError, match="no model is built"):
            worker.call("last_answer", 60)
        threads = [Path(f"/proc/{worker.pid}/task/{t.id}/stat") for t in _threads(worker)]
        assert all(file.read_text().rpartition(")")[2].split()[0] == "T" for file in threads)


def _threads(worker: WorkerProcess) -> list[Any]:
    found = _process(worker).threads()
    assert found
    return found


def test_its_environment_stood_before_its_interpreter_started(pool: WorkerPool) -> None:
    environ = _process(pool.get(KEY)).environ()  # as given to exec: later changes do not show here
    assert environ["OPENBLAS_NUM_THREADS"] == "1"
    assert environ["OMP_NUM_THREADS"] == "1"


@pytest.mark.skipif(not machine.pinning(), reason="this system cannot pin a process to cores")
def test_it_is_pinned_to_as_many_cores_as_it_has_threads(pool: WorkerPool) -> None:
    assert _process(pool.get(KEY)).cpu_affinity() == machine.available_cores()[:1]


def test_ending_leaves_nothing(pool: WorkerPool) -> None:
    workers = [pool.get(KEY), pool.get(WorkerKey("numpy", "float64", "cpu", 1))]
    assert workers[0].pid != workers[1].pid
    pool.keep_only([workers[1].key])
    assert not workers[0].alive()
    assert workers[1].alive()
    pool.close()
    assert not workers[1].alive()


def test_a_pool_that_is_closed_ends_no_other_process(pool: WorkerPool) -> None:
    pool.get(KEY)
    other = PythonProcess(sys.executable, SERVER, stops=False)
    try:
        pool.close()
        time.sleep(0.2)
        assert other.alive()
    finally:
        other.kill()


def test_an_interpreter_that_never_answers_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\necho $$ > {tmp_path / 'pid'}\nsleep 3600\n")
    python.chmod(0o755)
    monkeypatch.setattr(processes, "START_SECONDS", 0.5)
    with pytest.raises(StartError, match="its interpreter ended before it answered"):
        PythonProcess(str(python), SERVER)
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))


def _marked(mark: str) -> list[psutil.Process]:
    """Every process that was started with this mark in its environment, running or stopped."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARK) == mark:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def _wait(seconds: float, what: str, condition: object) -> None:
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s in vain for {what}"
        time.sleep(0.05)


@pytest.fixture
def running(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[bytes]]:
    """The suite in the middle of a long workload, with one worker stopped and one at work."""
    mark = request.node.name
    log = (tmp_path / "log").open("wb")
    process = subprocess.Popen(
        command(
            "--benchmark-only",
            "--backend=numpy",
            "--dtype=float32,float64",
            "--task=hihello",
            "--phase=bptt",
            "--benchmark-max-time=120",
            f"--reports={tmp_path / 'reports'}",
        ),
        cwd=ROOT,
        env=environment({MARK: mark}),
        stdout=log,
        stderr=log,
        start_new_session=True,
        # As at a terminal, also where the tests themselves run in the background.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        # pytest, the guardian, a worker
        _wait(60, "workers", lambda: len(_marked(mark)) >= 3 and _in_rounds(mark))
        yield process
    finally:
        for left in _marked(mark):
            left.kill()
        process.wait()
        log.close()


def _in_rounds(mark: str) -> bool:
    """A worker was seen both at work and stopped: the rounds go on."""
    workers = [p for p in _marked(mark) if "-u" in p.cmdline()]
    seen = set()
    for _ in range(200):
        seen |= {w.status() == psutil.STATUS_STOPPED for w in workers if w.is_running()}
        time.sleep(0.005)
    return seen == {True, False}


@pytest.mark.skipif(sys.platform != "linux", reason="reads other processes' environment")
def test_a_killed_parent_leaves_no_process(
    running: subprocess.Popen[bytes], request: pytest.FixtureRequest
) -> None:
    running.send_signal(signal.SIGKILL)
    running.wait()
    _wait(5, "the workers' end", lambda: not _marked(request.node.name))


@pytest.mark.skipif(sys.platform != "linux", reason="reads other processes' environment")
def test_ctrl_c_leaves_no_process(
    running: subprocess.Popen[bytes], request: pytest.FixtureRequest
) -> None:
    os.killpg(running.pid, signal.SIGINT)  # a terminal sends it to the whole group
    assert running.wait(20) == pytest.ExitCode.INTERRUPTED
    _wait(5, "the workers' end", lambda: not _marked(request.node.name))

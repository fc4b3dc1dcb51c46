"""SIGTERM and SIGHUP as Ctrl-C, Ctrl-Z, and two runs on the same cores."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from test_rounds import Answers, timed

from backends.plugins import process
from backends.plugins.output_log import OutputLog
from bench import signals
from bench.measurement.rounds import Rounds
from bench.workers import core_locks
from bench.workers.core_locks import CoresInUseError, held


@pytest.fixture(autouse=True)
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(core_locks.FOLDER, str(tmp_path / "locks"))
    return tmp_path / "locks"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_run_as_ctrl_c_does(number: signal.Signals) -> None:
    signal.signal(number, signal.SIG_DFL)  # nohup has it ignored, which is heeded too
    before = signal.getsignal(number)
    with signals.heeded():
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
        signal.raise_signal(number)  # a terminal that closes sends several
        assert signals.received.in_words == f"ended by {number.name}"
        assert signals.received.exit_status == 128 + number
    assert signal.getsignal(number) == before


def test_each_ctrl_c_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with signals.heeded():
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        assert signals.received.in_words == "interrupted"
        assert signals.received.exit_status == 130
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_signal_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as `nohup` does
    try:
        with signals.heeded():
            signal.raise_signal(signal.SIGHUP)
            assert signals.received.ending is None
    finally:
        signal.signal(signal.SIGHUP, before)


SUSPENDED = """
import time
from bench import signals
with signals.heeded():
    begin, awake = time.perf_counter(), signals.awake_seconds()
    print("ready", flush=True)
    while not signals.received.suspensions:
        time.sleep(0.01)
    time.sleep(0.1)
    print(time.perf_counter() - begin, signals.awake_seconds() - awake, flush=True)
"""


def test_ctrl_z_stops_the_process_and_the_clock() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SUSPENDED], stdout=subprocess.PIPE, text=True, process_group=0
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        child.send_signal(signal.SIGTSTP)
        found = os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
        assert found is not None
        assert found.si_status == signal.SIGTSTP
        time.sleep(1.0)
        child.send_signal(signal.SIGCONT)
        passed, awake = map(float, child.stdout.readline().split())
    assert passed - awake >= 0.9


def test_a_block_that_was_suspended_is_measured_again() -> None:
    answers = Answers(0.01)
    model = timed("a", answers)
    whole = model.run

    def run(unbroken: bool) -> Any:
        signals.received.suspensions += answers.asked == 2
        found = whole(unbroken)
        return found

    model.run = run  # type: ignore[method-assign]
    conditions = Rounds(
        running=lambda: [model], attempt=lambda _, block: block(), latency_alone=True
    ).run(np.random.default_rng(0), least=3, seconds=0.0)
    assert conditions.rounds == len(model.seconds) == 3
    assert answers.asked == 4


class _Channel:
    """An execnet channel whose answer comes after so many slices; each slice takes `seconds`."""

    class TimeoutError(Exception):
        pass

    def __init__(self, slices: int) -> None:
        self.slices, self.asked = slices, list[float]()

    def receive(self, seconds: float) -> str:
        self.asked.append(seconds)
        if len(self.asked) <= self.slices:
            raise self.TimeoutError
        return "answer"


@pytest.fixture
def waiting() -> Iterator[process.PythonProcess]:
    made = object.__new__(process.PythonProcess)
    made.excess, made._family = lambda _: None, []
    made.process, made._log = psutil.Process(), OutputLog()
    yield made
    made._log.remove()


def test_an_answer_is_awaited_in_slices(waiting: process.PythonProcess) -> None:
    waiting._channel = _Channel(2)
    assert waiting._receive(2.5) == "answer"
    assert waiting._channel.asked == [1.0, 1.0, 0.5]
    waiting._channel = _Channel(3)
    with pytest.raises(_Channel.TimeoutError):
        waiting._receive(2.5)


def _other(cores: str, locks: Path) -> subprocess.Popen[str]:
    """Another process that holds the locks of `cores`."""
    code = f"""
import sys
from bench.workers.core_locks import held
with held([{cores}], "other"):
    print("held", flush=True)
    sys.stdin.readline()
"""
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    return child


@pytest.fixture
def other(locks: Path) -> Iterator[subprocess.Popen[str]]:
    with _other("1, 2", locks) as child:
        yield child
        child.kill()


def test_cores_of_another_run_are_refused(other: subprocess.Popen[str]) -> None:
    with (
        pytest.raises(CoresInUseError, match=rf"core 2 .* run other \(process {other.pid}\)"),
        held([0, 2], "mine"),
    ):
        pytest.fail("both hold core 2")
    with held([0, 3], "mine"):
        pass


def test_a_run_waits_until_the_other_has_ended(other: subprocess.Popen[str]) -> None:
    waited: list[str] = []

    def wait(holder: str) -> None:
        waited.append(holder)
        other.kill()  # the kernel releases what it held

    with held([0, 1, 2], "mine", wait):
        assert waited == [f"core 1 is in use by the timed run other (process {other.pid})"]


def test_a_link_in_place_of_a_lock_is_refused(locks: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("kept")
    locks.mkdir()
    (locks / "core-0").symlink_to(tmp_path / "mine")
    with pytest.raises(OSError, match="levels of symbolic links") as error, held([0], "run"):
        pass
    assert "is a link" in core_locks.cannot_be_used(error.value)
    assert (tmp_path / "mine").read_text() == "kept"


def test_a_link_in_place_of_the_folder_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    monkeypatch.delenv(core_locks.FOLDER)
    monkeypatch.setattr(core_locks, "DEFAULT_FOLDER", str(tmp_path / "link"))
    with pytest.raises(OSError, match="symbolic links"), held([0], "run"):
        pass
    assert not list((tmp_path / "mine").iterdir())


def test_the_common_folder_is_for_all_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(core_locks.FOLDER)
    monkeypatch.setattr(core_locks, "DEFAULT_FOLDER", str(tmp_path / "common"))
    with held([0], "run"):
        assert (tmp_path / "common").stat().st_mode & 0o7777 == 0o1777
        assert (tmp_path / "common" / "core-0").stat().st_mode & 0o777 == 0o666


def test_what_another_has_written_into_a_lock_is_no_terminal_escape(
    other: subprocess.Popen[str], locks: Path
) -> None:
    (locks / "core-1").write_bytes(b"\x1b[2Jevil\n\xff" + b"x" * 10_000)
    with pytest.raises(CoresInUseError) as error, held([1], "mine"):
        pass
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 300

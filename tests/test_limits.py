"""Limits of time and memory, and variants that are left out after several crashes."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import pytest
from record_samples import measurement, rounds, stopped

from bench import signals
from bench.config import limits
from bench.config.limits import Limits
from bench.measurement.crashes import MOST, Crashes
from bench.measurement.resume import Resumed
from bench.workers import memory_limit
from bench.workers.memory_limit import CGROUP, RESIDENT, MemoryLimit, SystemKills
from bench.workers.time_limits import RunTimeUpError, TimeLimits


@pytest.mark.parametrize(
    ("text", "count"), [("500M", 500 * 2**20), ("4G", 2**32), ("1.5g", 3 * 2**29), ("2GiB", 2**31)]
)
def test_a_size_is_read(text: str, count: int) -> None:
    assert limits.size("max-memory", text) == count


@pytest.mark.parametrize("text", ["", "4", "G", "0G", "1K", "-1G", "4X", "1e3G", "٤G", "9" * 400])
def test_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"--max-memory .*expected a size of at least 1M"):
        limits.size("max-memory", text)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(signals, "awake_seconds", lambda: now[0])
    return now


def _times(**seconds: float) -> TimeLimits:
    made = TimeLimits(Limits(answer_seconds=10.0, **seconds), 100.0)
    made.begin_run()
    return made


def test_an_answer_gets_what_the_workload_and_the_run_have_left(clock: list[float]) -> None:
    times = _times(workload_seconds=8.0, run_seconds=20.0)
    clock[0] += 15.0  # for a run on the same cores, and to start the workers
    times.begin_run()
    clock[0] += 10.0
    assert times.of_answer(5.0) == (5.0, "")
    times.begin_run()
    times.begin_workload()
    assert times.of_answer(5.0) == (5.0, "")
    clock[0] += 6.0
    assert times.of_answer(5.0) == (2.0, "8 s of its workload")
    clock[0] += 3.0
    assert times.of_answer(5.0)[0] == -1.0
    times.begin_workload()
    assert times.of_answer(5.0) == (5.0, "")
    clock[0] += 7.0
    assert times.of_answer(5.0) == (1.0, "8 s of its workload")
    clock[0] += 4.0
    with pytest.raises(RunTimeUpError, match=r"the 20 s of the run are used up \(--run-timeout\)"):
        times.of_answer(5.0)
    with pytest.raises(RunTimeUpError):
        times.begin_workload()


def test_without_limits_an_answer_has_its_own_alone(clock: list[float]) -> None:
    times = _times()
    clock[0] += 1e9
    assert times.of_answer(5.0) == (5.0, "")
    assert math.isinf(times.limits.run_seconds)


EATS = "x = bytearray(300 * 2**20); print('full', flush=True); input()"


@pytest.fixture
def eating() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", EATS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        yield child
        child.kill()


def test_where_there_is_no_cgroup_the_resident_set_is_looked_at(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, eating: subprocess.Popen[str]
) -> None:
    monkeypatch.setattr(memory_limit, "_GROUPS", tmp_path / "nothing")
    limit = MemoryLimit(200 * 2**20, eating.pid)
    assert limit.how == RESIDENT
    assert eating.stdout is not None
    assert eating.stdout.readline() == "full\n"
    process = psutil.Process(eating.pid)
    reason = limit.excess([process])
    assert reason is not None
    assert "GiB resident, of at most 0.20 GiB (--max-memory)" in reason
    assert MemoryLimit(2**40, eating.pid).excess([process]) is None
    eating.kill()
    eating.wait()
    assert limit.excess([process]) is None  # it has ended
    limit.close()


def test_a_cgroup_is_made_and_removed_where_it_can_be(eating: subprocess.Popen[str]) -> None:
    limit = MemoryLimit(2**40, eating.pid)
    if limit.how != CGROUP:
        pytest.skip("this user cannot make a cgroup here")
    assert limit._group is not None
    assert str(eating.pid) in (limit._group / "cgroup.procs").read_text().split()
    assert not limit.killed()
    eating.kill()
    eating.wait()
    # As a run leaves it that was killed: the next one removes it.
    with subprocess.Popen([sys.executable, "-c", EATS], stdin=subprocess.PIPE) as other:
        again = MemoryLimit(2**40, other.pid)
        other.kill()
    again.close()
    assert not limit._group.exists()
    limit.close()


def test_a_group_that_cannot_take_the_process_is_no_limit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "memory").mkdir()
    (tmp_path / "own").write_text("4:memory:/\n0::/\n")
    monkeypatch.setattr(memory_limit, "_GROUPS", tmp_path)
    monkeypatch.setattr(memory_limit, "_OF_PROCESS", tmp_path / "own")
    monkeypatch.setattr(Path, "write_text", _refuse)
    assert MemoryLimit(2**30, 1).how == RESIDENT
    assert [path.name for path in tmp_path.rglob("rnnbench-*")] == []


def _refuse(*_: object) -> int:
    raise PermissionError(13, "Permission denied")


def test_kills_of_the_system_are_noticed_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "vmstat").write_text("nr_free_pages 1\noom_kill 3\n")
    monkeypatch.setattr(memory_limit, "_VMSTAT", tmp_path / "vmstat")
    kills = SystemKills()
    assert not kills.rose()
    (tmp_path / "vmstat").write_text("nr_free_pages 1\noom_kill 4\n")
    assert kills.rose()
    assert not kills.rose()
    monkeypatch.setattr(memory_limit, "_VMSTAT", tmp_path / "nothing")
    assert not SystemKills().rose()


def test_a_variant_is_left_out_after_crashes_in_a_row() -> None:
    crashes = Crashes()
    crashed, slow = (
        stopped("torch", status, reason)
        for status, reason in (("crashed", "SIGSEGV in build"), ("timed out", "no answer"))
    )
    well = measurement("torch", rounds(1.0, 1.1))
    for found in (crashed, slow, well, crashed, slow):
        crashes.count(found)
        assert crashes.left_out("torch") is None
    crashes.count(msgspec.structs.replace(crashed, status="skipped"))  # changes nothing
    crashes.count(crashed)
    reason = crashes.left_out("torch")
    assert reason is not None
    assert reason.startswith(f"left out after {MOST} crashes in a row: ")
    assert reason.count("SIGSEGV in build") == 2
    assert reason.count("timed out: no answer") == 1
    assert crashes.left_out("jax") is None


def test_versions_of_a_run_that_is_resumed_must_be_the_same() -> None:
    resumed = Resumed(versions={"torch": {"torch": "2.9", "cuda": "13"}})
    resumed.expect_versions("torch", {"torch": "2.9", "cuda": "13"})
    resumed.expect_versions("jax", {"jax": "0.9"})  # not measured before
    with pytest.raises(
        ValueError, match=r"torch was measured with cuda 13, now absent; torch 2\.9, now 3\.0"
    ):
        resumed.expect_versions("torch", {"torch": "3.0"})

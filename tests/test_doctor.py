"""`rnnbench doctor`: each check finds what it is for, and says what to do about it."""

from __future__ import annotations

import importlib.machinery
import os
import sys
import types
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import msgspec
import psutil
import pytest
from asked import SAME_PROGRAM
from here import rnnbench
from record_samples import SELFTEST

from backends import registry
from bench.cli import doctor
from bench.doctor import examine, of_machine, of_setup, variables
from bench.doctor.finding import Finding, fine
from bench.records import cgroups, machine
from bench.selftest import store


@pytest.fixture(autouse=True)
def _cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four cores without siblings, quota or governor; nothing in the environment counts."""
    monkeypatch.setattr(machine, "available_cores", lambda: [0, 1, 2, 3])
    monkeypatch.setattr(machine, "smt_siblings", lambda core: [core])
    monkeypatch.setattr(cgroups, "quota", lambda: None)
    monkeypatch.setattr(machine, "pinning", lambda: False)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    for name in os.environ:
        if variables.effect(name) or name in of_setup.environment.THREAD_VARIABLES:
            monkeypatch.delenv(name)


def _busy(monkeypatch: pytest.MonkeyPatch, cores: float, steal: float = 0.0) -> Finding:
    """The finding where `python` takes 0.9 of these cores."""
    looks = iter([{(7, "python"): 10.0}, {(7, "python"): 10.9, (8, "idle"): 3.0}])
    stolen = iter([5.0, 5.0 + steal])
    monkeypatch.setattr(machine, "cores_busy", lambda seconds: cores)
    monkeypatch.setattr(of_machine, "_busy_by_process", lambda: next(looks))
    monkeypatch.setattr(of_machine, "_stolen_seconds", lambda: next(stolen))
    return of_machine.background_load()


def test_a_busy_machine_is_found_with_what_keeps_it_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _busy(monkeypatch, 0.1).state == "fine"
    found = _busy(monkeypatch, 1.5)
    assert (found.state, "1.50 of" in found.found) == ("spoils", True)
    assert "(python 0.90)" in found.found
    assert "other guests of this host took 0.60" in _busy(monkeypatch, 1.5, 0.6).found


def test_the_processes_of_this_machine_are_counted() -> None:
    found = of_machine._busy_by_process()
    assert len(found) >= 1
    assert all(seconds >= 0 for seconds in found.values())
    assert os.getpid() not in {number for number, _ in found}


def test_a_machine_that_does_not_count_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: float) -> float:
        raise OSError("the CPU time counters of this system do not advance")

    monkeypatch.setattr(machine, "cores_busy", fail)
    found = of_machine.background_load()
    assert (found.state, found.found) == (
        "note",
        "unknown: the CPU time counters of this system do not advance",
    )


@pytest.mark.parametrize(
    ("quota", "state"), [(None, "fine"), (4.0, "fine"), (2.5, "note"), (0.5, "spoils")]
)
def test_a_quota_is_found(monkeypatch: pytest.MonkeyPatch, quota: float | None, state: str) -> None:
    monkeypatch.setattr(cgroups, "quota", lambda: quota)
    found = of_machine.cores()
    assert found.state == state
    assert ("a quota of" in found.found) == (state != "fine")


def test_hardware_threads_of_one_core_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert of_machine.hardware_threads() is None
    monkeypatch.setattr(machine, "smt_siblings", lambda core: [core // 2 * 2, core // 2 * 2 + 1])
    found = of_machine.hardware_threads()
    assert found is not None
    assert found.found == "4 cores to use are 2 physical ones"
    assert "--threads=2" in found.do


@pytest.mark.parametrize(
    ("governor", "state"),
    [("", "fine"), ("performance", "fine"), ("powersave", "spoils"),
     ("performance, schedutil", "spoils")],
)  # fmt: skip
def test_a_clock_that_follows_the_load_is_found(
    monkeypatch: pytest.MonkeyPatch, governor: str, state: str
) -> None:
    parts = msgspec.structs.replace(SELFTEST.machine, governor=governor)
    monkeypatch.setattr(machine, "describe", lambda: parts)
    found = of_machine.governor()
    assert found.state == state
    assert ("cpupower" in found.do) == (state == "spoils")


Battery = namedtuple("Battery", "percent secsleft power_plugged")


@pytest.mark.parametrize(
    ("battery", "state"),
    [(None, None), (Battery(50, 1, True), "fine"), (Battery(50, 1, False), "spoils")],
)
def test_a_laptop_on_battery_is_found(
    monkeypatch: pytest.MonkeyPatch, battery: Battery | None, state: str | None
) -> None:
    monkeypatch.setattr(psutil, "sensors_battery", lambda: battery, raising=False)
    found = of_machine.power()
    assert (found.state if found else None) == state


@pytest.mark.parametrize(("free", "state"), [(2**33, "fine"), (2**30, "spoils")])
def test_little_memory_is_found(monkeypatch: pytest.MonkeyPatch, free: int, state: str) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=free))
    assert of_machine.memory().state == state


@pytest.mark.parametrize(("step", "state"), [(1e-7, "fine"), (1e-5, "spoils")])
def test_a_slow_clock_is_found(monkeypatch: pytest.MonkeyPatch, step: float, state: str) -> None:
    now = iter(range(10**6))
    monkeypatch.setattr(of_machine, "time", SimpleNamespace(perf_counter=lambda: step * next(now)))
    assert of_machine.timer().state == state


def test_a_debugger_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "gettrace", lambda: None)
    assert of_machine.python_build() is None
    monkeypatch.setattr(sys, "gettrace", lambda: print)
    found = of_machine.python_build()
    assert found is not None
    assert found.state == "spoils"


def _nvml(processes: list[int], reasons: int) -> types.ModuleType:
    """A driver of one GPU."""
    module = types.ModuleType("pynvml")
    module.__spec__ = importlib.machinery.ModuleSpec("pynvml", None)
    members: dict[str, object] = {
        "NVMLError": type("NVMLError", (Exception,), {}),
        "NVML_CLOCK_SM": 1,
        "NVML_TEMPERATURE_GPU": 0,
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlDeviceGetCount": lambda: 1,
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "nvmlDeviceGetComputeRunningProcesses": lambda handle: processes,
        "nvmlDeviceGetCurrentClocksThrottleReasons": lambda handle: reasons,
        "nvmlDeviceGetClockInfo": lambda handle, kind: 1000,
        "nvmlDeviceGetTemperature": lambda handle, kind: 40,
    }
    vars(module).update(members)
    return module


@pytest.mark.parametrize(
    ("processes", "reasons", "words"),
    [([], 0, "1 that nobody uses"), ([7, 8], 0, "2 on GPU 0"), ([], 0x40, "hardware thermal")],
)
def test_a_gpu_that_others_use_is_found(
    monkeypatch: pytest.MonkeyPatch, processes: list[int], reasons: int, words: str
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", _nvml(processes, reasons))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    found = of_machine.gpu()
    assert found is not None
    assert words in found.found
    assert found.state == ("spoils" if processes or reasons else "fine")


def test_variables_that_change_numbers_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [found.state for found in of_setup.variables()] == ["fine"]
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    monkeypatch.setenv("JAX_DEBUG_NANS", "1")
    monkeypatch.setenv("XLA_FLAGS", "")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    found = {one.about: one for one in of_setup.variables()}
    assert [*found] == ["JAX_DEBUG_NANS", "NVIDIA_TF32_OVERRIDE", "threads"]
    assert found["NVIDIA_TF32_OVERRIDE"].do == "`unset NVIDIA_TF32_OVERRIDE`"
    assert "set to '0': turns TF32" in found["NVIDIA_TF32_OVERRIDE"].found
    assert found["threads"].state == "note"
    assert "OMP_NUM_THREADS=3" in found["threads"].found


def test_what_a_run_itself_sets_is_no_finding() -> None:
    """The libraries that rnnbench imports set variables too."""
    for entry in registry.BUILT_IN:
        asked = registry.ask(entry.name, "environment", threads=2, device="cpu", dtype="float32")
        named = {name for name in asked if variables.effect(name)}
        if entry.name in SAME_PROGRAM:  # its environment is all that it is
            assert all(name.startswith("MALLOC_") for name in named)
            continue
        assert named <= {"JAX_ENABLE_X64"}, entry.name
    assert variables.effect("KMP_DUPLICATE_LIB_OK") is None  # by threadpoolctl


def test_missing_frameworks_are_notes_with_their_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(entry: registry.Entry) -> str | None:
        gone = "jax" in entry.modules
        return f"{entry.name} needs jax: pip install -e .[jax]" if gone else None

    monkeypatch.setattr(registry, "missing", missing)
    found = [*of_setup.frameworks()]
    notes = [one for one in found if one.state == "note"]
    assert {name for one in notes for name in one.about.split(", ")} == {"keras-jax", "jax", "flax"}
    assert all("pip install" in one.found for one in notes)
    assert found[0].state == "fine"
    assert "numpy" in found[0].found


@pytest.mark.parametrize(("disturbed", "state"), [(None, "note"), (0.01, "fine"), (0.9, "note")])
def test_a_missing_selftest_is_found(
    monkeypatch: pytest.MonkeyPatch, disturbed: float | None, state: str
) -> None:
    made = disturbed is not None
    kept = msgspec.structs.replace(SELFTEST, disturbed=disturbed) if made else None
    monkeypatch.setattr(store, "load", lambda: kept)
    found = of_setup.selftest()
    assert found.state == state
    assert ("rnnbench selftest" in found.do) == (state == "note")


def test_a_folder_that_cannot_be_written_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert of_setup.folder(tmp_path / "not" / "there").state == "fine"
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert of_setup.folder(tmp_path).state == "spoils"


def test_whatever_is_found_says_what_to_do(tmp_path: Path) -> None:
    found = [*examine.examine(tmp_path)]
    assert len(found) >= 8
    assert all(bool(one.do) == (one.state != "fine") for one in found)


def _exit(monkeypatch: pytest.MonkeyPatch, found: list[Finding]) -> tuple[int, str]:
    def examined(reports: Path) -> list[Finding]:
        assert reports.name == "reports"
        return found

    monkeypatch.setattr(doctor, "examine", examined)
    return rnnbench("doctor")


def test_the_exit_status_tells_whether_something_spoils(monkeypatch: pytest.MonkeyPatch) -> None:
    good, note = fine("memory", "9 GiB free"), Finding("selftest", "note", "none", "Make one.")
    bad = Finding("governor", "spoils", "powersave", "Change it.")
    code, output = _exit(monkeypatch, [good, note])
    assert (code, output.splitlines()[-1]) == (0, "Nothing here would spoil a measurement; 1 note.")
    code, output = _exit(monkeypatch, [good, note, bad])
    assert code == 1
    assert output.splitlines() == [
        "✗ governor: powersave",
        "    Change it.",
        "! selftest: none",
        "    Make one.",
        "✓ memory: 9 GiB free",
        "1 thing here would spoil a measurement; 1 note.",
    ]


@pytest.mark.parametrize("width", [60, 80, 200])
def test_no_line_is_wider_than_the_terminal(
    monkeypatch: pytest.MonkeyPatch, width: int, tmp_path: Path
) -> None:
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
    found = [*examine.examine(Path("reports"))]
    assert max(map(len, doctor.lines(found, width))) <= width

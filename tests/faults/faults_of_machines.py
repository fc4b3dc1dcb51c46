"""Odd machines, by faked trees of /proc and /sys, and what libraries raise there."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import psutil
from kit import Fault, Happened

from backends.plugins import process
from bench.measurement import machine_state
from bench.records import cgroups, machine, processor

ARM = """\
processor\t: 0
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x3
CPU part\t: {part}
CPU revision\t: 1

"""


def _told(condition: bool, output: str = "") -> Happened:
    return Happened(None, output).also(condition, "what the machine is")


def _frequency(error: type[Exception], folder: Path) -> Happened:
    with (
        mock.patch.object(machine, "_CPUS", folder),
        mock.patch.object(psutil, "cpu_freq", side_effect=error("no")),
    ):
        found = machine_state.clocks("cpu")
    return _told(found.mhz is None)


def _wait(folder: Path) -> Happened:
    """EINVAL once, and then the status; and EINVAL for ever of a process that is gone."""
    made = object.__new__(process.PythonProcess)
    wait = mock.Mock(side_effect=[OSError(22, "Invalid argument"), -9])
    alive: dict[str, Any] = {"is_running": lambda: True, "status": lambda: "running"}
    made.process = SimpleNamespace(wait=wait, **alive)
    assert made._wait() == -9
    wait.side_effect = OSError(22, "Invalid argument")
    made.process.is_running = lambda: False
    return _told(made._wait() is None)


def _quota(files: dict[str, str], own: str, expected: float, folder: Path) -> Happened:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    (folder / "own").write_text(own)
    assert cgroups.quota(folder, folder / "own") == expected
    with mock.patch.object(cgroups, "quota", return_value=expected):
        return _told(len(machine.available_cores()) <= max(1, int(expected)))


def _pauses(folder: Path) -> Happened:
    """A quota pauses the container in the middle of a block."""
    (folder / "own").write_text("0::/\n")
    stat = folder / "cpu.stat"
    stat.write_text("nr_periods 5\nnr_throttled 1\n")
    pauses = functools.partial(cgroups.pauses, folder, folder / "own")
    with mock.patch.object(cgroups, "pauses", pauses):
        watch = machine_state.Watch(limited=True)
        watch.begin()
        assert not watch.paused()
        stat.write_text("nr_periods 6\nnr_throttled 2\n")
        return _told(watch.paused())


def _renumbered(folder: Path) -> Happened:
    (folder / "stat").write_text("cpu0 9 0 9 9 0 0 0 0 0 0\ncpu1 9 0 9 9 0 0 0 0 0 0\n")
    (folder / "online").write_text("0-63\n")
    with (
        mock.patch.object(machine, "_STAT", folder / "stat"),
        mock.patch.object(machine, "_CPUS", folder),
    ):
        watch = machine_state.Watch([1])
        watch.begin()
        return _told(watch.others(0.0)[0] is None)  # the report calls it unknown


def _arm(folder: Path) -> Happened:
    names = []
    for part in ("0xd0c", "0xd40"):
        (folder / "cpuinfo").write_text(ARM.format(part=part))
        with mock.patch.object(processor, "_INFO", folder / "cpuinfo"):
            names.append(processor.name())
    return _told(len(set(names)) == 2, " / ".join(names))


def _hybrid(folder: Path) -> Happened:
    cores = sorted(os.sched_getaffinity(0))
    for core in cores:
        (folder / f"cpu{core}").mkdir()
        capacity = 1024 if core == cores[0] else 450
        (folder / f"cpu{core}" / "cpu_capacity").write_text(f"{capacity}\n")
    with (
        mock.patch.object(processor, "_CPUS", folder),
        mock.patch.object(cgroups, "quota", return_value=None),
    ):
        found = machine.describe()
        return _told((found.cores, found.slow_cores) == (1, len(cores) - 1))


def _fault(name: str, what: str, says: str, do: Callable[[Path], Happened]) -> Fault:
    return Fault(name, what, "faked /proc and /sys", None, says, do)


NESTED_2 = {"a/cpu.max": "150000 100000\n", "a/b/cpu.max": "max 100000\n"}
NESTED_1 = {
    "cpu/a/cpu.cfs_quota_us": "250000\n",
    "cpu/a/cpu.cfs_period_us": "100000\n",
    "cpu/a/b/cpu.cfs_quota_us": "-1\n",
    "cpu/a/b/cpu.cfs_period_us": "100000\n",
}
FAULTS = [
    *(
        _fault(
            f"frequency-{error.__name__}",
            f"psutil.cpu_freq raises {error.__name__}",
            "",
            functools.partial(_frequency, error),
        )
        for error in (SystemError, RuntimeError, NotImplementedError)
    ),
    _fault("wait-einval", "Waiting for a process just killed raises EINVAL", "", _wait),
    _fault("quota-2", "A CPU quota of a group around that of the process (version 2)", "",
           functools.partial(_quota, NESTED_2, "0::/a/b\n", 1.5)),
    _fault("quota-1", "The same (version 1)", "",
           functools.partial(_quota, NESTED_1, "3:cpu,cpuacct:/a/b\n", 2.5)),
    _fault("quota-half", "A CPU quota of half a core", "",
           functools.partial(_quota, {"cpu.max": "50000 100000\n"}, "0::/\n", 0.5)),
    _fault("pauses", "A CPU quota pauses the process in a block", "", _pauses),
    _fault("renumbered", "A container numbers its cores anew in /proc/stat", "", _renumbered),
    _fault("arm", "Two ARM processors without a model name",
           "Arm Neoverse-N1 (0x41, 0xd0c) / Arm Neoverse-V1 (0x41, 0xd40)", _arm),
    _fault("hybrid", "A machine with fast and slow cores", "", _hybrid),
]  # fmt: skip

"""Describes this machine and its load, for the record of a run.

The description names its parts, never a host name, user or path.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import platform
import re
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import psutil

from bench.records import cgroups, processor, schema

_STAT = Path("/proc/stat")
_CPUS = Path("/sys/devices/system/cpu")
_IDLE = ("idle", "iowait")
_COUNTED_TWICE = ("guest", "guest_nice")  # Linux includes these in user and nice


def describe(cores: Sequence[int] | None = None) -> schema.Machine:
    """The parts of this machine; `cores` are those of the run, by default all available ones."""
    used = available_cores() if cores is None else cores
    return schema.Machine(
        cpu=processor.name(),
        cores=len(used),
        slow_cores=len(all_cores()) - len(available_cores()),
        quota_cores=cgroups.quota(),
        memory_bytes=psutil.virtual_memory().total,
        gpus=_gpus(),
        system=_system(),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        pinning=pinning(),
        governor=", ".join(sorted({found for core in used if (found := _governor(core))})),
    )


def _governor(core: int) -> str:
    """The frequency governor of a core: "performance", "powersave"; empty if unknown."""
    file = _CPUS / f"cpu{core}/cpufreq/scaling_governor"
    try:
        return file.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def clock_mhz(cores: Sequence[int]) -> float | None:
    """Mean frequency of these cores, as the system last knew it; None if unknown."""
    try:
        found = [
            int((_CPUS / f"cpu{core}/cpufreq/scaling_cur_freq").read_text(encoding="ascii"))
            for core in cores
        ]
    except (OSError, ValueError):
        return _mean_mhz()
    return sum(found) / len(found) / 1000


def _mean_mhz() -> float | None:
    """Mean frequency of all cores, by psutil; None if unknown."""
    try:
        found = psutil.cpu_freq()
        return float(found.current) if found is not None and found.current else None
    except Exception:
        # Where a system does not report it, psutil raises whatever it meets: NotImplementedError,
        # FileNotFoundError, SystemError on new Macs (psutil#2841), RuntimeError (psutil#2382).
        return None


def available_cores() -> list[int]:
    """Numbers of the cores that a run uses unless it asks for more threads: those of one speed.

    Fast and slow cores together would wait for the slow ones. With more threads than its CPU quota
    allows, a container is paused in the middle of a step.
    """
    found = all_cores()
    return found[: len(processor.fast(found))]


def all_cores() -> list[int]:
    """Numbers of the cores that this process may use, limited by the CPU quota of its container.

    The fast cores come first. Of these, one hardware thread of each physical core comes before the
    SMT siblings, so the first N share as little as possible.
    """
    allowed = sorted(os.sched_getaffinity(0) if pinning() else range(os.cpu_count() or 1))
    fast = set(processor.fast(allowed))

    def place(core: int) -> tuple[bool, int, int]:
        return core not in fast, smt_siblings(core).index(core), core

    cores, quota = sorted(allowed, key=place), cgroups.quota()
    return cores if quota is None else cores[: max(1, int(quota))]


def smt_siblings(core: int) -> list[int]:
    """The hardware threads of the physical core that `core` belongs to, including `core`."""
    file = _CPUS / f"cpu{core}/topology/thread_siblings_list"
    try:
        text = file.read_text(encoding="ascii")
    except OSError:
        return [core]  # this system does not report it
    found = processor.numbers(text)
    return found if core in found else [core]


def pinning() -> bool:
    """Whether this system can bind a process to cores."""
    return hasattr(os, "sched_setaffinity")


def cores_to_pin() -> list[int] | None:
    """The cores to bind workers to; None if this system cannot do it."""
    return all_cores() if pinning() else None


def busy_seconds(cores: Sequence[int] | None = None) -> float:
    """Busy CPU time of `cores`, by default all, since the machine started.

    It includes time stolen by other virtual machines. Raises OSError if the system does not count
    CPU time, or not for these cores.
    """
    if cores is None:
        return _busy(psutil.cpu_times())
    every = _busy_by_core()
    if unknown := sorted(set(cores) - every.keys()):
        raise OSError(f"the system does not count the CPU time of core {unknown[0]}")
    return sum(every[core] for core in cores)


def _busy_by_core() -> dict[int, float]:
    """Busy seconds by core number. psutil omits the numbers, and cores can be offline."""
    if not _STAT.exists():
        return dict(enumerate(map(_busy, psutil.cpu_times(percpu=True))))
    tick = os.sysconf("SC_CLK_TCK")
    found = {}
    for line in _STAT.read_text(encoding="ascii").splitlines():
        if core := re.match(r"cpu(\d+)\s", line):
            # user, nice, system, idle, iowait, irq, softirq, steal; user and nice include guests
            ticks = [int(word) for word in line.split()[1:9]]
            found[int(core[1])] = (sum(ticks) - sum(ticks[3:5])) / tick
    _expect_numbers(found)
    return found


def _expect_numbers(found: Collection[int]) -> None:
    """Raise OSError where a container numbers its cores anew: each would be taken for another."""
    try:
        online = processor.numbers((_CPUS / "online").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return  # nothing to compare with
    if set(online) != set(found):
        raise OSError("the cores of /proc/stat are not numbered as those of the system")


def _busy(times: Any) -> float:
    idle = (*_IDLE, *_COUNTED_TWICE)
    return sum(getattr(times, name) for name in times._fields if name not in idle)


def cores_busy(seconds: float) -> float:
    """The background load of the whole machine over the next `seconds`, in cores.

    This process sleeps meanwhile, and the CPU time of its own threads is subtracted. Raises OSError
    if the system does not count CPU time.
    """
    if seconds <= 0:
        raise ValueError(f"seconds is {seconds!r}; expected a time above 0")
    before, own_before, started = psutil.cpu_times(), time.process_time(), time.perf_counter()
    time.sleep(seconds)
    after, own, passed = psutil.cpu_times(), time.process_time(), time.perf_counter() - started
    if after == before and seconds >= 0.1:  # counters tick every 10 ms
        raise OSError("the CPU time counters of this system do not advance")
    return max(0.0, _busy(after) - _busy(before) - (own - own_before)) / passed


def _system() -> str:
    """ "Linux 6.1, x86_64": not the kernel's full release, which can contain personal names."""
    name, release = platform.system(), platform.release()
    if name == "Darwin":
        name, release = "macOS", platform.mac_ver()[0]
    version = re.match(r"\d+(\.\d+)?", release)
    return f"{name} {version[0] if version else '(unknown version)'}, {platform.machine()}"


def _gpus() -> tuple[str, ...]:
    """Name, memory and driver of every NVIDIA GPU; empty without a driver or nvidia-ml-py."""
    if importlib.util.find_spec("pynvml") is None:
        return ()
    pynvml = importlib.import_module("pynvml")
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()  # no such GPU, or a driver that does not answer
    try:
        driver = pynvml.nvmlSystemGetDriverVersion()
        handles = map(pynvml.nvmlDeviceGetHandleByIndex, range(pynvml.nvmlDeviceGetCount()))
        return tuple(
            f"{pynvml.nvmlDeviceGetName(gpu)}, {_gpu_memory(pynvml, gpu)}, driver {driver}"
            for gpu in handles
        )
    finally:
        pynvml.nvmlShutdown()


def _gpu_memory(pynvml: Any, gpu: Any) -> str:
    try:
        return f"{pynvml.nvmlDeviceGetMemoryInfo(gpu).total / 2**30:.0f} GiB"
    except pynvml.NVMLError:
        return "memory unknown"  # a GPU that shares the memory of its processor has none to report

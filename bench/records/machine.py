"""What this machine is, and how busy it is: for the record of a run.

A machine is named by its parts, never by host name, user or path.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import platform
import re
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from bench.records import schema

_STAT = Path("/proc/stat")
_CPUS = Path("/sys/devices/system/cpu")
_IDLE = ("idle", "iowait")
_COUNTED_TWICE = ("guest", "guest_nice")  # Linux counts these within user and nice too


def describe(cores: Sequence[int] | None = None) -> schema.Machine:
    """The parts of this machine; `cores` are those the run may use, else all it is allowed."""
    used = available_cores() if cores is None else cores
    return schema.Machine(
        cpu=_cpu(),
        cores=len(used),
        memory_bytes=psutil.virtual_memory().total,
        gpus=_gpus(),
        system=_system(),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        pinning=pinning(),
        governor=", ".join(sorted({found for core in used if (found := _governor(core))})),
    )


def _governor(core: int) -> str:
    """Who sets the frequency of a core: "performance", "powersave"; empty if nobody tells."""
    file = _CPUS / f"cpu{core}/cpufreq/scaling_governor"
    try:
        return file.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def clock_mhz(cores: Sequence[int]) -> float | None:
    """Mean frequency of these cores, as the system last knew it; None where it does not tell."""
    try:
        found = [
            int((_CPUS / f"cpu{core}/cpufreq/scaling_cur_freq").read_text(encoding="ascii"))
            for core in cores
        ]
    except (OSError, ValueError):
        return _mean_mhz()
    return sum(found) / len(found) / 1000


def _mean_mhz() -> float | None:
    """Of all cores, by the other ways that a system may have."""
    try:
        found = psutil.cpu_freq()
    except (NotImplementedError, FileNotFoundError, AttributeError):
        return None  # a virtual machine or a system that does not tell
    return float(found.current) if found is not None and found.current else None


def available_cores() -> list[int]:
    """Numbers of the cores that this process may use, and no more than it has time for.

    First one of each core's hardware threads, then their SMT siblings: the first N of them share
    as little as N can. A container may be given the CPU time of fewer cores than it sees (a quota);
    threads on more of them are held up in the midst of a step.
    """
    allowed = os.sched_getaffinity(0) if pinning() else range(os.cpu_count() or 1)
    cores = sorted(allowed, key=lambda core: (_smt_siblings(core).index(core), core))
    quota = _quota()
    return cores if quota is None else cores[: max(1, int(quota))]


def _smt_siblings(core: int) -> list[int]:
    """The hardware threads of the physical core that `core` is one of, itself among them."""
    file = _CPUS / f"cpu{core}/topology/thread_siblings_list"
    try:
        text = file.read_text(encoding="ascii")
    except OSError:
        return [core]  # a system that does not tell
    ends = ([int(end) for end in part.split("-")] for part in text.strip().split(","))
    found = [one for end in ends for one in range(end[0], end[-1] + 1)]
    return found if core in found else [core]


def _quota(groups: Path = Path("/sys/fs/cgroup")) -> float | None:
    """Cores' worth of CPU time that this container is given; None without a limit."""
    try:
        limit, period = (groups / "cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        try:  # cgroups of version 1
            limit = (groups / "cpu/cpu.cfs_quota_us").read_text(encoding="ascii")
            period = (groups / "cpu/cpu.cfs_period_us").read_text(encoding="ascii")
        except OSError:
            return None
    return int(limit) / int(period) if limit.strip().isdecimal() else None


def pinning() -> bool:
    """Can a process be bound to cores on this system."""
    return hasattr(os, "sched_setaffinity")


def cores_to_pin() -> list[int] | None:
    """The cores that workers are bound to; None on a system where they cannot be."""
    return available_cores() if pinning() else None


def busy_seconds(cores: Sequence[int] | None = None) -> float:
    """CPU time that `cores`, or all of them, have spent on anything since the machine started.

    Time stolen by other virtual machines counts. Raises OSError where the system does not count,
    or not for these cores.
    """
    if cores is None:
        return _busy(psutil.cpu_times())
    every = _busy_by_core()
    if unknown := sorted(set(cores) - every.keys()):
        raise OSError(f"the system counts no CPU time of core {unknown[0]}")
    return sum(every[core] for core in cores)


def _busy_by_core() -> dict[int, float]:
    """By the number of the core. psutil leaves the numbers out, and a core may be offline."""
    if not _STAT.exists():
        return dict(enumerate(map(_busy, psutil.cpu_times(percpu=True))))
    tick = os.sysconf("SC_CLK_TCK")
    found = {}
    for line in _STAT.read_text(encoding="ascii").splitlines():
        if core := re.match(r"cpu(\d+)\s", line):
            # user, nice, system, idle, iowait, irq, softirq, steal; guests are in the first two
            ticks = [int(word) for word in line.split()[1:9]]
            found[int(core[1])] = (sum(ticks) - sum(ticks[3:5])) / tick
    return found


def _busy(times: Any) -> float:
    idle = (*_IDLE, *_COUNTED_TWICE)
    return sum(getattr(times, name) for name in times._fields if name not in idle)


def cores_busy(seconds: float) -> float:
    """Cores' worth of CPU time that others used on the whole machine in the next `seconds`.

    This process sleeps meanwhile; what its own threads use is taken off. Raises OSError where the
    system counts no CPU time at all.
    """
    if seconds <= 0:
        raise ValueError(f"seconds is {seconds!r}; expected a time above 0")
    before, own_before, started = psutil.cpu_times(), time.process_time(), time.perf_counter()
    time.sleep(seconds)
    after, own, passed = psutil.cpu_times(), time.process_time(), time.perf_counter() - started
    if after == before and seconds >= 0.1:  # counters tick every 10 ms
        raise OSError("the system's CPU time counters stand still; expected them to run")
    return max(0.0, _busy(after) - _busy(before) - (own - own_before)) / passed


def _cpu() -> str:
    if Path("/proc/cpuinfo").exists():
        info = Path("/proc/cpuinfo").read_text(errors="replace")
        if found := re.search(r"^(?:model name|Model|Hardware|cpu)\s*:\s*(.+)$", info, re.M):
            return found[1].strip()
    if platform.system() == "Darwin":
        name = subprocess.run(
            ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"],
            capture_output=True,
            text=True,
            check=True,
        )
        return name.stdout.strip()
    return platform.processor() or platform.machine()


def _system() -> str:
    """ "Linux 6.1, x86_64": a kernel's full release may carry names that people gave it."""
    name, release = platform.system(), platform.release()
    if name == "Darwin":
        name, release = "macOS", platform.mac_ver()[0]
    version = re.match(r"\d+(\.\d+)?", release)
    return f"{name} {version[0] if version else '(unknown version)'}, {platform.machine()}"


def _gpus() -> tuple[str, ...]:
    """Name, memory and driver of every NVIDIA GPU; none without a driver or nvidia-ml-py."""
    if importlib.util.find_spec("pynvml") is None:
        return ()
    pynvml = importlib.import_module("pynvml")
    try:
        pynvml.nvmlInit()
    except (pynvml.NVMLError_LibraryNotFound, pynvml.NVMLError_DriverNotLoaded):
        return ()  # a machine without such a GPU
    try:
        driver = pynvml.nvmlSystemGetDriverVersion()
        handles = map(pynvml.nvmlDeviceGetHandleByIndex, range(pynvml.nvmlDeviceGetCount()))
        return tuple(
            f"{pynvml.nvmlDeviceGetName(gpu)}, "
            f"{pynvml.nvmlDeviceGetMemoryInfo(gpu).total / 2**30:.0f} GiB, driver {driver}"
            for gpu in handles
        )
    finally:
        pynvml.nvmlShutdown()

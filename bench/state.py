"""The state a machine is in while something is measured: who else works, clocks, heat."""

from __future__ import annotations

import importlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import psutil

from bench import machine

# CPU time of others beyond this many cores' worth disturbs a block.
DISTURBING_CORES = 0.25
# What the system's counters may be off by over a block: two ticks of 10 ms.
TICKS_SECONDS = 0.020


@dataclass
class Watch:
    """CPU time that others use on `cores` between `begin` and `others`; None: on all cores.

    Other guests of the same host are others too (steal).
    """

    cores: Sequence[int] | None = None
    _busy: float = field(default=0.0, init=False)
    _own: float = field(default=0.0, init=False)
    _begin: float = field(default=0.0, init=False)

    def begin(self) -> None:
        self._busy, self._own = machine.busy_seconds(self.cores), time.process_time()
        self._begin = time.perf_counter()

    def others(self, worker_seconds: float) -> tuple[float, float]:
        """CPU seconds that were neither the worker's nor this process', and the seconds passed.

        `worker_seconds` of CPU time were the worker's own.
        """
        passed = time.perf_counter() - self._begin
        own = time.process_time() - self._own + worker_seconds
        return max(0.0, machine.busy_seconds(self.cores) - self._busy - own), passed


def disturbing(others_seconds: float, passed: float) -> bool:
    """Is that much CPU time of others too much for a block of `passed` seconds."""
    return others_seconds > DISTURBING_CORES * passed + TICKS_SECONDS


@dataclass(frozen=True)
class Clocks:
    """One look: None and empty where this system does not tell."""

    mhz: float | None = None
    gpu_celsius: float | None = None
    throttled: tuple[str, ...] = ()


def clocks(device: str) -> Clocks:
    """Of the processor for "cpu", of GPU N for "cuda:N"."""
    if device == "cpu":
        return Clocks(mhz=_cpu_mhz())
    return _gpu(int(device.partition(":")[2] or 0))


def _cpu_mhz() -> float | None:
    try:
        found = psutil.cpu_freq()
    except (NotImplementedError, FileNotFoundError, AttributeError):
        return None  # a virtual machine or a system that does not tell
    return float(found.current) if found is not None and found.current else None


def _gpu(index: int) -> Clocks:
    pynvml = importlib.import_module("pynvml")
    pynvml.nvmlInit()
    try:
        gpu = pynvml.nvmlDeviceGetHandleByIndex(index)
        reasons = pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(gpu)
        return Clocks(
            mhz=float(pynvml.nvmlDeviceGetClockInfo(gpu, pynvml.NVML_CLOCK_SM)),
            gpu_celsius=float(pynvml.nvmlDeviceGetTemperature(gpu, pynvml.NVML_TEMPERATURE_GPU)),
            throttled=tuple(name for bit, name in THROTTLES.items() if reasons & bit),
        )
    finally:
        pynvml.nvmlShutdown()


# Bits of NVML's clocks-event reasons that mean a GPU runs slower than it could.
THROTTLES = {
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x10: "sync boost",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "hardware power brake",
}

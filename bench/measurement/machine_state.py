"""The state of the machine during a measurement: background load, clocks, temperature."""

from __future__ import annotations

import importlib
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from bench.records import cgroups, machine

# More background load than this, in cores, disturbs a block.
DISTURBING_CORES = 0.25
# Error of the system's counters over a block on two cores: two ticks of 10 ms. The errors of the
# cores are independent, so it grows with the square root of their number.
TICKS_SECONDS = 0.020
TICKS_CORES = 2
STILL_SECONDS = 0.050  # own CPU time after which a working counter must have advanced


@dataclass
class Watch:
    """Measures the background load on `cores` (None: all) between `begin` and `others`.

    It includes other guests of the same host (steal).
    """

    cores: Sequence[int] | None = None
    limited: bool = field(default_factory=lambda: cgroups.quota() is not None)  # by a CPU quota
    _pauses: int = field(default=0, init=False)
    _busy: float | None = field(default=None, init=False)
    _own: float = field(default=0.0, init=False)
    _begin: float = field(default=0.0, init=False)

    def begin(self) -> None:
        self._pauses = cgroups.pauses() if self.limited else 0
        self._busy, self._own = self._count(), time.process_time()
        self._begin = time.perf_counter()

    def others(self, worker_seconds: float) -> tuple[float | None, float]:
        """CPU seconds of the background load, and the wall seconds since `begin`.

        `worker_seconds` is the CPU time of the worker. The load is None if the system does not
        count CPU time.
        """
        passed = time.perf_counter() - self._begin
        own = time.process_time() - self._own + worker_seconds
        after = self._count()
        if self._busy is None or after is None:
            return None, passed
        if after == self._busy and own > STILL_SECONDS:
            return None, passed  # the counters do not advance, as in some sandboxes
        return max(0.0, after - self._busy - own), passed

    def paused(self) -> bool:
        """Whether the CPU quota has paused this container since `begin`."""
        return self.limited and cgroups.pauses() > self._pauses

    def _count(self) -> float | None:
        try:
            return machine.busy_seconds(self.cores)
        except OSError:
            return None  # the report calls it unknown


def disturbing(others_seconds: float | None, passed: float, cores: int = TICKS_CORES) -> bool:
    """Whether so much background load disturbs a block of `passed` seconds on `cores`."""
    ticks = TICKS_SECONDS * max(1.0, math.sqrt(cores / TICKS_CORES))
    return others_seconds is not None and others_seconds > DISTURBING_CORES * passed + ticks


@dataclass(frozen=True)
class Clocks:
    """One reading; None or empty if unknown."""

    mhz: float | None = None
    gpu_celsius: float | None = None
    throttled: tuple[str, ...] = ()


def clocks(device: str, cores: Sequence[int] | None = None) -> Clocks:
    """A reading of `cores` (None: all available ones) for "cpu", or of GPU N for "cuda:N"."""
    if device == "cpu":
        used = machine.available_cores() if cores is None else cores
        return Clocks(mhz=machine.clock_mhz(used))
    return _gpu(int(device.partition(":")[2] or 0))


def _gpu(index: int) -> Clocks:
    """A reading of the GPU that frameworks call `index`; empty if NVML does not report it."""
    try:
        pynvml = importlib.import_module("pynvml")
    except ImportError:
        return Clocks()
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return Clocks()  # a container can have CUDA without the library that reports clocks
    try:
        gpu = _handle(pynvml, index)
        look = partial(_one_reading, pynvml.NVMLError, gpu)
        reasons = look(_throttle_reasons(pynvml)) or 0
        return Clocks(
            mhz=look(pynvml.nvmlDeviceGetClockInfo, pynvml.NVML_CLOCK_SM),
            gpu_celsius=look(pynvml.nvmlDeviceGetTemperature, pynvml.NVML_TEMPERATURE_GPU),
            throttled=tuple(name for bit, name in THROTTLES.items() if int(reasons) & bit),
        )
    except (pynvml.NVMLError, ValueError):
        return Clocks()
    finally:
        pynvml.nvmlShutdown()


def _throttle_reasons(pynvml: Any) -> Callable[..., float]:
    """By the name that every driver knows, or by the newer one once CUDA 14 has dropped that."""
    known = getattr(pynvml, "nvmlDeviceGetCurrentClocksThrottleReasons", None)
    found: Callable[..., float] = known or pynvml.nvmlDeviceGetCurrentClocksEventReasons
    return found


def _one_reading(
    error: type[Exception], gpu: Any, ask: Callable[..., float], *what: int
) -> float | None:
    """One reading of a GPU; None if this GPU does not have it."""
    try:
        return float(ask(gpu, *what))
    except error:
        return None


def _handle(pynvml: Any, index: int) -> Any:
    """NVML numbers all GPUs; a framework only those in CUDA_VISIBLE_DEVICES, in that order."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return pynvml.nvmlDeviceGetHandleByIndex(index)
    chosen = visible.split(",")[index].strip() if index < len(visible.split(",")) else ""
    if chosen.isdecimal():
        return pynvml.nvmlDeviceGetHandleByIndex(int(chosen))
    return pynvml.nvmlDeviceGetHandleByUUID(chosen)


# Bits of NVML's reasons for a clock below its maximum.
THROTTLES = {
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x10: "sync boost",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "hardware power brake",
}

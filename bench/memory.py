"""Peak memory of a build and its steps, in an interpreter that may have built others before.

Runs inside a backend's interpreter; needs the standard library alone. Resident memory is the
kernel's own count, from /proc: where there is none, nothing is told.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable


class MemoryCount:
    """Counts from each `begin` on; `counted_on_device` is the framework's own peak, in bytes."""

    def __init__(self, counted_on_device: Callable[[], int | None]) -> None:
        self._counted_on_device = counted_on_device
        self._imported: int | None = None
        self._builds = 0
        self._held: int | None = None
        self._device_peak_before: int | None = None

    def imported(self) -> None:
        """The framework is imported and nothing built: all counts are above this."""
        self._imported = _resident_bytes("VmRSS")

    def begin(self) -> None:
        """Before a build."""
        if self._builds:  # a device is not touched before the first build, which may be timed
            self._device_peak_before = self._counted_on_device()
        self._builds += 1
        _give_back()
        self._held = _resident_bytes("VmRSS")
        _forget_peak()

    def read(self) -> dict[str, int | None]:
        """Bytes since `begin`; None where they are not known.

        `peak_host_bytes` is the most that was resident, above the imports. `held_host_bytes` is
        what builds before this one had left resident when it began, also above the imports: it is
        part of the peak, and this build may or may not have used it again.
        """
        return {
            "peak_host_bytes": self._above_imports(_resident_bytes("VmHWM")),
            "held_host_bytes": 0 if self._builds == 1 else self._above_imports(self._held),
            "peak_device_bytes": self._peak_device_bytes(),
        }

    def _above_imports(self, resident: int | None) -> int | None:
        if resident is None or self._imported is None:
            return None
        return max(0, resident - self._imported)

    def _peak_device_bytes(self) -> int | None:
        # A framework that counts from its start on and cannot begin again tells nothing of a build
        # that needed no more than one before it: its count stays where it was.
        peak = self._counted_on_device()
        return peak if self._builds == 1 or peak != self._device_peak_before else None


def _resident_bytes(field: str) -> int | None:
    """VmRSS (now) or VmHWM (the peak) of this process; None where there is no /proc."""
    if sys.platform != "linux":
        return None
    with open("/proc/self/status") as status:
        found = next((line for line in status if line.startswith(f"{field}:")), None)
    return int(found.split()[1]) * 1024 if found is not None else None


def _forget_peak() -> None:
    """Let the kernel count the peak of resident memory from here on."""
    if sys.platform == "linux":
        with open("/proc/self/clear_refs", "w") as control:
            control.write("5")


def _give_back() -> None:
    """Memory that the C library keeps for later, back to the system, where it can (glibc)."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)

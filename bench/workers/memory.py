"""Peak memory of a model's steps, in a process that may have built other models before.

It runs inside a worker and needs only the standard library. Resident memory is the kernel's own
count in /proc; without /proc it is unknown.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class MemoryCount:
    """Counts one workload after another: `begin` before its build, `settle` before its steps."""

    def __init__(self) -> None:
        self._imported: int | None = None
        self._workloads = 0
        self._held: int | None = None
        self._settled = self._counted = False
        self._peak = 0  # until the count was last paused

    def imported(self) -> None:
        """Call after the imports, before any build: all counts are relative to this moment.

        Memory that the imports freed goes back to the system first. Returned later, it would hide
        as much memory of the model.
        """
        _give_back()
        self._imported = _resident_bytes("VmRSS")

    def begin(self) -> None:
        """Call before the first build of a workload."""
        self._workloads += 1
        self._settled = self._counted = False
        self._peak = 0
        _give_back()
        self._held = _resident_bytes("VmRSS")

    def settle(self) -> None:
        """Call before the warm-up steps; only the first call per workload has an effect.

        It returns the memory that building, compiling and checking freed to the system, and
        restarts the count of the peak.
        """
        if self._settled:
            return
        self._settled = True
        _give_back()
        self._counted = _forget_peak()

    def read(self) -> dict[str, int | None]:
        """Bytes; None if unknown.

        `peak_host_bytes` is the peak of resident memory since `settle`, above the imports.
        `held_host_bytes` is what earlier workloads left resident at `begin`, also above the
        imports. It is part of the peak, and this workload may or may not have reused it.
        """
        peak = self._highest() if self._counted else None
        return {
            "peak_host_bytes": self._above_imports(peak),
            "held_host_bytes": 0 if self._workloads == 1 else self._above_imports(self._held),
        }

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the peak of this block out of the count."""
        if self._counted:
            self._peak = self._highest() or 0
        try:
            yield
        finally:
            # Freed memory stays with the process: steps would take it again page by page.
            if self._counted:
                _forget_peak()

    def _highest(self) -> int | None:
        now = _resident_bytes("VmHWM")
        return None if now is None else max(now, self._peak)

    @contextmanager
    def uncounted(self) -> Iterator[None]:
        """Count the memory that stays resident from this block as part of the imports."""
        _give_back()
        before = _resident_bytes("VmRSS")
        try:
            yield
        finally:
            _give_back()
            after = _resident_bytes("VmRSS")
            if self._imported is not None and before is not None and after is not None:
                self._imported += max(0, after - before)

    def _above_imports(self, resident: int | None) -> int | None:
        if resident is None or self._imported is None:
            return None
        return max(0, resident - self._imported)


def _resident_bytes(field: str) -> int | None:
    """VmRSS (now) or VmHWM (the peak) of this process; None without /proc."""
    if sys.platform != "linux":
        return None
    with open("/proc/self/status") as status:
        found = next((line for line in status if line.startswith(f"{field}:")), None)
    return int(found.split()[1]) * 1024 if found is not None else None


def _forget_peak() -> bool:
    """Restart the kernel's count of peak resident memory; False if it refuses."""
    try:
        with open("/proc/self/clear_refs", "w") as control:
            control.write("5")
    except OSError:  # not Linux, no such file, or no permission
        return False
    return True


def _give_back() -> None:
    """Return memory that nobody uses to the system, if the C library can (glibc)."""
    gc.collect()
    _trim()


def _trim() -> None:
    """The same for what the C library keeps for reuse, without collecting garbage."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)

"""Peak memory of a model's steps, in a process that may have built others before.

Runs inside a worker; needs the standard library alone. Resident memory is the
kernel's own count, from /proc: where there is none, nothing is told.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class MemoryCount:
    """Of one workload after another: `begin` before its model is built, `settle` before it runs."""

    def __init__(self) -> None:
        self._imported: int | None = None
        self._workloads = 0
        self._held: int | None = None
        self._settled = self._counted = False

    def imported(self) -> None:
        """The framework is imported and nothing built: all counts are above this.

        What importing threw away goes back first; given back later, it would hide as much.
        """
        _give_back()
        self._imported = _resident_bytes("VmRSS")

    def begin(self) -> None:
        """Before the first build of a workload."""
        self._workloads += 1
        self._settled = self._counted = False
        _give_back()
        self._held = _resident_bytes("VmRSS")

    def settle(self) -> None:
        """Before the warm steps; once a workload.

        What building, compiling and checking needed, the messages of the harness among it, goes
        back to the system, and the peak is counted anew.
        """
        if self._settled:
            return
        self._settled = True
        _give_back()
        self._counted = _forget_peak()

    def read(self) -> dict[str, int | None]:
        """Bytes; None where they are not known.

        `peak_host_bytes` is the most that was resident since `settle`, above the imports.
        `held_host_bytes` is what workloads before this one had left resident at `begin`, also
        above the imports: it is part of the peak, and this one may or may not have used it again.
        """
        peak = _resident_bytes("VmHWM") if self._counted else None
        return {
            "peak_host_bytes": self._above_imports(peak),
            "held_host_bytes": 0 if self._workloads == 1 else self._above_imports(self._held),
        }

    @contextmanager
    def uncounted(self) -> Iterator[None]:
        """What stays resident of this is counted as if the imports had taken it."""
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
    """VmRSS (now) or VmHWM (the peak) of this process; None where there is no /proc."""
    if sys.platform != "linux":
        return None
    with open("/proc/self/status") as status:
        found = next((line for line in status if line.startswith(f"{field}:")), None)
    return int(found.split()[1]) * 1024 if found is not None else None


def _forget_peak() -> bool:
    """Let the kernel count the peak of resident memory from here on; False where it will not."""
    try:
        with open("/proc/self/clear_refs", "w") as control:
            control.write("5")
    except OSError:  # no Linux, or one without it, or without the right to it
        return False
    return True


def _give_back() -> None:
    """Memory that the C library keeps for later, back to the system, where it can (glibc)."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)

"""The memory that a workload needed: one number, or two that bound it. Pure."""

from __future__ import annotations

import numpy as np

from bench.records.schema import Measurement


def on_host(m: Measurement) -> tuple[int, int] | None:
    """Bounds, in bytes, of what the workload needed above the imports; None if not counted.

    In a fresh process both are its peak. In a process that ran other workloads before, the upper
    bound includes what they left resident and the lower one does not. If a variant has several
    processes, only the fresh ones count.
    """
    counted = [
        (max(0, peak - (p.held_host_bytes or 0)), peak)
        for p in m.processes
        if (peak := p.peak_host_bytes) is not None
    ]
    fresh = [found for found in counted if found[0] == found[1]]
    return max(fresh or counted, default=None, key=lambda found: found[1])


def page_faults(m: Measurement) -> float | None:
    """Of a timed step, without disk access: pages that the system handed to the process; median
    over the processes, None if not counted.
    """
    counted = [p.page_faults for p in m.processes if p.page_faults is not None]
    return float(np.median(counted)) if counted else None


def on_device(m: Measurement) -> int | None:
    """Peak bytes on a device, as the framework counts them."""
    return max((v for p in m.processes if (v := p.peak_device_bytes) is not None), default=None)

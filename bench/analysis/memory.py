"""What a measurement says of memory: one number, or the two that it lies between. Pure."""

from __future__ import annotations

from bench.records.schema import Measurement


def on_host(m: Measurement) -> tuple[int, int] | None:
    """Least and most bytes that the workload may have needed above the imports; None: not counted.

    In a process that had built nothing before, both are its peak. In a used one, what was left
    there counts in the second number and not in the first. With several processes a variant the
    fresh ones decide.
    """
    counted = [
        (max(0, peak - (p.held_host_bytes or 0)), peak)
        for p in m.processes
        if (peak := p.peak_host_bytes) is not None
    ]
    fresh = [found for found in counted if found[0] == found[1]]
    return max(fresh or counted, default=None, key=lambda found: found[1])


def on_device(m: Measurement) -> int | None:
    """Most bytes on a device, by the framework's own count."""
    return max((v for p in m.processes if (v := p.peak_device_bytes) is not None), default=None)

"""The time before the first warm step. Pure."""

from __future__ import annotations

from statistics import median

from bench.records.schema import Measurement


def parts(m: Measurement) -> tuple[float, ...]:
    """Seconds of interpreter, import, build and first call: each the median over fresh processes.

    The first process may have run other workloads before; all others are fresh.
    """
    colds = [process.cold for process in m.processes[1:] or m.processes]
    seconds = (
        (c.start_seconds, c.import_seconds, c.build_seconds, c.first_call_seconds) for c in colds
    )
    return tuple(map(median, zip(*seconds, strict=True)))

"""What passes before the first warm step. Pure."""

from __future__ import annotations

from statistics import median

from bench.records.schema import Measurement


def parts(m: Measurement) -> tuple[float, ...]:
    """Seconds: interpreter, import, build, first call; the median over fresh processes of each.

    The first may have run other workloads before; every further one is fresh.
    """
    colds = [process.cold for process in m.processes[1:] or m.processes]
    seconds = (
        (c.start_seconds, c.import_seconds, c.build_seconds, c.first_call_seconds) for c in colds
    )
    return tuple(map(median, zip(*seconds, strict=True)))

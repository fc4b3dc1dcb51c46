"""The time before the first warm step. Pure."""

from __future__ import annotations

from statistics import median

from bench.records.schema import Measurement


def parts(m: Measurement) -> tuple[float, ...]:
    """Seconds of interpreter, import, build and first call: each the median over fresh processes.

    The first process may have run other workloads before; all others are fresh. Where T varies, the
    first call with each T counts.
    """
    seconds = (
        (
            *(p.cold.start_seconds, p.cold.import_seconds, p.cold.build_seconds),
            p.cold.first_call_seconds + sum(each.first_call_seconds for each in p.by_steps[1:]),
        )
        for p in m.processes[1:] or m.processes
    )
    return tuple(map(median, zip(*seconds, strict=True)))

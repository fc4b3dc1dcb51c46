"""Whether the warm-up of a GPU ends because its clock is steady: one variant, one workload."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from time import monotonic

from bench.config import grid
from bench.correctness.checks import WorkloadChecks
from bench.measurement import machine_state, warm_up
from bench.records import machine
from bench.records.workload import Workload
from bench.workers.pool import WorkerPool
from bench.workers.process import WorkerKey

WAIT_SECONDS = 60.0
Print = Callable[[str], None]


def report(device: str, variant: str, show: Print = print) -> bool:
    """Warm a model up as the suite does, and print each look at the clock; False where the clock
    did not become steady.
    """
    workload = _workload(device)
    with WorkerPool(machine.cores_to_pin(), WAIT_SECONDS) as pool:
        worker = pool.get(WorkerKey(variant, workload.dtype, device, workload.threads))
        ask = partial(worker.call, timeout=WAIT_SECONDS)
        WorkloadChecks(workload, seed=0).build(ask)
        return steady(device, lambda: warm_up.warm_up(ask, workload), show)


def steady(device: str, warm: Callable[[], object], show: Print) -> bool:
    """Run `warm`, look at the clock before and after, and print what was found."""
    _look(device, "before", show)
    begin = monotonic()
    warm()
    seconds = monotonic() - begin
    after = _look(device, "after", show)
    if device == "cpu":
        show(f"the warm-up took {seconds:.1f} s; a CPU has no clock to wait for")
        return True
    if after.mhz is None:
        show(f"NVML tells no clock of {device}: each warm-up takes its longest, {seconds:.1f} s")
        return False
    known = seconds < warm_up.STEADY_SECONDS
    became = "was steady" if known else "was not steady"
    show(f"the clock {became} after {seconds:.1f} s, at {after.mhz:.0f} MHz")
    return known


def _look(device: str, when: str, show: Print) -> machine_state.Clocks:
    found = machine_state.clocks(device)
    mhz = "unknown" if found.mhz is None else f"{found.mhz:.0f} MHz"
    celsius = "unknown" if found.gpu_celsius is None else f"{found.gpu_celsius:.0f} °C"
    held = ", ".join(found.throttled) or "nothing"
    show(f"{when} the warm-up: clock {mhz}, temperature {celsius}, held down by {held}")
    return found


def _workload(device: str) -> Workload:
    size = "source" if device == "cpu" else "large"
    request = grid.Request(
        tasks=["sentiment"],
        phases=["bptt"],
        devices=[device],
        dtypes=["float32"],
        threads=[len(machine.available_cores())],
        sizes=[size],
        model={"cell": ["lstm"]},
    )
    return next(grid.workloads(request))

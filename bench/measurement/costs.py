"""What variants cost on two cores of a server, for estimates before a run.

The constants, in costs.toml, are fitted to recorded runs by `tools/costs.py`. A step of unseen size
is estimated to about 40 %.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from bench.config import batches
from bench.config.phases import STREAM
from bench.records import machine
from bench.records.workload import Workload
from tasks.flops import FORWARD


@dataclass(frozen=True)
class Work:
    """What a step has to do."""

    cells: float  # layers, directions and time steps, three times for a step with gradients
    flops: float  # of its products, by thread
    elements: float  # of all gates of all cells and sequences


@dataclass(frozen=True)
class Cost:
    """Of one variant."""

    start: float  # seconds: interpreter and imports
    first: float  # seconds: build and first call
    cell: float  # microseconds of a cell
    flop: float  # nanoseconds of an operation in a product, on one thread
    element: float  # nanoseconds of an element
    call: float  # microseconds of a call

    def step(self, work: Work) -> float:
        """Seconds of a step."""
        parts = self.cell * 1e-6 * work.cells, self.call * 1e-6
        return sum(parts) + (self.flop * work.flops + self.element * work.elements) * 1e-9


OTHER = Cost(3.0, 0.5, 20.0, 0.02, 3.0, 50.0)  # of a variant that is not known
COSTS = {
    name: Cost(*numbers)
    for name, numbers in tomllib.loads(
        Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")
    )["variants"].items()
}
# Of the oracle, in steps of numpy: three batches and a fresh one, in float64 and several times in
# float32, and the gradients by the inputs.
ORACLE = 40.0
# Of each candidate beside its first call, in seconds and in steps: before the rounds, and after.
BEFORE = 0.3, 4.0
AFTER = 0.8, 30.0


def of(variant: str) -> Cost:
    """That of the variant, or of the one that its name begins with."""
    known = [
        name for name in COSTS if variant == name or variant.startswith((f"{name}-", f"{name}@"))
    ]
    return COSTS[max(known, key=len)] if known else OTHER


def work(workload: Workload) -> Work:
    """What a step of the workload has to do."""
    cells = float(len(list(workload.spec.stack())))
    cells *= 1 if workload.phase == STREAM else workload.steps
    cells *= 1.0 if workload.phase in FORWARD else 3.0
    elements = cells * workload.batch * workload.spec.hidden_size * workload.spec.gates
    threads = workload.threads or len(machine.available_cores())
    return Work(cells, batches.flops(workload) / threads, elements)

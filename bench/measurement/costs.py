"""What variants cost on two cores of a server, for estimates before a run.

The constants are fitted to recorded runs by `tools/costs.py`. A step of unseen size is estimated to
about 40 %.
"""

from __future__ import annotations

from dataclasses import dataclass

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
    "numpy": Cost(0.28, 0.012, 2.54, 0.0175, 3.48, 2.83),
    "torch": Cost(1.5, 0.019, 12.4, 0.00949, 2.91, 34.9),
    "keras-tensorflow": Cost(3.8, 0.25, 31.6, 0.0238, 0.893, 1.11e03),
    "keras-jax": Cost(2.1, 1.1, 1.62, 0.0239, 1.92, 17.2),
    "keras-torch": Cost(4.4, 0.032, 131, 0.0313, 2.03e-11, 1.49e03),
    "jax": Cost(0.85, 0.34, 1.13, 0.019, 2.99, 24.4),
    "flax": Cost(0.86, 0.39, 1.44, 0.0173, 3.37, 17),
    "torch-padded": Cost(1.3, 0.048, 2.78e-09, 0.00262, 3.73, 2.91e03),
    "torch-cell": Cost(1.3, 0.042, 8.68, 5.1e-12, 7.21, 6.07e-05),
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

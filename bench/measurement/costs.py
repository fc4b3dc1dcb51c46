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
    "numpy": Cost(0.3, 0.022, 3.4, 0.0172, 5.17, 9.74),
    "torch": Cost(1.5, 0.027, 30.3, 0.0129, 2.25, 4.24e-05),
    "keras-tensorflow": Cost(5.9, 0.4, 41.4, 0.0319, 1.2, 793),
    "keras-jax": Cost(2.7, 1.2, 3.02, 0.0257, 4.11, 18.7),
    "keras-torch": Cost(6.7, 0.068, 195, 0.0286, 3.77, 1.42e03),
    "jax": Cost(1.1, 0.44, 1.92, 0.0252, 3.4, 30.8),
    "flax": Cost(1.2, 0.61, 4.06, 0.0232, 3.66, 7.75),
    "jax@0.4.31": Cost(1, 0.22, 0.0171, 0.0374, 7.13, 68),
    "torch-padded": Cost(1.3, 0.048, 2.78e-09, 0.00262, 3.73, 2.91e03),
    "torch-cell": Cost(1.3, 0.05, 55.4, 9.54e-11, 6.04, 403),
    "keras-tensorflow-jit": Cost(4.7, 1.2, 35.4, 0.0327, 0.606, 1.09e-08),
    "jax-unrolled": Cost(1.1, 1.8, 2.25e-07, 0.0306, 8.36, 102),
}
# Of the oracle, in steps of numpy: three batches and a fresh one, in float64 and several times in
# float32, and the gradients by the inputs.
ORACLE = 40.0
# Of each candidate beside its first call, in seconds and in steps: before the rounds, and after.
BEFORE = 0.034, 0
AFTER = 0.5, 37


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

"""What a batch holds besides its task's data: weights of the loss, an initial state."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from tasks.spec import Batch, ModelSpec
from tasks.task import Size, Task

Values = Literal["normal", "denormal"]
VALUES: tuple[str, ...] = get_args(Values)

SMALLEST_NORMAL = 2.0**-126  # of float32; smaller numbers are denormal
SMALLEST = 2.0**-149  # of float32
WEIGHTED = 0.7  # share of the steps that have a weight above 0
LARGEST_STATE = 0.9


@dataclass(frozen=True)
class InputOptions:
    """What is added to the batches of a task. Raises ValueError for an unknown value."""

    weighted: bool = False  # a random weight (B,T) for each step, some of them 0
    initial_state: bool = False  # a random initial state of every layer and direction
    values: Values = "normal"  # denormal: every input is a denormal number of float32

    def __post_init__(self) -> None:
        if self.values not in VALUES:
            raise ValueError(f"values is {self.values!r}; expected one of {', '.join(VALUES)}")


def make_batch(task: Task, size: Size, spec: ModelSpec, options: InputOptions, seed: int) -> Batch:
    """The task's batch for `spec` at `size`, with what `options` add; float64 and int64.

    Raises ValueError where they do not fit the model.
    """
    batch = task.batch(size, seed, spec)
    rng = np.random.default_rng((seed, 1))  # what it draws changes nothing in the task's own data
    if options.values == "denormal":
        if batch.x.dtype.kind != "f":
            raise ValueError("denormal inputs are numbers; expected a model that reads no tokens")
        # Multiples of the smallest float32: rounded to it, none becomes 0 or a normal number.
        tiny = rng.integers(1, 2**23, batch.x.shape) * SMALLEST
        batch = replace(batch, x=np.copysign(tiny, batch.x))
    if options.weighted:
        if spec.readout != "every_step":
            raise ValueError(
                "the loss of the last step alone has no weights (--weighted); expected every step "
                "to be read (--readout=every_step)"
            )
        shape = (size.batch, size.steps)
        weight = rng.uniform(0.0, 2.0, shape) * (rng.random(shape) < WEIGHTED)
        batch = replace(batch, weight=weight)
    if options.initial_state:
        shape = (size.batch, spec.hidden_size)
        names = [f"{name}0" for name in spec.state_names()]
        state = {name: rng.uniform(-LARGEST_STATE, LARGEST_STATE, shape) for name in names}
        batch = replace(batch, state=state)
    return batch

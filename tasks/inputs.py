"""What a batch holds besides its task's data: lengths, weights of the loss, an initial state."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from tasks.spec import Batch, ModelSpec
from tasks.task import Size, Task

Values = Literal["normal", "denormal"]
Padding = Literal["behind", "front"]
PADDINGS: tuple[str, ...] = get_args(Padding)
LENGTHS = ("own", "uniform", "sorted")  # or a share of padding
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
    # One of LENGTHS, or the share of padding, as "0.5"; "": every sequence has T steps.
    # own: those of the task's sentences. uniform: from T/B to T, in random order. sorted: the same,
    # the longest first.
    lengths: str = ""
    padding: Padding = "behind"  # front: the same sequences, padded in front and without lengths

    def __post_init__(self) -> None:
        if self.padding not in PADDINGS:
            raise ValueError(f"padding is {self.padding!r}; expected one of {', '.join(PADDINGS)}")
        if self.lengths and self.lengths not in LENGTHS:
            share_of_padding(self.lengths)
        if self.values not in VALUES:
            raise ValueError(f"values is {self.values!r}; expected one of {', '.join(VALUES)}")


def make_batch(task: Task, size: Size, spec: ModelSpec, options: InputOptions, seed: int) -> Batch:
    """The task's batch for `spec` at `size`, with what `options` add; float64 and int64.

    Raises ValueError where they do not fit the model.
    """
    return with_options(task, task.batch(size, seed, spec), spec, options, seed)


def with_options(
    task: Task, batch: Batch, spec: ModelSpec, options: InputOptions, seed: int
) -> Batch:
    """A batch of the task with what `options` add; raises ValueError as `make_batch` does."""
    size, steps = batch.x.shape[:2]
    if options.lengths:
        batch = _with_lengths(task, batch, spec, options, seed)
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
        shape = (size, steps)
        weight = rng.uniform(0.0, 2.0, shape) * (rng.random(shape) < WEIGHTED)
        batch = replace(batch, weight=weight * (1.0 if batch.weight is None else batch.weight))
    if options.initial_state:
        shape = (size, spec.hidden_size)
        names = [f"{name}0" for name in spec.state_names()]
        state = {name: rng.uniform(-LARGEST_STATE, LARGEST_STATE, shape) for name in names}
        batch = replace(batch, state=state)
    return batch


def share_of_padding(word: str) -> float:
    """The share in (0, 1) that `word` gives; raises ValueError."""
    try:
        share = float(word)
    except ValueError:
        share = -1.0
    if not 0.0 < share < 1.0:
        raise ValueError(
            f"lengths is {word!r}; expected {', '.join(LENGTHS)}, or a share of padding between 0 "
            "and 1"
        )
    return share


def lengths_of(batch: int, steps: int, share: float) -> np.ndarray:
    """(B,) rising lengths in 1..T with this share of padding; the longest is T.

    They are spread as (i/B)^k of T, which for a share of a half is evenly. Where the shortest
    are 1 already, the share is the nearest that can be.
    """
    rows = (np.arange(batch) + 0.5) / batch
    found = np.clip(np.rint(steps * rows ** (share / (1 - share))), 1, steps).astype(np.int64)
    found[-1] = steps
    missing = round((1 - share) * batch * steps) - int(found.sum())
    while missing:  # rounding is off by a few steps, which the longest but one can take first
        able = np.flatnonzero(found[:-1] < steps if missing > 0 else found[:-1] > 1)
        if not len(able):
            break
        chosen = able[::-1][: abs(missing)]
        found[chosen] += np.sign(missing)
        missing -= np.sign(missing) * len(chosen)
    return np.sort(found)


def _with_lengths(
    task: Task, batch: Batch, spec: ModelSpec, options: InputOptions, seed: int
) -> Batch:
    """The batch with sequences of different lengths, and padding of 0 behind or in front of them.

    Sequences of other lengths than their own are the first steps of those of the task.
    """
    rows, steps = batch.x.shape[:2]
    x, y, weight = batch.x, batch.y, batch.weight
    own = None if task.own_lengths is None else task.own_lengths(batch)
    if own is not None:
        x = _moved(x, own - steps)
        if spec.readout == "every_step":
            y = _moved(y, own - steps)
        weight = None if weight is None else _moved(weight, own - steps)
    if options.lengths == "own":
        if own is None:
            raise ValueError(
                "its sequences have no lengths of their own (--lengths=own); expected uniform, "
                "sorted or a share of padding"
            )
        lengths = own
    else:
        share = 0.5 if options.lengths in LENGTHS else share_of_padding(options.lengths)
        lengths = lengths_of(rows, steps, share)
        if options.lengths == "sorted":
            lengths = lengths[::-1].copy()
        else:
            lengths = np.random.default_rng((seed, 2)).permutation(lengths)
    real = np.arange(steps) < lengths[:, None]
    x = np.where(real if x.ndim == 2 else real[..., None], x, x.dtype.type(0))
    if options.padding == "behind":
        return replace(batch, x=x, y=y, weight=weight, lengths=lengths)
    if spec.readout == "every_step":
        y = _moved(y, steps - lengths)
    if weight is not None:
        weight = _moved(real * weight, steps - lengths)
    return replace(batch, x=_moved(x, steps - lengths), y=y, weight=weight)


def _moved(array: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """Each row of (B,T,..) moved by so many steps (B,) to the right, in a circle."""
    rows, steps = array.shape[:2]
    source = (np.arange(steps) - shifts[:, None]) % steps
    return array[np.arange(rows)[:, None], source]

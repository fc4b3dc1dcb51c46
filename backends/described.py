"""A net that a user wrote, as the layers that its forward pass calls, and the inputs to try it on.

The reader of a framework (`READERS`) watches one forward pass and makes a `Called` of each layer.
`backends.assembled` puts them together, the same for every framework.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from tasks.spec import Cell, ModelSpec, Params

# The package and name of a net's class, or of one of its bases, and the function that reads it.
# Keras stands first: on torch its layers are torch Modules too.
READERS: Mapping[tuple[str, str], str] = {
    ("keras", "Model"): "backends.keras.describe:read",
    ("torch", "Module"): "backends.torch.describe:read",
}
PROBE_BATCH, PROBE_STEPS = 3, 5  # of the random input, where the net takes any
Shape = tuple[int | None, int | None]  # B and T; None: any


class NotDescribableError(ValueError):
    """The net is none that a workload file can describe; the message names the feature."""


@dataclass(frozen=True)
class Embedding:
    table: np.ndarray  # E (V,D)
    frozen: bool


@dataclass(frozen=True)
class Recurrent:
    """One or several layers of one kind."""

    cell: Cell
    input_size: int
    hidden_size: int
    bidirectional: bool
    bias: bool
    params: Sequence[Params]  # of each layer: "fwd.W_xh", ...
    dropout: float = 0.0  # between them


@dataclass(frozen=True)
class Dropout:
    share: float


@dataclass(frozen=True)
class Head:
    kernel: np.ndarray  # W_hy (F,C)
    bias: np.ndarray | None  # b_y (C)


Activation = Literal["none", "softmax", "log_softmax"]


@dataclass(frozen=True)
class Softmax:
    kind: Activation


Layer = Embedding | Recurrent | Dropout | Head | Softmax


@dataclass(frozen=True)
class Called:
    """One call of a layer, with its first input and output as the framework has them."""

    name: str  # "'encoder' (LSTM)"
    layer: Layer
    x: np.ndarray
    y: np.ndarray


@dataclass(frozen=True)
class Described:
    """What a reader finds. The readout is not known yet: it follows from `outputs`."""

    spec: ModelSpec
    params: Params
    activation: Activation  # on the outputs
    outputs: Callable[[np.ndarray], np.ndarray]  # the net's own, of x (B,T,D) or ids (B,T)
    batch: int | None = None  # B, if the net fixes it
    steps: int | None = None  # T, if the net fixes it
    loss: str | None = None  # of a compiled net: cross_entropy, mse, or the name of another
    optimizer: str | None = None  # of a compiled net: adam, sgd, or the name of another
    notes: Sequence[str] = field(default_factory=tuple)
    head_on_all: bool = False  # the head reads every step, whatever the net returns
    # The gradients of sum(outputs * d) in training without dropout, of x and d: by the names of
    # `params`, without those that are frozen.
    gradients: Callable[[np.ndarray, np.ndarray], Params] | None = None
    # Gives the net other weights, random ones (True: those of the head negated), and reads them.
    shaken: Callable[[bool], Described] | None = None


def shapes_to_try(asked: Shape, fixed: Shape = (None, None)) -> Iterator[Shape]:
    """What the net may fix, one after the other: what its layers say, then what the user asks."""
    (batch, steps), (own_batch, own_steps) = asked, fixed
    tried = [(None, None), (batch, None), (None, steps), (batch, steps)]
    yield from dict.fromkeys((own_batch or b, own_steps or t) for b, t in tried)


def probe_shape(
    fixed: Shape, any_batch: int = PROBE_BATCH, any_steps: int = PROBE_STEPS
) -> tuple[int, int]:
    """B and T of a random input; they differ where the net does not fix both."""
    batch, steps = fixed
    if batch is None:
        return (any_batch if steps != any_batch else any_batch + 1), steps or any_steps
    return batch, steps or (any_steps if batch != any_steps else any_steps + 1)


def random_input(
    shape: tuple[int, int], vocab: int | None, width: int, seed: int = 0
) -> np.ndarray:
    """x (B,T,D), in values exact in float32, or ids (B,T).

    It holds what a net may treat as padding, the first and last ids or steps of zeros, and large
    numbers.
    """
    rng = np.random.default_rng(seed)
    batch, steps = shape
    if vocab is not None:
        count = batch * steps
        ids = rng.integers(vocab, size=count)
        end = min(max(count // 4, 1), vocab)
        for place, first in ((0, 0), (end, vocab - end)):
            part = ids[place : place + end]
            part[:] = np.arange(first, first + len(part))
        return rng.permutation(ids).reshape(shape)
    x = rng.standard_normal((*shape, width)).astype(np.float32).astype(np.float64)
    if batch > 1:
        x[-1, 0] *= 32
        x[0, -1] = 0
    return x

"""What differs between the three backends of Keras: an `Engine` and its `Steps`.

An engine is one backend of Keras: its environment, its devices, and the custom step from the guides
of Keras. The factories in `backends.keras.backend` choose one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

from backends.keras.net import Cudnn, Placed

Loss = Callable[[Any, Placed], Any]  # outputs (B,T,C) or (B,C), batch -> ()


class Forward(NamedTuple):
    outputs: Any  # (B,T,C) | (B,C)
    states: list[Any]  # (B,H) in the order of spec.state_names()


class Gradients(NamedTuple):
    loss: Any  # ()
    gradients: list[Any] | None  # in the order of net.trainable_variables; None for a train step


class Chunk(NamedTuple):
    """The result of a train step from a carried state."""

    loss: Any  # ()
    states: list[Any]  # as in Forward, before the update


Advanced = tuple[list[Any], Any]  # of a stream: its states as in Forward, the output (B,C)


def advanced(outputs: Any, states: list[Any]) -> Advanced:
    """From what the net gives for a sequence of one step: outputs (B,1,C) or (B,C)."""
    return states, outputs[:, 0] if len(outputs.shape) == 3 else outputs


class Steps(Protocol):
    """The phases; each returns new tensors."""

    def forward(self, batch: Placed) -> Forward: ...
    def bptt(self, batch: Placed) -> Gradients: ...
    def train_step(self, batch: Placed) -> Gradients: ...
    def advance(self, carry: list[Any], x: Any) -> Advanced:
        """One step of a stream: states as in Forward, x (B,1,D) or (B,1)."""
        ...

    def train_chunk(self, batch: Placed, carry: list[Any]) -> Chunk:
        """A train step from these states."""
        ...

    def sync(self, result: Any) -> None: ...
    def reset(self) -> None:
        """Start again from the net's variables, with a fresh optimizer."""
        ...

    def write_back(self) -> None:
        """Update the net's variables with the present values."""
        ...

    def path(self) -> str: ...


class Engine(Protocol):
    """One backend of Keras."""

    keras_backend: str  # the value of KERAS_BACKEND
    packages: tuple[str, ...]  # packages whose versions are recorded, besides Keras
    float64_refusal: str | None
    index_dtype: str  # of token ids and classes
    use_cudnn: Cudnn

    def environment(self, *, threads: int, device: str) -> Mapping[str, str]: ...
    def prepare(self) -> None:
        """Make the settings that must be made in Python, before the first operation."""
        ...

    def allow_tf32(self, allowed: bool) -> None:
        """Allow TF32 for float32 products on a GPU, or forbid it."""
        ...

    def gpu_count(self) -> int: ...
    def threads(self) -> int | None:
        """The number of threads that it reports; None if it reports none."""
        ...

    def forget_peak(self, device: str) -> None:
        """Restart the count of a device's peak memory."""
        ...

    def peak_bytes(self, device: str) -> int | None:
        """Peak memory in use on "cpu" or "cuda:N"; None if it does not count."""
        ...

    def put(self, array: np.ndarray) -> Any:
        """On the present device; may share the memory of `array`."""
        ...

    def numpy(self, tensor: Any) -> np.ndarray: ...
    def steps(self, net: Any, loss: Loss, optimizer: Any, device: str) -> Steps:
        """`optimizer` is None or built on `net`; `device` is named as in Keras: "cpu", "gpu:0"."""
        ...


class FreshOptimizer:
    """The values of an optimizer's variables before its first step."""

    def __init__(self, optimizer: Any) -> None:
        from keras import ops

        self._variables = [] if optimizer is None else optimizer.variables
        self._initial = [ops.copy(v) for v in self._variables]

    def restore(self) -> None:
        for variable, value in zip(self._variables, self._initial, strict=True):
            variable.assign(value)

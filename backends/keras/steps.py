"""What each of Keras' three backends brings of its own: an `Engine` and its `Steps`.

An engine is one Keras backend: its environment, its devices and the custom step that Keras' guides
write for it. The factories in `backends.keras.backend` choose one, once.
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
    gradients: list[Any] | None  # as net.trainable_variables are ordered; None: of a train step


class Steps(Protocol):
    """The phases; each gives fresh tensors."""

    def forward(self, batch: Placed) -> Forward: ...
    def bptt(self, batch: Placed) -> Gradients: ...
    def train_step(self, batch: Placed) -> Gradients: ...
    def sync(self, result: Any) -> None: ...
    def reset(self) -> None:
        """Start over from what the net's variables hold, with a fresh optimizer."""
        ...

    def write_back(self) -> None:
        """Bring the net's variables up to date."""
        ...

    def path(self) -> str: ...


class Engine(Protocol):
    """One Keras backend."""

    keras_backend: str  # the value of KERAS_BACKEND
    packages: tuple[str, ...]  # whose versions matter beside Keras' own
    float64_refusal: str | None
    index_dtype: str  # of token ids and classes
    use_cudnn: Cudnn

    def environment(self, *, threads: int, device: str) -> Mapping[str, str]: ...
    def prepare(self) -> None:
        """Set what can only be set from inside, before the first operation."""
        ...

    def allow_tf32(self, allowed: bool) -> None:
        """Whether float32 products on a GPU may be TF32's, or are true float32."""
        ...

    def gpu_count(self) -> int: ...
    def threads(self) -> int | None:
        """How many it reports that it uses; None where it reports none."""
        ...

    def forget_peak(self, device: str) -> None:
        """Count the peak of a device anew."""
        ...

    def peak_bytes(self, device: str) -> int | None:
        """Most memory in use on "cpu" or "cuda:N"; None where it does not count."""
        ...

    def numpy(self, tensor: Any) -> np.ndarray: ...
    def steps(self, net: Any, loss: Loss, optimizer: Any, device: str) -> Steps:
        """`optimizer` is None or built on `net`; `device` is Keras' name, "cpu" or "gpu:0"."""
        ...


class FreshOptimizer:
    """What an optimizer's variables held before its first step."""

    def __init__(self, optimizer: Any) -> None:
        from keras import ops

        self._variables = [] if optimizer is None else optimizer.variables
        self._initial = [ops.copy(v) for v in self._variables]

    def restore(self) -> None:
        for variable, value in zip(self._variables, self._initial, strict=True):
            variable.assign(value)

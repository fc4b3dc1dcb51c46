"""What a net in JAX is: a pure function of its parameters and of a placed batch."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from tasks.spec import Params


class Net(Protocol):
    """A model as a pure function of its parameters, which are two pytrees."""

    def split(self, params: Params) -> tuple[Any, Any]:
        """Canonical host parameters -> the trainable and the frozen tree."""
        ...

    def names(self, tree: Any) -> dict[str, Any]:
        """The leaves of a tree, or of a gradient of the trainable tree, by canonical name."""
        ...

    def apply(
        self, trainable: Any, frozen: Any, batch: Placed, *, training: bool, key: Any
    ) -> dict[str, Any]:
        """The batch's x, state and lengths -> outputs (B,T,C) or (B,C), last states by name.

        With lengths each direction keeps to its sequence; outputs in the padding are any. `key` is
        for the dropout masks; None: no dropout.
        """
        ...

    @property
    def lengths_by(self) -> str:
        """How its layers keep to the lengths of the sequences."""
        ...

    def describe(self, *, training: bool) -> str:
        """Describe what runs the layers."""
        ...


class Placed(NamedTuple):
    """A batch on the device; jit compiles separately with and without what may be None."""

    x: Any  # (B,T,D) | (B,T)
    y: Any  # (B,T) | (B,) | (B,T,C) | (B,C)
    weight: Any  # (B,T) | None
    state: Any  # {"l0.fwd.h0": (B,H), ...} | None
    lengths: Any = None  # (B,) | None

    def real(self) -> Any:
        """(B,T) bool: which steps are no padding; with lengths only."""
        import jax.numpy as jnp

        return jnp.arange(self.x.shape[1]) < self.lengths[:, None]

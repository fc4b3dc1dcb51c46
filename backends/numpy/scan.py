"""The common code of the four cells: one direction of one layer, with its buffers and products.

Buffers are time-major, allocated once per shape and reused, and every product and ufunc writes into
them. What does not depend on the previous step is computed for all T steps at once: the input
product, and the gradients of weights, biases and input from those of the pre-activations. The
gradients of the pre-activations overwrite the gates from which they are computed.

The equations are those of `tasks.spec`. This folder has its own order of gate columns, so that one
call handles adjacent gates. LSTM: i, f, o, g. GRU: n, r, z in W_xh and b, but r, z, n in W_hh and
b_hh. Then in a row (n, r, z, u) with u = h U_n + b_hh_n, both products are contiguous.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tasks.spec import ModelSpec

_ORDERS: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("lstm W_xh", "lstm W_hh", "lstm b"), (0, 1, 3, 2)),  # i f g o -> i f o g
    **dict.fromkeys(("gru W_xh", "gru b"), (2, 0, 1)),  # r z n -> n r z
}


def reorder(spec: ModelSpec, name: str, array: np.ndarray, *, canonical: bool) -> np.ndarray:
    """A parameter or its gradient (.., G*H) in canonical gate order, or in this folder's."""
    order = _ORDERS.get(f"{spec.cell} {name.rsplit('.', 1)[-1]}")
    if order is None:
        return array
    blocks = array.reshape(*array.shape[:-1], spec.gates, spec.hidden_size)
    return blocks[..., np.argsort(order) if canonical else order, :].reshape(array.shape)


class Weights(NamedTuple):
    """The weights of one direction of one layer; their gradients have the same form."""

    W_xh: np.ndarray  # (I, G*H)
    W_hh: np.ndarray  # (H, G*H)
    b: np.ndarray | None  # (G*H)
    b_hh: np.ndarray | None  # (3H), GRU only


def over_steps(ops: Any, a: np.ndarray, b: np.ndarray, steps: int, out: np.ndarray) -> None:
    """The sum over all rows of a (T*B,K) or (T*B) times b (T*B,N), into out (K,N) or (N)."""
    if (special := getattr(ops, "over_steps", None)) is not None:
        special(a, b, steps, out)
    else:
        ops.matmul(a.T, b, out=out)


class Scan:
    """One direction of one layer over T steps, with every buffer that it needs.

    x (T,B,I) and states (T+2,B,F) belong to the layer: states[t + 1] is the output of step t, and
    the first and last items hold the initial states of fwd and bwd. `half` are the columns of F of
    this direction. d_states (T,B,F) is the gradient from above, or None if only the last step has
    one. Lists of views are in the order of processing, which is back in time for bwd. `padding`
    (T,B,1) marks the steps that are none: they leave the states as they are, and get no gradient.
    `ops` are the functions of numpy, or others in their place that show what another arithmetic
    does to the results. Such an object may also have `carried`, which gets each state (B,H) that
    the next step starts from, and its own ways to add up gradients: `over_steps`, products over all
    steps; `sum_rows`, those of the head's bias; `add_rows`, those of each token.
    """

    extra_gates = 0  # blocks of H columns in the buffer of the gates, besides G*H

    def __init__(
        self,
        weights: Weights,
        gradients: Weights | None,
        x: np.ndarray,
        states: np.ndarray,
        d_states: np.ndarray | None,
        *,
        half: slice,
        reverse: bool,
        padding: np.ndarray | None = None,
        ops: Any = np,
    ) -> None:
        (steps, batch, _), dtype = x.shape, x.dtype
        hidden, width = weights.W_hh.shape
        order = range(steps)[::-1] if reverse else range(steps)
        before = 2 if reverse else 0
        self.weights, self.gradients, self.half = weights, gradients, half
        self.ops, self.carried = ops, getattr(ops, "carried", None)
        self.count = steps
        self.x = x.reshape(steps * batch, -1)
        self.h0 = states[-1 if reverse else 0][:, half]
        self.last_h = states[1 if reverse else -2][:, half]
        self.all_h_prev = states[before : before + steps].reshape(steps * batch, -1)[:, half]
        h_prev = [states[t + before][:, half] for t in order]
        h = [states[t + 1][:, half] for t in order]
        self.rec = np.empty((batch, width), dtype)  # h W_hh, then scratch
        self.tmp = np.empty((batch, hidden), dtype)
        self.one = np.ones((), dtype)
        self.ones = np.ones(steps * batch, dtype)
        wide = width + self.extra_gates * hidden
        columns = wide if gradients else width
        self.gates = np.empty((steps * batch, columns), dtype)  # pre-activations, gates, gradients
        rows = self.gates.reshape(steps, batch, columns)
        pre = [rows[t][:, :width] for t in order]
        if gradients:
            gates = [rows[t] for t in order]
        else:  # all steps share one buffer, so it stays in the cache
            gates = [np.empty((batch, wide), dtype) if self.extra_gates else self.rec] * steps
        self.pads = [None if padding is None else padding[t] for t in order]
        self.steps = self._views(pre, gates, h_prev, h)
        if gradients:
            self.dh = np.empty((batch, hidden), dtype)
            self.kept = np.empty_like(self.dh)  # dh before a step with padding
            dy = [None if d_states is None else d_states[t][:, half] for t in order]
            backward = (reversed(column) for column in (self.steps, dy, self.pads))
            self.back_steps = list(zip(*backward, strict=True))

    def _views(
        self,
        pre: Sequence[np.ndarray],
        gates: Sequence[np.ndarray],
        h_prev: Sequence[np.ndarray],
        h: Sequence[np.ndarray],
    ) -> list[tuple[np.ndarray, ...]]:
        """The views that each step reads and writes: (B,G*H), (B,G*H or more), (B,H), (B,H)."""
        return list(zip(pre, gates, h_prev, h, strict=True))

    def start(self, h0: np.ndarray | None, c0: np.ndarray | None) -> None:
        """Set the initial states, h0 and c0 (B,H); None for zeros."""
        self.h0[...] = 0 if h0 is None else h0

    def last(self) -> dict[str, np.ndarray]:
        """The last states (B,H): h, and c for an LSTM."""
        return {"h": self.last_h}

    def input_product(self) -> None:
        """Compute x W_xh + b of all steps."""
        width = self.weights.W_xh.shape[1]
        pre = self.gates[:, :width]
        self.ops.matmul(self.x, self.weights.W_xh, out=pre)
        if (bias := self.bias()) is not None:
            self.ops.add(pre, bias, out=pre)

    def bias(self) -> np.ndarray | None:
        """The bias (G*H) that is added to the input product of all steps."""
        return self.weights.b

    def weight_products(self) -> None:
        """Compute the gradients of weights and biases from those of all pre-activations."""
        assert self.gradients is not None
        W_xh, W_hh, b, b_hh = self.gradients
        width, ops, steps = W_hh.shape[1], self.ops, self.count
        da_input, da_recurrent = self.gates[:, :width], self.gates[:, -width:]
        over_steps(ops, self.x, da_input, steps, W_xh)
        over_steps(ops, self.all_h_prev, da_recurrent, steps, W_hh)
        if b is not None:
            over_steps(ops, self.ones, da_input, steps, b)
        if b_hh is not None:
            over_steps(ops, self.ones, da_recurrent, steps, b_hh)

    def input_gradient(self, dx: np.ndarray) -> None:
        """Write the gradient of the input of all steps into dx (T*B,I)."""
        W_xh = self.weights.W_xh
        self.ops.matmul(self.gates[:, : W_xh.shape[1]], W_xh.T, out=dx)

    def forward(self) -> None:
        """Compute the states of all steps from `x` and the initial state; with gradients, gates."""
        raise NotImplementedError

    def backward(self) -> None:
        """Compute the gradients of all pre-activations; `dh` starts with that of the last state."""
        raise NotImplementedError

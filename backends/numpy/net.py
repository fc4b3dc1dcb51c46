"""The whole net in numpy for one (B,T): input, layers, readout, loss, and all gradients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from backends.numpy.cells import SCANS
from backends.numpy.scan import Scan, Weights
from tasks.spec import ModelSpec

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Placed:
    """A batch in the model's dtype, batch first."""

    x: np.ndarray  # (B,T,D) | (B,T) int
    y: np.ndarray  # (B,T) | (B,) int, or (B,T,C) | (B,C)
    weight: np.ndarray | None  # (B,T)
    state: Mapping[str, np.ndarray]  # "l0.fwd.h0" (B,H); empty for zeros
    lengths: np.ndarray | None = None  # (B,) int

    @property
    def shape(self) -> tuple[int, int, bool]:
        """B, T, and whether there are lengths: what the buffers depend on."""
        batch, steps = self.x.shape[:2]
        return batch, steps, self.lengths is not None


@dataclass
class Layer:
    """One layer: its directions, and the buffers that they share."""

    scans: dict[str, Scan]  # by prefix, "l0.fwd"
    states: np.ndarray  # (T+2,B,F), see `Scan`
    d_input: np.ndarray | None  # (T*B,I), gradient of its input; None if it is not needed
    d_other: np.ndarray | None  # (T*B,I), the part of it from the second direction
    mask: np.ndarray | None = None  # (T,B,F), dropout above this layer: 0 or 1/(1-p)
    dropped: np.ndarray | None = None  # (T,B,F), its output after dropout


class Workspace:
    """Every buffer that a batch of `shape` needs, allocated once, with time-major rows.

    `values` and `gradients` hold parameters by name, with gate columns in the order of `cells`.
    Without `gradients` there is no backward pass and no dropout, and nothing is kept for them.
    """

    def __init__(
        self,
        spec: ModelSpec,
        values: Arrays,
        gradients: Arrays | None,
        shape: tuple[int, int, bool],
        rng: np.random.Generator,
        ops: Any = np,
    ) -> None:
        self.shape, self._ops = shape, ops
        self._spec, self._values, self._gradients, self._rng = spec, values, gradients, rng
        (batch, steps, padded), dtype = shape, values["l0.fwd.W_hh"].dtype
        self._padding = np.empty((steps, batch, 1), bool) if padded else None
        self._x = np.empty((steps, batch, spec.input_size), dtype)
        every = spec.readout == "every_step"
        rows, features = steps * batch if every else batch, spec.feature_size
        # All layers share one buffer: a layer reads it before it writes that of the layer below.
        self._d_states = np.empty((steps, batch, features), dtype)
        self._layers: list[Layer] = []
        x = self._x
        for layer in range(spec.num_layers):
            self._layers.append(self._layer(layer, x))
            dropped = self._layers[-1].dropped
            x = self._layers[-1].states[1:-1] if dropped is None else dropped
        self._features = x.reshape(rows, features) if every else np.empty((batch, features), dtype)
        head = spec.output_size is not None
        # Outputs in the padding are 0, while the features there still hold states.
        self._own_outputs = head or (padded and every)
        self._outputs = (
            np.empty((rows, spec.logit_size), dtype) if self._own_outputs else self._features
        )
        if gradients is not None:
            self._rows = np.arange(rows)
            self._ones = np.ones(rows, dtype)
            self._d_features = (
                self._d_states.reshape(rows, -1) if every else np.empty_like(self._features)
            )
            self._d_outputs = np.empty_like(self._outputs) if head else self._d_features
            if "E" in gradients:
                self._cells_of_E = np.empty((steps * batch, spec.input_size), np.intp)

    def _layer(self, layer: int, x: np.ndarray) -> Layer:
        """Layer number `layer`, on its input x (T,B,I)."""
        spec, gradients, hidden = self._spec, self._gradients, self._spec.hidden_size
        steps, batch, width = x.shape
        states = np.zeros((steps + 2, batch, spec.feature_size), x.dtype)
        top = layer == spec.num_layers - 1
        from_last_step = top and spec.readout == "last_step"
        scans: dict[str, Scan] = {}
        for k, direction in enumerate(spec.directions):
            prefix = f"l{layer}.{direction}"
            scans[prefix] = SCANS[spec.cell](
                _weights(self._values, prefix),
                None if gradients is None else _weights(gradients, prefix),
                x,
                states,
                None if from_last_step else self._d_states,
                half=slice(k * hidden, (k + 1) * hidden),
                reverse=direction == "bwd",
                padding=self._padding,
                ops=self._ops,
            )
        made = Layer(scans, states, None, None)
        if gradients is None:
            return made
        if layer > 0:
            made.d_input = self._d_states.reshape(steps * batch, width)
        elif "E" in gradients:
            made.d_input = np.empty((steps * batch, width), x.dtype)
        if made.d_input is not None and spec.bidirectional:
            made.d_other = np.empty_like(made.d_input)
        if spec.dropout and not top:
            made.mask, made.dropped = np.empty_like(states[1:-1]), np.empty_like(states[1:-1])
        return made

    def forward(self, placed: Placed) -> None:
        """Compute outputs and states into the buffers."""
        if self._padding is not None and placed.lengths is not None:
            steps = np.arange(len(self._x))[:, None, None]
            np.greater_equal(steps, placed.lengths[:, None], out=self._padding)
        self.run(placed.x, placed.state)

    def run(self, x: np.ndarray, state: Mapping[str, np.ndarray]) -> None:
        """The same for x (B,T,D) | (B,T) and states (B,H), as in `Placed`."""
        if self._spec.vocab_size is None:
            np.copyto(self._x, x.transpose(1, 0, 2))
        else:
            np.take(self._values["E"], x.T, axis=0, out=self._x, mode="clip")
        for layer in self._layers:
            for prefix, scan in layer.scans.items():
                scan.start(state.get(f"{prefix}.h0"), state.get(f"{prefix}.c0"))
                scan.forward()
            if layer.mask is not None:
                self._rng.random(out=layer.mask, dtype=layer.mask.dtype)
                np.greater_equal(layer.mask, self._spec.dropout, out=layer.mask)
                np.multiply(layer.mask, 1 / (1 - self._spec.dropout), out=layer.mask)
                np.multiply(layer.states[1:-1], layer.mask, out=layer.dropped)
        if self._spec.readout == "last_step":
            for scan in self._layers[-1].scans.values():
                self._features[:, scan.half] = scan.last_h
        if self._spec.output_size is not None:
            self._ops.matmul(self._features, self._values["W_hy"], out=self._outputs)
            self._ops.add(self._outputs, self._values["b_y"], out=self._outputs)
        elif self._own_outputs:
            np.copyto(self._outputs, self._features)
        if self._padding is not None and self._spec.readout == "every_step":
            np.copyto(self._outputs, 0, where=self._padding.reshape(-1, 1))

    def backward(self, placed: Placed) -> np.floating:
        """Return the loss, and write every gradient; overwrites what `forward` kept."""
        assert self._gradients is not None
        loss = self._loss(placed)
        if self._spec.output_size is not None:
            d = self._d_outputs
            self._ops.matmul(self._features.T, d, out=self._gradients["W_hy"])
            if (sum_rows := getattr(self._ops, "sum_rows", None)) is not None:
                sum_rows(d, self._gradients["b_y"])
            else:
                self._ops.matmul(self._ones, d, out=self._gradients["b_y"])
            self._ops.matmul(d, self._values["W_hy"].T, out=self._d_features)
        from_last_step = self._spec.readout == "last_step"
        for index, layer in reversed(list(enumerate(self._layers))):
            for scan in layer.scans.values():
                scan.dh[...] = self._d_features[:, scan.half] if from_last_step else 0
                scan.backward()
            for scan in layer.scans.values():
                scan.weight_products()
            if layer.d_input is not None:
                self._input_gradient(layer, None if index == 0 else self._layers[index - 1].mask)
            from_last_step = False  # only the top layer gets its gradient from the readout
        if "E" in self._gradients:
            self._embedding_gradient(placed.x)
        return loss

    def _input_gradient(self, layer: Layer, mask: np.ndarray | None) -> None:
        """Gradient of the input from both directions, through the dropout below: mask (T,B,I)."""
        assert layer.d_input is not None
        first, *other = layer.scans.values()
        first.input_gradient(layer.d_input)
        for scan in other:
            assert layer.d_other is not None
            scan.input_gradient(layer.d_other)
            self._ops.add(layer.d_input, layer.d_other, out=layer.d_input)
        if mask is not None:
            np.multiply(layer.d_input, mask.reshape(layer.d_input.shape), out=layer.d_input)

    def _embedding_gradient(self, ids: np.ndarray) -> None:
        """Add the gradient rows of each id in ids (B,T)."""
        assert self._gradients is not None
        dE, dx, width = self._gradients["E"], self._layers[0].d_input, self._spec.input_size
        assert dx is not None
        dE.fill(0)
        if (add_rows := getattr(self._ops, "add_rows", None)) is not None:
            add_rows(dE, ids.T.reshape(-1), dx)
            return
        # add.at is fast only for one axis, so each number of a row is addressed separately.
        np.add.outer(ids.T.reshape(-1) * width, np.arange(width), out=self._cells_of_E)
        np.add.at(dE.reshape(-1), self._cells_of_E.reshape(-1), dx.reshape(-1))

    def _loss(self, placed: Placed) -> np.floating:
        """Return the loss of `tasks.loss`; write its gradient by the outputs into the buffer."""
        scale, d = self._scale(placed), self._d_outputs
        if self._spec.loss == "cross_entropy":
            each = _cross_entropy(self._outputs, self._time_first(placed.y), self._rows, d)
            factor = scale
        else:
            np.subtract(self._outputs, self._time_first(placed.y), out=d)
            each = np.einsum("nc,nc->n", d, d) / d.shape[1]
            factor = scale * (2 / d.shape[1])
        if isinstance(scale, float):
            np.multiply(d, factor, out=d)
            return each.sum() * scale
        np.multiply(d, factor[:, None], out=d)
        return np.dot(each, scale)

    def _scale(self, placed: Placed) -> Any:
        """The factor of each output's loss: a number, or (T*B) with weights or padding."""
        batch, total_over_steps = self.shape[0], self._spec.time_reduction == "sum"
        every_step, weight = self._spec.readout == "every_step", placed.weight
        real = None if self._padding is None or not every_step else ~self._padding.reshape(-1)
        if weight is None and real is None:
            return 1 / (batch if total_over_steps else len(self._outputs))
        w = np.ones_like(self._outputs[:, 0]) if weight is None else self._time_first(weight)
        w = w if real is None else w * real
        divisor = batch if total_over_steps else w.sum()
        return w / divisor if divisor else np.zeros_like(w)

    def _time_first(self, array: np.ndarray) -> np.ndarray:
        """(B,T,C) as (T*B,C), (B,T) as (T*B); (B,C) and (B,) of the last step unchanged."""
        if self._spec.readout == "last_step":
            return array
        return array.swapaxes(0, 1).reshape(len(self._outputs), *array.shape[2:])

    @property
    def rows(self) -> np.ndarray:
        """The outputs in their buffer: (T*B,C), or (B,C) of the last step."""
        return self._outputs

    def last_states(self) -> Arrays:
        """The last states (B,H) by name, in their buffers."""
        return {
            f"{prefix}.{kind}": state
            for layer in self._layers
            for prefix, scan in layer.scans.items()
            for kind, state in scan.last().items()
        }

    def outputs_and_states(self) -> Arrays:
        """The result of `forward`: outputs (B,T,C) or (B,C), last states (B,H) by name."""
        outputs: np.ndarray = self._outputs
        if self._spec.readout == "every_step":
            batch, steps, _ = self.shape
            outputs = outputs.reshape(steps, batch, -1).swapaxes(0, 1)
        found = {"outputs": outputs, **self.last_states()}
        return {name: value.copy() for name, value in found.items()}


def _cross_entropy(
    outputs: np.ndarray, y: np.ndarray, rows: np.ndarray, d: np.ndarray
) -> np.ndarray:
    """Losses (N) of outputs (N,C) and classes y (N); writes softmax(outputs) - onehot(y) to d."""
    np.subtract(outputs, outputs.max(axis=1, keepdims=True), out=d)
    shifted = d[rows, y]
    np.exp(d, out=d)
    total = d.sum(axis=1)
    np.divide(d, total[:, None], out=d)
    d[rows, y] -= 1
    return np.log(total) - shifted


def _weights(arrays: Arrays, prefix: str) -> Weights:
    return Weights(
        arrays[f"{prefix}.W_xh"],
        arrays[f"{prefix}.W_hh"],
        arrays.get(f"{prefix}.b"),
        arrays.get(f"{prefix}.b_hh"),
    )

"""The model in Keras 3 layers, its weights in both layouts, and the loss. Same on every backend.

Axes as in tasks.spec. The layers of Keras hold `kernel` = W_xh, `recurrent_kernel` = W_hh, `bias` =
b. The gates i, f, c, o of its LSTM are our i, f, g, o. Its GRU (reset_after) has the blocks z, r, h
for our r, z, n, and one bias (2,3H): b, then b_hh.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

from tasks.spec import ModelSpec, Params

Cudnn = Literal["auto", False]  # False: Keras' own loop over time, even on a GPU


class Placed(NamedTuple):
    """A batch on the device."""

    x: Any  # (B,T,D) | (B,T)
    y: Any  # (B,T) | (B,) | (B,T,C) | (B,C)
    weight: Any  # (B,T) | None
    state: Any  # list of (B,H) in the order of spec.state_names() | None
    lengths: Any = None  # (B,) | None

    def inputs(self) -> dict[str, Any]:
        """What the net gets of it."""
        return {"x": self.x, "state": self.state, "real": self.real()}

    def real(self) -> Any:
        """(B,T) bool: which steps are no padding; None without lengths."""
        from keras import ops

        if self.lengths is None:
            return None
        return ops.arange(self.x.shape[1], dtype=self.lengths.dtype) < self.lengths[:, None]


def build_net(spec: ModelSpec, policy: str, use_cudnn: Cudnn, *, unroll: bool = False) -> Any:
    """A built keras.Model: (x, state, real, training) -> outputs (B,T,C) or (B,C), last states.

    `real` (B,T) bool or None is the mask of the layers. Outputs in the padding are 0, except in
    training, where no gradient comes from them. `policy` is that of every layer: a dtype, or
    "mixed_bfloat16" for float32 parameters that are cast to bfloat16 where a layer uses them.
    """
    import keras
    from keras import layers, ops

    per_layer = len(spec.state_names()) // spec.num_layers

    class Net(keras.Model):
        def __init__(self) -> None:
            super().__init__(dtype=policy)
            self.embedding = self.head = None
            if spec.vocab_size is not None:
                self.embedding = layers.Embedding(
                    spec.vocab_size, spec.input_size, trainable=spec.train_embedding, dtype=policy
                )
            self.recurrent = [
                _recurrent(spec, layer, policy, use_cudnn, unroll)
                for layer in range(spec.num_layers)
            ]
            # Between the layers, with a mask per element; their own `dropout=` masks per sequence.
            self.dropout = layers.Dropout(spec.dropout, dtype=policy)
            if spec.output_size is not None:
                self.head = layers.Dense(spec.output_size, dtype=policy)

        def build(self, input_shape: Any = None) -> None:
            if self.embedding is not None:
                self.embedding.build()
            for layer, recurrent in enumerate(self.recurrent):
                recurrent.build((None, None, spec.layer_input_size(layer)))
            if self.head is not None:
                self.head.build((None, spec.feature_size))
            self.built = True

        def call(
            self, x: Any, state: Any = None, real: Any = None, training: bool = False
        ) -> tuple[Any, list[Any]]:
            if self.embedding is not None:
                x = self.embedding(x)
            last: list[Any] = []
            for layer, recurrent in enumerate(self.recurrent):
                if layer and spec.dropout:
                    x = self.dropout(x, training=training)
                start = layer * per_layer
                initial = None if state is None else list(state[start : start + per_layer])
                x, *states = recurrent(x, initial_state=initial, mask=real, training=training)
                last += states
            x = x if self.head is None else self.head(x)
            if real is not None and spec.readout == "every_step" and not training:
                x = ops.where(real[..., None], x, ops.zeros_like(x))
            return x, last

    net = Net()
    net.build()
    return net


def _recurrent(spec: ModelSpec, layer: int, policy: str, use_cudnn: Cudnn, unroll: bool) -> Any:
    from keras import layers

    keeps_steps = spec.readout == "every_step" or layer + 1 < spec.num_layers
    options: dict[str, Any] = {
        "use_bias": spec.bias,
        "return_sequences": keeps_steps,
        "return_state": True,
        "unroll": unroll,
        "dtype": policy,
    }
    if spec.cell == "lstm":
        recurrent = layers.LSTM(spec.hidden_size, use_cudnn=use_cudnn, **options)
    elif spec.cell == "gru":
        recurrent = layers.GRU(spec.hidden_size, use_cudnn=use_cudnn, reset_after=True, **options)
    else:
        activation = spec.cell.removeprefix("rnn_")
        recurrent = layers.SimpleRNN(spec.hidden_size, activation=activation, **options)
    if not spec.bidirectional:
        return recurrent
    # The states joined after the last step: forward's at t=T-1, backward's at t=0.
    return layers.Bidirectional(recurrent, merge_mode="concat", dtype=policy)


def is_mixed(net: Any) -> bool:
    """Whether its layers compute in another dtype than that of their parameters."""
    return bool(net.compute_dtype != net.variable_dtype)


def variables(spec: ModelSpec, net: Any) -> dict[str, Any]:
    """The net's keras.Variables by canonical name; the GRU's `b` is Keras' joint bias (2,3H)."""
    named: dict[str, Any] = {}
    if net.embedding is not None:
        named["E"] = net.embedding.embeddings
    for layer, direction, prefix in spec.stack():
        recurrent = net.recurrent[layer]
        if spec.bidirectional:
            both = {"fwd": recurrent.forward_layer, "bwd": recurrent.backward_layer}
            recurrent = both[direction]
        named[f"{prefix}.W_xh"] = recurrent.cell.kernel
        named[f"{prefix}.W_hh"] = recurrent.cell.recurrent_kernel
        if spec.bias:
            named[f"{prefix}.b"] = recurrent.cell.bias
    if net.head is not None:
        named["W_hy"], named["b_y"] = net.head.kernel, net.head.bias
    return named


def _swap_blocks(value: np.ndarray) -> np.ndarray:
    """(..,3H): the gates r, z, n as z, r, n, and back."""
    first, second, n = np.split(value, 3, axis=-1)
    return np.concatenate([second, first, n], axis=-1)


def to_keras(spec: ModelSpec, params: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Canonical parameters -> the arrays of `variables`."""
    if spec.cell != "gru":
        return dict(params)
    arrays = {n: _swap_blocks(value) if "." in n else value for n, value in params.items()}
    if spec.bias:
        for _, _, prefix in spec.stack():
            arrays[f"{prefix}.b"] = np.stack([arrays[f"{prefix}.b"], arrays.pop(f"{prefix}.b_hh")])
    return arrays


def to_canonical(spec: ModelSpec, arrays: Mapping[str, np.ndarray]) -> Params:
    """The inverse of `to_keras`, for parameters and for gradients."""
    if spec.cell != "gru":
        return dict(arrays)
    params = {n: _swap_blocks(value) if "." in n else value for n, value in arrays.items()}
    if spec.bias:
        for _, _, prefix in spec.stack():
            params[f"{prefix}.b"], params[f"{prefix}.b_hh"] = params[f"{prefix}.b"]
    return params


def batch_loss(spec: ModelSpec, outputs: Any, batch: Placed) -> Any:
    """tasks.loss.loss in Keras' ops, at least in float32: outputs (B,T,C) or (B,C) -> ()."""
    from keras import backend, ops

    if backend.standardize_dtype(outputs.dtype) == "bfloat16":
        outputs = ops.cast(outputs, "float32")
    if spec.loss == "mse":
        each = ops.mean(ops.square(outputs - batch.y), axis=-1)
    else:
        each = ops.sparse_categorical_crossentropy(batch.y, outputs, from_logits=True)
    weight, real = batch.weight, batch.real()
    if real is not None and spec.readout == "every_step":
        real = ops.cast(real, each.dtype)
        weight = real if weight is None else weight * real
    if weight is not None:
        total, weights = ops.sum(weight * each), ops.sum(weight)
        if spec.time_reduction == "sum":
            return total / each.shape[0]
        # Both branches stay finite, so that no gradient is 0 times infinity.
        nothing = weights == 0
        mean = total / ops.where(nothing, ops.ones_like(weights), weights)
        return ops.where(nothing, ops.zeros_like(mean), mean)
    if spec.time_reduction == "sum":
        return ops.sum(each) / each.shape[0]
    return ops.mean(each)

"""Reads a Keras model of a user: the layers that its forward pass calls, and its weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from backends.assembled import assemble, reads_all
from backends.described import Activation, Described, NotDescribableError, Shape
from backends.keras.described_calls import leaves, outputs, recorded, watched
from backends.keras.described_compile import compiled
from backends.keras.described_layers import (
    Call,
    called,
    is_recurrent,
    passes_on,
    refuse_odd,
    shake,
)
from backends.keras.described_training import gradients, refuse_what_training_changes
from tasks.spec import ModelSpec, Params


def read(net: Any, asked: Shape = (None, None)) -> Described:
    """`asked` are B and T of a net that takes no others. Raises NotDescribableError."""
    _expect_one_input(net)
    batch, steps, width = _shape(net)
    vocab = next((e.input_dim for e in leaves(net) if type(e).__name__ == "Embedding"), None)
    if vocab is None and width is None and steps is not None:
        raise NotDescribableError(
            f"the net reads numbers of shape {(batch, steps)}; expected (B, T, D), or ids of an "
            "Embedding"
        )
    if vocab is None and width is None:
        raise NotDescribableError(
            "the net does not know the size of its input; expected one that begins with "
            "keras.Input(shape=(T, D)), or that was called once"
        )
    x, calls, fixed = watched(net, vocab, width or 1, (batch, steps), asked)
    calls = [call for call in calls if not passes_on(call)]
    refuse_odd(calls)
    _expect_all_weights(net, calls)
    spec, params, activation = _assembled(calls, x)
    refuse_what_training_changes(net, x, calls)
    loss, optimizer, notes = compiled(net, activation)
    if any(call.layer.compute_dtype == "float64" for call in calls):
        notes = ("the net computes in float64; the workload names no dtype, so in float32", *notes)
    described = Described(
        spec,
        params,
        activation,
        lambda x: outputs(net, x),
        batch=fixed[0],
        steps=fixed[1],
        loss=loss,
        optimizer=optimizer,
        notes=notes,
        head_on_all=reads_all([each for call in calls for each in called(call)], x),
        gradients=lambda given, d: gradients(net, calls, x, given, d),
    )

    def shaken(negated: bool) -> Described:
        shake([call.layer for call in calls], negated)
        params = _assembled(calls, x)[1]
        return replace(described, params=params, outputs=lambda x: _again(net, x), shaken=None)

    return replace(described, shaken=shaken)


def _assembled(calls: Sequence[Call], x: np.ndarray) -> tuple[ModelSpec, Params, Activation]:
    return assemble([each for call in calls for each in called(call)], x)


def _again(net: Any, x: np.ndarray) -> np.ndarray:
    """The outputs; each layer reads the one before it, for this x too."""
    with recorded() as calls:
        y = outputs(net, x)
    _assembled([call for call in calls if not passes_on(call)], x)
    return y


def _expect_one_input(net: Any) -> None:
    """Of a functional or sequential model; others show it when they are called."""
    for what in ("inputs", "outputs"):
        tensors = getattr(net, what, None)
        if isinstance(tensors, list | tuple | dict) and len(tensors) > 1:
            raise NotDescribableError(f"the net has several {what}, {len(tensors)}; expected one")


def _shape(net: Any) -> tuple[int | None, int | None, int | None]:
    """B and T where the net fixes them, and D where it reads numbers and knows how many."""
    shape = getattr(net, "input_shape", None) if getattr(net, "inputs", None) else None
    if isinstance(shape, tuple) and len(shape) == 3:
        return shape
    if isinstance(shape, tuple) and len(shape) == 2:
        return (*shape, None)
    if shape is not None:
        raise NotDescribableError(f"the net reads an input of shape {shape}; expected (B, T, D)")
    for layer in leaves(net):
        if is_recurrent(layer) and layer.built:
            inner = getattr(layer, "forward_layer", layer)
            return None, None, int(inner.cell.kernel.shape[0])
    return None, None, None


def _expect_all_weights(net: Any, calls: Sequence[Call]) -> None:
    """Raise where the net has weights besides those of the layers that it calls."""
    held = {id(weight) for call in calls for weight in call.layer.weights}
    own = [weight.path for weight in net.trainable_weights if id(weight) not in held]
    if own:
        raise NotDescribableError(
            f"the net has parameters outside of the layers that it calls: {', '.join(own)}"
        )

"""Reads a Keras model of a user: the layers that its forward pass calls, and its weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np

from backends.described import (
    PROBE_BATCH,
    PROBE_STEPS,
    Described,
    NotDescribableError,
    assemble,
)
from backends.keras.described_layers import (
    Call,
    called,
    is_recurrent,
    refuse_odd,
    to_numpy,
)

# Keras' names of losses and optimizers, by ours.
LOSSES = {
    "mse": "mse",
    "mean_squared_error": "mse",
    "categorical_crossentropy": "cross_entropy",
    "sparse_categorical_crossentropy": "cross_entropy",
}
# Options of an optimizer that a workload does not have, and their value where they do nothing.
OF_OPTIMIZER = {
    "momentum": 0.0,
    "nesterov": False,
    "amsgrad": False,
    "weight_decay": None,
    "clipnorm": None,
    "clipvalue": None,
    "global_clipnorm": None,
    "use_ema": False,
}


def read(net: Any) -> Described:
    """Raises NotDescribableError."""
    _expect_one_input(net)
    batch, steps, width = _shape(net)
    rng = np.random.default_rng(0)
    shape = (batch or PROBE_BATCH, steps or (PROBE_STEPS if batch != PROBE_STEPS else 7))
    vocab = next((e.input_dim for e in _leaves(net) if type(e).__name__ == "Embedding"), None)
    if vocab is None and width is None:
        raise NotDescribableError(
            "the net does not know the size of its input; expected one that begins with "
            "keras.Input(shape=(T, D)), or that was called once"
        )
    x: np.ndarray = rng.integers(vocab or 1, size=shape)
    if vocab is None:
        x = rng.standard_normal((*shape, width or 1)).astype(np.float32)
    calls = _watched(net, x)
    refuse_odd(calls)
    _expect_all_weights(net, calls)
    spec, params, activation = assemble([each for call in calls for each in called(call)], x)
    loss, optimizer, notes = _compiled(net)
    return Described(
        spec, params, activation, lambda x: _outputs(net, x), batch, steps, loss, optimizer, notes
    )


def _outputs(net: Any, x: np.ndarray) -> np.ndarray:
    given = x.astype(np.float32 if x.ndim == 3 else np.int32)
    returned = net(given)
    found = returned
    while isinstance(found, tuple | list) and found:
        found = found[0]
    try:
        return to_numpy(found)
    except (TypeError, ValueError) as error:
        raise NotDescribableError(
            f"the net returns a {type(returned).__name__}; expected a tensor, or a tuple with one"
        ) from error


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
    for layer in _leaves(net):
        if is_recurrent(layer) and layer.built:
            inner = getattr(layer, "forward_layer", layer)
            return None, None, int(inner.cell.kernel.shape[0])
    return None, None, None


def _leaves(net: Any) -> Iterator[Any]:
    """The layers of Keras in a net, in the order in which they were made."""
    inner = _inner(net)
    if inner is None:
        yield net
    for layer in inner or ():
        yield from _leaves(layer)


def _inner(layer: Any) -> Sequence[Any] | None:
    """The layers that a model, or a layer of the user's own, is made of; None: it is one layer."""
    import keras

    if isinstance(layer, keras.Model):
        return list(layer.layers)
    if type(layer).__module__.partition(".")[0] == "keras" or is_recurrent(layer):
        return None
    return list(getattr(layer, "_layers", ())) or None


def _watched(net: Any, x: np.ndarray) -> list[Call]:
    """The calls that the net makes of its layers on x (B,T,D) or (B,T)."""
    import keras

    keras.config.disable_traceback_filtering()  # it would hide the first line of an error
    shape = tuple(x.shape)
    try:
        _outputs(net, x)  # it builds what is not built yet, with symbolic tensors
        with _recorded() as calls:
            _outputs(net, x)
    except NotDescribableError:
        raise
    except Exception as error:  # whatever the user's code raises
        refuse_odd(Call(layer) for layer in _leaves(net))
        text = (str(error).strip().splitlines() or [""])[0]
        raise NotDescribableError(
            f"the net's call raises {type(error).__name__}: {text}, on an input of shape {shape}"
        ) from error
    return calls


@contextmanager
def _recorded() -> Iterator[list[Call]]:
    """Every call of a layer that is not inside of another layer of Keras."""
    import keras

    calls: list[Call] = []
    original = keras.layers.Layer.__call__
    inside = False

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal inside
        if inside or _inner(layer) is not None:
            return original(layer, *args, **kwargs)
        inside = True
        try:
            returned = original(layer, *args, **kwargs)
        finally:
            inside = False
        calls.append(Call(layer, args, kwargs, returned))
        return returned

    with mock.patch.object(keras.layers.Layer, "__call__", call):
        yield calls


def _expect_all_weights(net: Any, calls: Sequence[Call]) -> None:
    """Raise where the net has weights besides those of the layers that it calls."""
    held = {id(weight) for call in calls for weight in call.layer.weights}
    own = [weight.path for weight in net.trainable_weights if id(weight) not in held]
    if own:
        raise NotDescribableError(
            f"the net has parameters outside of the layers that it calls: {', '.join(own)}"
        )


def _compiled(net: Any) -> tuple[str | None, str | None, tuple[str, ...]]:
    """The loss and the optimizer of a compiled model, and what a workload does not have of them."""
    loss, optimizer, notes = getattr(net, "loss", None), getattr(net, "optimizer", None), []
    if isinstance(loss, dict):
        loss = list(loss.values())
    if isinstance(loss, list | tuple):
        loss = loss[0] if len(loss) == 1 else "several losses"
    if loss is not None:
        name = loss if isinstance(loss, str) else getattr(loss, "name", None) or loss.__name__
        loss = LOSSES.get(_snake(name), name)
    if optimizer is None or loss is None:  # a model that is not compiled has an optimizer, too
        return loss, None, ()
    name = type(optimizer).__name__.lower()
    for option, idle in OF_OPTIMIZER.items():
        value = getattr(optimizer, option, idle)
        if value != idle and name in ("adam", "sgd"):
            notes.append(f"the optimizer's {option} {value} is left out")
    return loss, name, tuple(notes)


def _snake(name: str) -> str:
    """ "mean_squared_error" of "MeanSquaredError"."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")

"""Reads a Keras model of a user: the layers that its forward pass calls, and its weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest import mock

import numpy as np

from backends.described import (
    PROBE_BATCH,
    PROBE_STEPS,
    Activation,
    Described,
    NotDescribableError,
    assemble,
    random_input,
)
from backends.keras.described_compile import compiled
from backends.keras.described_layers import (
    Call,
    called,
    is_recurrent,
    passes_on,
    refuse_odd,
    shake,
    to_numpy,
)
from tasks.spec import ModelSpec, Params


def read(net: Any) -> Described:
    """Raises NotDescribableError."""
    _expect_one_input(net)
    batch, steps, width = _shape(net)
    shape = (batch or PROBE_BATCH, steps or (PROBE_STEPS if batch != PROBE_STEPS else 7))
    vocab = next((e.input_dim for e in _leaves(net) if type(e).__name__ == "Embedding"), None)
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
    x = random_input(shape, vocab, width or 1)
    calls = _watched(net, x)
    refuse_odd(calls)
    _expect_all_weights(net, calls)
    spec, params, activation = _assembled(calls, x)
    _refuse_what_training_changes(net, x, calls)
    loss, optimizer, notes = compiled(net, activation)
    if any(call.layer.compute_dtype == "float64" for call in calls):
        notes = ("the net computes in float64; the workload names no dtype, so in float32", *notes)
    described = Described(
        spec, params, activation, lambda x: _outputs(net, x), batch, steps, loss, optimizer, notes
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
    with _recorded() as calls:
        y = _outputs(net, x)
    _assembled([call for call in calls if not passes_on(call)], x)
    return y


def _outputs(net: Any, x: np.ndarray, training: bool = False) -> np.ndarray:
    given = x.astype(np.float32 if x.ndim == 3 else np.int32)
    returned = net(given, training=True) if training else net(given)
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
    return [call for call in calls if not passes_on(call)]


def _refuse_what_training_changes(net: Any, x: np.ndarray, calls: Sequence[Call]) -> None:
    """Raise for what evaluation hides: dropout that is no layer, or a layer that drops nothing."""
    drops = [call.layer for call in calls if type(call.layer).__name__ == "Dropout"]
    evaluated = _outputs(net, x)
    with _recorded() as in_training:
        _outputs(net, x, training=True)
    in_training = [call for call in in_training if not passes_on(call)]
    if [call.layer for call in in_training] != [call.layer for call in calls]:
        raise NotDescribableError(
            "the net calls other layers in training than in evaluation; expected the same"
        )
    for call in in_training:
        if call.layer in drops and call.layer.rate and call.kwargs.get("training") is False:
            raise NotDescribableError(
                f"{call.name} is called with training=False and drops nothing"
            )
    before = [layer.rate for layer in drops]
    try:
        for layer in drops:
            layer.rate = 0
        trained = _outputs(net, x, training=True)
    finally:
        for layer, rate in zip(drops, before, strict=True):
            layer.rate = rate
    if trained.shape != evaluated.shape or not np.allclose(trained, evaluated, 1e-4, 1e-6):
        raise NotDescribableError(
            "the net computes something else in training, such as keras.random.dropout; expected "
            "dropout as a layer"
        )


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

"""What one evaluation of a user's Keras model hides: training, and its gradients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from backends.assembled import assemble
from backends.described import NotDescribableError
from backends.keras.described_calls import first_tensor, outputs, placed, recorded
from backends.keras.described_layers import Call, called, passes_on, to_numpy
from tasks.spec import Params


def refuse_what_training_changes(net: Any, x: np.ndarray, calls: Sequence[Call]) -> None:
    """Raise for what evaluation hides: dropout that is no layer, or a layer that drops nothing."""
    evaluated = outputs(net, x)
    with recorded() as in_training:
        outputs(net, x, training=True)
    in_training = [call for call in in_training if not passes_on(call)]
    if [call.layer for call in in_training] != [call.layer for call in calls]:
        raise NotDescribableError(
            "the net calls other layers in training than in evaluation; expected the same"
        )
    for call in in_training:
        if _drops(call) and call.layer.rate and call.kwargs.get("training") is False:
            raise NotDescribableError(
                f"{call.name} is called with training=False and drops nothing"
            )
    with _without_dropout(calls):
        trained = outputs(net, x, training=True)
    if trained.shape != evaluated.shape or not np.allclose(trained, evaluated, 1e-4, 1e-6):
        raise NotDescribableError(
            "the net computes something else in training, such as keras.random.dropout; expected "
            "dropout as a layer"
        )


def gradients(
    net: Any, calls: Sequence[Call], read: np.ndarray, x: np.ndarray, d: np.ndarray
) -> Params:
    """Of sum(outputs * d) in training without dropout: outputs of x, by canonical names.

    `calls` are those of the input `read`. Raises NotDescribableError where no gradient reaches a
    weight.
    """
    import keras

    pull = {"tensorflow": _on_tensorflow, "jax": _on_jax, "torch": _on_torch}
    with _without_dropout(calls):
        pulled = pull[keras.backend.backend()](net, placed(x), d)
    found = {id(v): each for v, each in zip(net.trainable_variables, pulled, strict=True)}
    for call in calls:
        if any(found[id(v)] is None for v in call.layer.trainable_variables):
            raise NotDescribableError(
                f"no gradient reaches the weights of {call.name}; expected trained ones"
            )

    def of(weight: Any) -> np.ndarray:
        value = found.get(id(weight))
        return np.zeros(weight.shape) if value is None else to_numpy(value)

    return assemble([each for call in calls for each in called(call, of)], read)[1]


def _on_tensorflow(net: Any, x: np.ndarray, d: np.ndarray) -> list[Any]:
    import tensorflow as tf

    with tf.GradientTape() as tape:
        y = first_tensor(net(x, training=True))
    pulled = tape.gradient(y, net.trainable_variables, output_gradients=tf.cast(d, y.dtype))
    # The gradient of an embedding is IndexedSlices.
    return [None if each is None else tf.convert_to_tensor(each) for each in pulled]


def _on_jax(net: Any, x: np.ndarray, d: np.ndarray) -> list[Any]:
    import jax
    import jax.numpy as jnp

    frozen = [v.value for v in net.non_trainable_variables]

    def call(trainable: Any) -> Any:
        returned, _ = net.stateless_call(trainable, frozen, x, training=True)
        return first_tensor(returned)

    @jax.jit
    def pulled(trainable: Any) -> Any:
        y, pull = jax.vjp(call, trainable)
        return pull(jnp.asarray(d, y.dtype))[0]

    return list(pulled([v.value for v in net.trainable_variables]))


def _on_torch(net: Any, x: np.ndarray, d: np.ndarray) -> list[Any]:
    import torch

    weights = [v.value for v in net.trainable_variables]
    for weight in weights:
        weight.grad = None
    y = first_tensor(net(x, training=True))
    if y.requires_grad:
        y.backward(torch.from_numpy(np.ascontiguousarray(d)).to(y))
    return [weight.grad for weight in weights]


def _drops(call: Call) -> bool:
    return type(call.layer).__name__ == "Dropout"


@contextmanager
def _without_dropout(calls: Sequence[Call]) -> Iterator[None]:
    """Nothing is dropped inside."""
    drops = [call.layer for call in calls if _drops(call)]
    before = [layer.rate for layer in drops]
    try:
        for layer in drops:
            layer.rate = 0
        yield
    finally:
        for layer, rate in zip(drops, before, strict=True):
            layer.rate = rate

"""The calls that a user's Keras model makes of its layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np

from backends.described import (
    NotDescribableError,
    Shape,
    probe_shape,
    random_input,
    shapes_to_try,
)
from backends.keras.described_layers import Call, is_recurrent, refuse_odd, to_numpy


def first_tensor(returned: Any) -> Any:
    """What a net returns, or what the tuple of it begins with."""
    found = returned
    while isinstance(found, tuple | list) and found:
        found = found[0]
    return found


def placed(x: np.ndarray) -> np.ndarray:
    """x (B,T,D) or ids (B,T), as a net gets them."""
    return x.astype(np.float32 if x.ndim == 3 else np.int32)


def outputs(net: Any, x: np.ndarray, training: bool = False) -> np.ndarray:
    """What the net makes of x (B,T,D) or (B,T). Raises NotDescribableError if it is no tensor."""
    returned = net(placed(x), training=True) if training else net(placed(x))
    try:
        return to_numpy(first_tensor(returned))
    except (TypeError, ValueError) as error:
        raise NotDescribableError(
            f"the net returns a {type(returned).__name__}; expected a tensor, or a tuple with one"
        ) from error


def watched(
    net: Any, vocab: int | None, width: int, fixed: Shape, asked: Shape
) -> tuple[np.ndarray, list[Call], Shape]:
    """A random input that the net takes, the calls that it makes of its layers, and the B and T
    that it fixes: `fixed`, and of `asked` those without which it raises.

    Raises NotDescribableError.
    """
    import keras

    keras.config.disable_traceback_filtering()  # it would hide the first line of an error
    failure: tuple[Exception, np.ndarray] | None = None
    for shape in shapes_to_try(asked, fixed):
        x = random_input(probe_shape(shape), vocab, width)
        try:
            outputs(net, x)  # it builds what is not built yet, with symbolic tensors
            with recorded() as calls:
                outputs(net, x)
        except NotDescribableError:
            raise
        except Exception as error:  # whatever the user's code raises
            failure = failure or (error, x)
        else:
            return x, calls, shape
    assert failure is not None
    fault, x = failure
    refuse_odd(Call(layer) for layer in leaves(net))
    text = (str(fault).strip().splitlines() or [""])[0]
    hint = "" if any(asked) else "; --batch and --steps name the sizes of a net that takes no other"
    raise NotDescribableError(
        f"the net's call raises {type(fault).__name__}: {text}, on an input of shape "
        f"{tuple(x.shape)}{hint}"
    ) from fault


def leaves(net: Any) -> Iterator[Any]:
    """The layers of Keras in a net, in the order in which they were made."""
    inner = parts_of(net)
    if inner is None:
        yield net
    for layer in inner or ():
        yield from leaves(layer)


def parts_of(layer: Any) -> Sequence[Any] | None:
    """The layers that a model, or a layer of the user's own, is made of; None: it is one layer."""
    import keras

    if isinstance(layer, keras.Model):
        return list(layer.layers)
    if type(layer).__module__.partition(".")[0] == "keras" or is_recurrent(layer):
        return None
    return list(getattr(layer, "_layers", ())) or None


@contextmanager
def recorded() -> Iterator[list[Call]]:
    """Every call of a layer that is not inside of another layer of Keras."""
    import keras

    calls: list[Call] = []
    original = keras.layers.Layer.__call__
    inside = False

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal inside
        if inside or parts_of(layer) is not None:
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

"""The layers of Keras that a workload file can describe, and why others are none of them.

`net.py` has the two layouts of the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backends.described import (
    Activation,
    Called,
    Dropout,
    Embedding,
    Head,
    Layer,
    NotDescribableError,
    Recurrent,
    Softmax,
)
from backends.keras.net import to_canonical
from tasks.spec import Cell, ModelSpec, Params

SOFTMAXES: Mapping[str, Activation] = {"softmax": "softmax", "log_softmax": "log_softmax"}
Values = Callable[[Any], np.ndarray]
KNOWN = ("Embedding", "Dropout", "Dense", "Softmax", "Activation", "InputLayer", "Identity")


@dataclass(frozen=True)
class Call:
    """One call of a layer, with its arguments and its result."""

    layer: Any
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    returned: Any = None

    @property
    def name(self) -> str:
        return f"{self.layer.name!r} ({type(self.layer).__name__})"


def is_recurrent(layer: Any) -> bool:
    """Whether it is a SimpleRNN, GRU or LSTM, or one in both directions."""
    from keras import layers

    inner = layer.forward_layer if isinstance(layer, layers.Bidirectional) else layer
    return isinstance(inner, layers.SimpleRNN | layers.GRU | layers.LSTM)


def passes_on(call: Call) -> bool:
    """Whether it is a layer without weights that returns numbers which it is given, as they are.

    Such as a Lambda or one of the user's that takes the last step.
    """
    from keras import layers

    layer = call.layer
    of_keras = any(
        base.__module__.partition(".")[0] == "keras" and issubclass(base, layers.Layer)
        for base in type(layer).__mro__
        if base is not layers.Layer
    )
    if (of_keras and not isinstance(layer, layers.Lambda)) or layer.weights:
        return False
    given, returned = [*_tensors((call.args, call.kwargs))], [*_tensors(call.returned)]
    return bool(given and returned) and all(np.isin(each, given[0]).all() for each in returned)


def _tensors(nested: Any) -> Iterator[np.ndarray]:
    import keras

    for each in keras.tree.flatten(nested):
        if hasattr(each, "shape") and hasattr(each, "dtype"):
            yield to_numpy(each)


def shake(called_layers: Iterable[Any], negated: bool) -> None:
    """Draw the weights anew, the same at each call; `negated`: those of a head negated."""
    from keras import layers

    rng = np.random.default_rng(1)
    for layer in called_layers:
        sign = -1.0 if negated and isinstance(_inner(layer), layers.Dense) else 1.0
        for weight in layer.weights:
            scale = 0.3 if "bias" in weight.name else weight.shape[0] ** -0.5
            if "embedding" in weight.name:
                scale = 1.0
            weight.assign(sign * scale * rng.standard_normal(weight.shape))


def refuse_odd(calls: Iterable[Call]) -> None:
    """Raise NotDescribableError for the first call of a layer that ModelSpec does not have."""
    for call in calls:
        if reason := _odd(call) or _odd_options(call.layer):
            raise NotDescribableError(f"{call.name} {reason}")


def _odd(call: Call) -> str:
    from keras import layers

    layer = _inner(call.layer)
    if call.kwargs.get("mask") is not None or len(call.args) > 2:
        return "reads a mask; expected sequences without a mask"
    if call.args and isinstance(call.args[0], list | tuple) and len(call.args[0]) > 1:
        return "joins two branches; expected one layer after the other"
    if isinstance(layer, layers.Masking):
        return "masks steps; expected sequences without a mask"
    if isinstance(call.layer, layers.Bidirectional) and is_recurrent(call.layer):
        return _odd_pair(call.layer)
    if is_recurrent(layer):
        return _odd_recurrent(layer)
    if isinstance(layer, layers.RNN) or hasattr(layer, "state_size"):
        return "has a cell of its own; expected SimpleRNN, GRU or LSTM"
    if type(layer).__name__ not in KNOWN or not type(layer).__module__.startswith("keras."):
        return "is another layer; expected embedding, recurrent layers, dropout and a linear head"
    if getattr(layer, "lora_rank", None):
        return "has lora_rank; expected none"
    if isinstance(layer, layers.Embedding):
        return "has mask_zero; expected sequences without a mask" if layer.mask_zero else ""
    if isinstance(layer, layers.Dropout) and layer.noise_shape is not None:
        return f"has noise_shape {layer.noise_shape}; expected none"
    if isinstance(layer, layers.Dense | layers.Activation):
        name = _activation(layer.activation)
        if name not in (*SOFTMAXES, "linear"):
            return f"has the activation {name}; expected linear or softmax"
    return ""


def _odd_pair(pair: Any) -> str:
    if pair.merge_mode != "concat":
        return f"has merge_mode {pair.merge_mode!r}; expected 'concat'"
    forward, backward = pair.forward_layer, pair.backward_layer
    if not backward.go_backwards:
        return "runs forward in both directions; expected one backward"
    same = ("units", "activation", "use_bias", "dropout", "recurrent_dropout")
    for option in ("recurrent_activation", "reset_after", *same):
        if getattr(forward, option, None) != getattr(backward, option, None):
            return f"has directions of different {option}; expected the same"
    return _odd_recurrent(forward) if type(forward) is type(backward) else "has different cells"


def _odd_recurrent(layer: Any) -> str:
    from keras import layers

    activation, simple = _activation(layer.activation), isinstance(layer, layers.SimpleRNN)
    valid = ("tanh", "relu") if simple else ("tanh",)
    if activation not in valid:
        return f"has the activation {activation}; expected {' or '.join(valid)}"
    inner = "sigmoid" if simple else _activation(layer.recurrent_activation)
    if inner != "sigmoid":
        return f"has the recurrent_activation {inner}; expected sigmoid"
    if layer.recurrent_dropout:
        return f"has recurrent_dropout {layer.recurrent_dropout}; expected none"
    if layer.dropout:
        return (
            f"has the option dropout {layer.dropout}, which drops the same inputs at every step; "
            "expected a layer Dropout between recurrent layers"
        )
    if not getattr(layer, "reset_after", True):
        return "has reset_after=False; expected True"
    for option in ("go_backwards", "stateful"):
        if getattr(layer, option):
            return f"has {option}; expected none"
    return ""


def _odd_options(layer: Any) -> str:
    """What any layer may have."""
    for each in {id(one): one for one in (layer, *_parts(layer))}.values():
        for option, value in vars(each).items():
            if option.endswith(("_regularizer", "_constraint")) and value is not None:
                return f"has {option.lstrip('_')}; expected none"
        if each.compute_dtype not in ("float32", "float64"):
            return f"computes in {each.compute_dtype}; expected float32"
        frozen = not each.trainable and type(each).__name__ != "Embedding"
        if frozen and each.weights:
            return "has frozen weights; expected trained ones"
    return ""


def _parts(layer: Any) -> list[Any]:
    """The layers and cells inside of a layer of Keras."""
    names = ("layer", "forward_layer", "backward_layer")
    inner = [getattr(layer, name) for name in names if hasattr(layer, name)]
    return [cell for one in (layer, *inner) for cell in (one, getattr(one, "cell", one))]


def _inner(layer: Any) -> Any:
    """The Dense of a TimeDistributed(Dense), which does the same."""
    from keras import layers

    wrapped = isinstance(layer, layers.TimeDistributed) and isinstance(layer.layer, layers.Dense)
    return layer.layer if wrapped else layer


def _activation(function: Any) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


def to_numpy(tensor: Any) -> np.ndarray:
    """In float64 if it holds floating-point numbers."""
    from keras import ops

    found = np.asarray(ops.convert_to_numpy(tensor))
    return found.astype(np.float64) if found.dtype.kind == "f" else found


def called(call: Call, of: Values = to_numpy) -> list[Called]:
    """The layers of a call: two of a Dense with softmax; `of` gives what stands for a weight.

    Raises NotDescribableError.
    """
    layer = _inner(call.layer)
    kind = type(layer).__name__
    if kind in ("InputLayer", "Identity"):
        return []
    given = [*call.args, *call.kwargs.values()]
    if is_recurrent(layer):
        states = [state for name, value in call.kwargs.items() if name == "initial_state"
                  for state in (value if isinstance(value, list | tuple) else [value])]  # fmt: skip
        if any(state is not None and to_numpy(state).any() for state in (*call.args[1:2], *states)):
            raise NotDescribableError(
                f"{call.name} starts from a state of the net's own; expected zeros"
            )
    returned = call.returned
    y = to_numpy(returned[0] if isinstance(returned, list | tuple) else returned)
    x, names = to_numpy(given[0]), (call.name, f"the softmax of {call.name}")
    return [Called(name, each, x, y) for name, each in zip(names, _layers(layer, of), strict=False)]


def _layers(layer: Any, of: Values) -> list[Layer]:
    kind = type(layer).__name__
    if is_recurrent(layer):
        return [_recurrent(layer, of)]
    if kind == "Embedding":
        return [Embedding(of(layer.embeddings), frozen=not layer.trainable)]
    if kind == "Dropout":
        return [Dropout(float(layer.rate))]
    activation = "softmax" if kind == "Softmax" else _activation(layer.activation)
    last: list[Layer] = [Softmax(SOFTMAXES[activation])] if activation in SOFTMAXES else []
    if kind != "Dense":
        return last
    bias = of(layer.bias) if layer.use_bias else None
    return [Head(of(layer.kernel), bias), *last]


def _recurrent(layer: Any, of: Values) -> Recurrent:
    forward = getattr(layer, "forward_layer", layer)
    directions = {"fwd": forward}
    if forward is not layer:
        directions["bwd"] = layer.backward_layer
    cells: dict[str, Cell] = {"LSTM": "lstm", "GRU": "gru"}
    found = [cell for kind, cell in cells.items() if _is(forward, kind)]
    cell: Cell = found[0] if found else "rnn_relu"
    if not found and _activation(forward.activation) == "tanh":
        cell = "rnn_tanh"
    width = int(forward.cell.kernel.shape[0])
    one = ModelSpec(cell, width, forward.units, bidirectional=len(directions) == 2,
                    bias=forward.use_bias)  # fmt: skip
    arrays: dict[str, np.ndarray] = {}
    for direction, each in directions.items():
        arrays[f"l0.{direction}.W_xh"] = of(each.cell.kernel)
        arrays[f"l0.{direction}.W_hh"] = of(each.cell.recurrent_kernel)
        if one.bias:
            arrays[f"l0.{direction}.b"] = of(each.cell.bias)
    params: Params = {
        name.removeprefix("l0."): value for name, value in to_canonical(one, arrays).items()
    }
    return Recurrent(cell, width, forward.units, one.bidirectional, one.bias, [params])


def _is(layer: Any, kind: str) -> bool:
    from keras import layers

    return isinstance(layer, getattr(layers, kind))

"""The loss and the optimizer of a compiled Keras model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from backends.described import Activation

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
# Options of a loss, and their value where they do nothing.
OF_LOSS = {
    "label_smoothing": 0.0,
    "ignore_class": None,
    "axis": -1,
    "reduction": "sum_over_batch_size",
}


def compiled(net: Any, activation: Activation) -> tuple[str | None, str | None, tuple[str, ...]]:
    """The loss, the optimizer, and what a workload does not have of them; None: not compiled."""
    loss, optimizer = getattr(net, "loss", None), getattr(net, "optimizer", None)
    if isinstance(loss, dict):
        loss = list(loss.values())
    if isinstance(loss, list | tuple):
        loss = loss[0] if len(loss) == 1 else "several losses"
    if loss is None:  # a model that is not compiled has an optimizer, too
        return None, None, ()
    name = _name(loss)
    notes = [*_of_loss(loss, activation if name == "cross_entropy" else None)]
    if optimizer is None:
        return name, None, tuple(notes)
    kind = type(optimizer).__name__.lower()
    for option, idle in OF_OPTIMIZER.items():
        value = getattr(optimizer, option, idle)
        if value != idle and kind in ("adam", "sgd"):
            notes.append(f"the optimizer's {option} {value} is left out")
    return name, kind, tuple(notes)


def _name(loss: Any) -> str:
    """Ours for a loss of Keras, otherwise its own."""
    if isinstance(loss, str):
        return LOSSES.get(_snake(loss), loss)
    kind = loss if hasattr(loss, "__name__") else type(loss)
    found = str(kind.__name__)
    of_keras = kind.__module__.partition(".")[0] == "keras"
    return LOSSES.get(_snake(found), found) if of_keras else f"the user's own {found}"


def _of_loss(loss: Any, activation: Activation | None) -> Iterator[str]:
    """What the workload's loss leaves out; `activation` is on the outputs, if it may matter."""
    settings = loss.get_config() if hasattr(loss, "get_config") else {}
    for option, idle in OF_LOSS.items():
        value = settings.get(option, idle)
        if value not in (idle, None):
            yield f"the loss's {option} {value} is left out"
    from_logits = bool(settings.get("from_logits", False))
    if activation is not None and from_logits != (activation == "none"):
        given = "probabilities" if activation == "softmax" else "logits"
        given = activation if activation == "log_softmax" else given
        yield (
            f"the net gives {given} and its loss has from_logits={from_logits}; the workload's "
            "loss reads logits"
        )


def _snake(name: str) -> str:
    """ "mean_squared_error" of "MeanSquaredError"."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")

"""What one evaluation of a user's Module hides: what it does in training, and its gradients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from backends.assembled import assemble
from backends.described import NotDescribableError
from backends.torch.described_calls import hooks, run
from backends.torch.described_layers import Call, called, first_tensor, passes_on, to_numpy
from tasks.spec import Params


def refuse_what_is_not_seen(net: Any, x: Any, evaluated: Any, calls: Sequence[Call]) -> None:
    """Raise NotDescribableError for a state kept between calls, and for other calls or outputs in
    training; `evaluated` is the output of the `calls`.
    """
    import torch

    if not torch.equal(first_tensor(run(net, x)), evaluated):
        raise NotDescribableError(
            "the net's outputs are random even in evaluation, or it keeps a state between its calls"
        )
    with _training(net), hooks(net) as in_training:
        run(net, x)
        _expect_same_calls(calls, in_training)
    with _training(net), _without_dropout(net):
        trained = first_tensor(run(net, x))
    if trained.shape != evaluated.shape or not torch.allclose(trained, evaluated, 1e-4, 1e-6):
        raise NotDescribableError(
            "the net computes something else in training, such as torch.nn.functional.dropout; "
            "expected dropout as a layer"
        )


def gradients(net: Any, calls: Sequence[Call], read: Any, x: Any, d: np.ndarray) -> Params:
    """Of sum(outputs * d) in training without dropout: outputs of x, by canonical names.

    `calls` are those of the input `read`. Raises NotDescribableError where no gradient reaches a
    weight.
    """
    import torch

    for weight in net.parameters():
        weight.grad = None
    with _training(net), _without_dropout(net), torch.enable_grad():
        outputs = first_tensor(run(net, x))
        if outputs.requires_grad:
            outputs.backward(torch.from_numpy(np.ascontiguousarray(d)).to(outputs))
    found: dict[int, Any] = {}
    for call in calls:
        for name, weight in call.module.named_parameters():
            if weight.requires_grad and weight.grad is None:
                raise NotDescribableError(
                    f"no gradient reaches the weights of {call.name}; expected trained ones"
                )
            # The sum of two biases has the gradient of each.
            twice = "bias_hh" in name and getattr(call.module, "mode", "GRU") != "GRU"
            if weight.requires_grad and not twice:
                found[id(weight)] = weight.grad.to_dense()

    def of(weight: Any) -> np.ndarray:
        return to_numpy(found.get(id(weight), torch.zeros_like(weight)))

    return assemble([called(call, of) for call in calls], to_numpy(read))[1]


@contextmanager
def _training(net: Any) -> Iterator[None]:
    net.train()
    try:
        yield
    finally:
        net.eval()


@contextmanager
def _without_dropout(net: Any) -> Iterator[None]:
    """Nothing is dropped inside."""
    from torch import nn

    drops = [
        (module, "p" if isinstance(module, nn.Dropout) else "dropout")
        for module in net.modules()
        if isinstance(module, nn.Dropout | nn.RNNBase)
    ]
    before = [getattr(module, share) for module, share in drops]
    try:
        for module, share in drops:
            setattr(module, share, 0.0)
        yield
    finally:
        for (module, share), value in zip(drops, before, strict=True):
            setattr(module, share, value)


def _expect_same_calls(evaluated: Sequence[Call], in_training: Sequence[Call]) -> None:
    """In training the net calls the same layers, and those that drop numbers do so."""
    from torch import nn

    names = [call.name for call in evaluated]
    for call in in_training:
        if passes_on(call):
            continue
        if not names or names.pop(0) != call.name:
            raise NotDescribableError(
                f"{call.name} is called in training and not in evaluation, or in another order; "
                "expected the same layers in both"
            )
        if isinstance(call.module, nn.Dropout | nn.RNNBase) and not call.module.training:
            raise NotDescribableError(f"{call.name} stays in evaluation when the net is trained")
    if names:
        raise NotDescribableError(f"{names[0]} is called in evaluation and not in training")

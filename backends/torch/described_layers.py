"""The layers of torch that a workload file can describe, and why others are none of them.

weight_ih = W_xh.T, weight_hh = W_hh.T. The GRU's bias_ih and bias_hh are b and b_hh; those of RNN
and LSTM are added up, since one bias stands for both here (`tasks.spec`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from backends.described import (
    Called,
    Dropout,
    Embedding,
    Head,
    Layer,
    NotDescribableError,
    Recurrent,
    Softmax,
)
from tasks.spec import Cell, Params

Values = Callable[[Any], np.ndarray]


@dataclass(frozen=True)
class Call:
    """One call of a layer, as a forward hook sees it."""

    name: str  # "'encoder' (LSTM)"
    module: Any
    given: tuple[Any, ...] = ()  # its input, and what else it gets
    returned: Any = None


def passes_on(call: Call) -> bool:
    """Whether it is a Module without weights that returns numbers which it is given, as they are.

    Such as one of the user's that takes the last step, or the outputs of the tuple of an nn.LSTM.
    """
    import torch
    from torch import nn

    module = call.module
    if isinstance(module, nn.Identity):
        return True
    of_torch = any(
        base.__module__.startswith("torch.") and base is not nn.Module
        for base in type(module).__mro__
    )
    if of_torch or any(True for _ in module.parameters()):
        return False
    given, returned = [*_tensors(call.given)], [*_tensors(call.returned)]
    return bool(given and returned) and all(
        torch.isin(each, torch.cat([one.flatten() for one in given])).all() for each in returned
    )


def _tensors(nested: Any) -> Iterator[Any]:
    import torch

    if isinstance(nested, torch.Tensor):
        yield nested
    for each in nested if isinstance(nested, tuple | list) else ():
        yield from _tensors(each)


def shake(modules: Iterable[Any], negated: bool) -> None:
    """Draw the weights of layers anew, the same at each call; `negated`: those of a head negated.

    Frozen ones of a recurrent layer stay: they are zeros.
    """
    import torch
    from torch import nn

    drawn = torch.Generator().manual_seed(1)
    for module in modules:
        sign = -1.0 if negated and isinstance(module, nn.Linear) else 1.0
        for weight in module.parameters():
            scale = sign * (0.3 if weight.ndim == 1 else weight.shape[-1] ** -0.5)
            if weight.requires_grad or isinstance(module, nn.Embedding):
                with torch.no_grad():
                    weight.copy_(torch.randn(weight.shape, generator=drawn) * scale)


def refuse_odd(calls: Iterable[Call]) -> None:
    """Raise NotDescribableError for the first call of a layer that ModelSpec does not have."""
    for call in calls:
        if reason := _odd(call.module):
            raise NotDescribableError(f"{call.name} {reason}")


def _odd(module: Any) -> str:
    from torch import nn
    from torch.nn.utils import parametrize

    known = (nn.RNNBase, nn.Embedding, nn.Dropout, nn.Linear, nn.Softmax, nn.LogSoftmax)
    if isinstance(module, nn.RNNCellBase):
        return "is a cell in a loop of the net's own; expected nn.RNN, nn.GRU or nn.LSTM"
    if not isinstance(module, (*known, nn.Identity)):
        return "is another layer; expected embedding, recurrent layers, dropout and a linear head"
    if parametrize.is_parametrized(module) or any(
        n.endswith(("_g", "_orig")) for n in module._parameters
    ):
        return "has parametrized weights; expected plain ones"
    frozen = [name for name, p in module.named_parameters() if not p.requires_grad]
    if isinstance(module, nn.Embedding):
        for option in ("padding_idx", "max_norm"):
            if getattr(module, option) is not None:
                return f"has {option} {getattr(module, option)}; expected none"
        return "has scale_grad_by_freq; expected none" if module.scale_grad_by_freq else ""
    if isinstance(module, nn.RNNBase):
        if module.proj_size:
            return f"has proj_size {module.proj_size}; expected no projection"
        # A bias_hh that is zero and frozen leaves one bias, as ours.
        frozen = [n for n in frozen if not ("bias_hh" in n and module.mode != "GRU"
                                            and not getattr(module, n).any())]  # fmt: skip
    return f"has frozen weights, {', '.join(frozen)}; expected trained ones" if frozen else ""


def trains_two_biases(module: Any) -> bool:
    """Whether it is an RNN or LSTM with two biases that change in training."""
    from torch import nn

    if not isinstance(module, nn.RNNBase) or module.mode == "GRU":
        return False
    return any(p.requires_grad for name, p in module.named_parameters() if "bias_hh" in name)


def to_numpy(tensor: Any) -> np.ndarray:
    """In float64 if it holds floating-point numbers."""
    found: np.ndarray = tensor.detach().cpu().numpy()
    return found.astype(np.float64) if found.dtype.kind == "f" else found


def called(call: Call, of: Values = to_numpy) -> Called:
    """The layer of a call; `of` gives what stands for a weight. Raises NotDescribableError."""
    import torch
    from torch import nn

    given, *others = call.given
    y = call.returned[0] if isinstance(call.returned, tuple) else call.returned
    if not isinstance(given, torch.Tensor) or not isinstance(y, torch.Tensor):
        raise NotDescribableError(
            f"{call.name} reads a {type(given).__name__}; expected a tensor of sequences of one "
            "length"
        )
    if isinstance(call.module, nn.RNNBase):
        pairs = [other if isinstance(other, tuple) else (other,) for other in others]
        if any(bool(state.any()) for pair in pairs for state in pair if state is not None):
            raise NotDescribableError(
                f"{call.name} starts from a state of the net's own; expected zeros"
            )
    return Called(call.name, _layer(call.module, of), to_numpy(given), to_numpy(y))


def _layer(module: Any, of: Values) -> Layer:
    from torch import nn

    if isinstance(module, nn.Embedding):
        return Embedding(of(module.weight), frozen=not module.weight.requires_grad)
    if isinstance(module, nn.Dropout):
        return Dropout(module.p)
    if isinstance(module, nn.Linear):
        bias = None if module.bias is None else of(module.bias)
        return Head(of(module.weight).T, bias)
    if isinstance(module, nn.RNNBase):
        return _recurrent(module, of)
    return Softmax("softmax" if isinstance(module, nn.Softmax) else "log_softmax")


def _recurrent(module: Any, of: Values) -> Recurrent:
    cells: dict[str, Cell] = {
        "RNN_TANH": "rnn_tanh",
        "RNN_RELU": "rnn_relu",
        "GRU": "gru",
        "LSTM": "lstm",
    }
    return Recurrent(
        cells[module.mode],
        module.input_size,
        module.hidden_size,
        module.bidirectional,
        module.bias,
        [_params(module, number, of) for number in range(module.num_layers)],
        module.dropout if module.num_layers > 1 else 0.0,
    )


def _params(module: Any, number: int, of: Values) -> Params:
    """Of layer `number`: "fwd.W_xh", ..."""
    params: Params = {}
    for direction in ("fwd", "bwd") if module.bidirectional else ("fwd",):
        end = f"l{number}" + ("_reverse" if direction == "bwd" else "")
        params[f"{direction}.W_xh"] = of(getattr(module, f"weight_ih_{end}")).T
        params[f"{direction}.W_hh"] = of(getattr(module, f"weight_hh_{end}")).T
        if module.bias:
            b, b_hh = (of(getattr(module, f"{n}_{end}")) for n in ("bias_ih", "bias_hh"))
            gru = module.mode == "GRU"
            params |= {f"{direction}.b": b if gru else b + b_hh}
            params |= {f"{direction}.b_hh": b_hh} if gru else {}
    return params


def first_tensor(returned: Any) -> Any:
    """Of a tensor, or of a tuple that begins with one. Raises NotDescribableError."""
    import torch

    found = returned
    while isinstance(found, tuple | list) and found:
        found = found[0]
    if not isinstance(found, torch.Tensor):
        raise NotDescribableError(
            f"the net returns a {type(returned).__name__}; expected a tensor, or a tuple with one"
        )
    return found

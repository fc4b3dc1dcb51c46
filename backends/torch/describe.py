"""Reads a torch Module of a user: the layers that its forward pass calls, and its weights."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from backends.assembled import assemble, reads_all
from backends.described import Described, NotDescribableError, Shape
from backends.torch.described_calls import dtype_of, hooks, leaves, needed, run, watched
from backends.torch.described_layers import (
    Call,
    called,
    first_tensor,
    passes_on,
    refuse_odd,
    shake,
    to_numpy,
    trains_two_biases,
)
from backends.torch.described_training import gradients, refuse_what_is_not_seen
from tasks.spec import Params

TWO_BIASES = (
    "torch trains two biases of {name}, whose sum changes twice as much in a step of the optimizer "
    "as the one bias of the workload"
)


# Names of arguments that hold a state.
STATE = re.compile(r"h|c|hx|cx|h_?0|c_?0|hc|h_?n|(prev_?|init_?|initial_?)?(hidden|state)s?(_?0)?")


def read(net: Any, asked: Shape = (None, None)) -> Described:
    """`asked` are B and T of a net that takes no others. Raises NotDescribableError."""
    import torch

    kind = str(dtype_of(net)).removeprefix("torch.")
    net = _prepared(net)
    with torch.no_grad():
        x, calls, returned, fixed = watched(net, asked)
        calls = [call for call in calls if not passes_on(call)]
        refuse_odd(calls)
        notes = [*_left_out(net, {id(call.module) for call in calls})]
        layers = [called(call) for call in calls]
        spec, params, activation = assemble(layers, to_numpy(x))
        refuse_what_is_not_seen(net, x, first_tensor(returned), calls)
    if kind not in ("float32", "None"):
        notes.append(f"the net computes in {kind}; the workload names no dtype, so in float32")
    notes += [TWO_BIASES.format(name=each.name) for each in calls if trains_two_biases(each.module)]
    time_first, dtype = _time_first(x, calls), dtype_of(net)

    def placed(x: np.ndarray) -> Any:
        given = torch.from_numpy(np.ascontiguousarray(x.swapaxes(0, 1) if time_first else x))
        return given.to(dtype) if x.ndim == 3 else given

    def outputs(x: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return to_numpy(first_tensor(run(net, placed(x))))

    def again(x: np.ndarray) -> np.ndarray:
        """The outputs; each layer reads the one before it, for this x too."""
        with torch.no_grad(), hooks(net) as seen:
            y = to_numpy(first_tensor(run(net, placed(x))))
        assemble([called(call) for call in seen if not passes_on(call)], to_numpy(placed(x)))
        return y

    def trained(given: np.ndarray, d: np.ndarray) -> Params:
        return gradients(net, calls, x, placed(given), d)

    described = Described(
        spec,
        params,
        activation,
        outputs,
        batch=fixed[0],
        steps=fixed[1],
        notes=tuple(notes),
        head_on_all=reads_all(layers, to_numpy(x)),
        gradients=trained,
    )

    def shaken(negated: bool) -> Described:
        shake([call.module for call in calls], negated)
        params = assemble([called(call) for call in calls], to_numpy(x))[1]
        return replace(described, params=params, outputs=again, shaken=None)

    return replace(described, shaken=shaken)


def _prepared(net: Any) -> Any:
    """The Module itself on the CPU, in evaluation, in float32 or float64."""
    import torch

    net = getattr(net, "_orig_mod", net)  # of torch.compile
    if isinstance(net, torch.jit.ScriptModule):
        raise NotDescribableError("the net is compiled by torch.jit; expected the Module itself")
    net = net.to("cpu").eval()
    if any(p.dtype in (torch.float16, torch.bfloat16) for p in net.parameters()):
        net = net.float()
    names = needed(net)
    if not all(map(STATE.fullmatch, names[1:])):
        raise NotDescribableError(f"the net has several inputs, {', '.join(names)}; expected one")
    return net


def _time_first(x: Any, calls: Sequence[Call]) -> bool:
    """Whether the net reads (T,B,...): from how its first recurrent layer reads what it gets."""
    import torch
    from torch import nn

    number = next(n for n, call in enumerate(calls) if isinstance(call.module, nn.RNNBase))
    first, before = calls[number], calls[number - 1].returned if number else x
    turned = not torch.equal(first.given[0], before)
    return bool(first.module.batch_first) == turned


def _left_out(net: Any, used: set[int]) -> Iterator[str]:
    """A note for each layer with weights that is never called.

    Raises NotDescribableError for parameters outside of layers, and for those of two layers.
    """
    held = {id(parameter) for _, module in leaves(net) for parameter in module.parameters()}
    own = [name for name, parameter in net.named_parameters() if id(parameter) not in held]
    if own:
        raise NotDescribableError(
            f"the net has parameters of its own, outside of its layers: {', '.join(own)}"
        )
    owners: dict[int, str] = {}
    for name, module in leaves(net):
        if id(module) not in used and any(True for _ in module.parameters()):
            yield f"{name} is never called and is left out"
        for parameter in module.parameters() if id(module) in used else ():
            if owners.setdefault(id(parameter), name) != name:
                raise NotDescribableError(
                    f"{owners[id(parameter)]} and {name} share weights; expected weights of each "
                    "layer's own"
                )

"""Reads a torch Module of a user: the layers that its forward pass calls, and its weights."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from backends.described import (
    PROBE_BATCH,
    PROBE_STEPS,
    Described,
    NotDescribableError,
    assemble,
)
from backends.torch.described_layers import (
    Call,
    called,
    first_tensor,
    refuse_odd,
    to_numpy,
    trains_two_biases,
)

TWO_BIASES = (
    "torch trains two biases of {name}, whose sum changes twice as much in a step of the optimizer "
    "as the one bias of the workload"
)


def read(net: Any) -> Described:
    """Raises NotDescribableError."""
    import torch
    from torch import nn

    kind = str(_dtype(net)).removeprefix("torch.")
    net = _prepared(net)
    with torch.no_grad():
        x, calls, returned = _watched(net)
        refuse_odd(calls)
        notes = [*_left_out(net, {id(call.module) for call in calls})]
        layers = [called(call) for call in calls if not isinstance(call.module, nn.Identity)]
        spec, params, activation = assemble(layers, to_numpy(x))
        _refuse_what_is_not_seen(net, x, first_tensor(returned))
    if kind not in ("float32", "None"):
        notes.append(f"the net computes in {kind}; the workload names no dtype, so in float32")
    notes += [TWO_BIASES.format(name=each.name) for each in calls if trains_two_biases(each.module)]
    time_first, dtype = _time_first(calls), _dtype(net)

    def outputs(x: np.ndarray) -> np.ndarray:
        given = torch.from_numpy(np.ascontiguousarray(x.swapaxes(0, 1) if time_first else x))
        with torch.no_grad():
            return to_numpy(first_tensor(net(given.to(dtype) if x.ndim == 3 else given)))

    return Described(spec, params, activation, outputs, notes=tuple(notes))


def _prepared(net: Any) -> Any:
    """The Module itself on the CPU, in evaluation, in float32 or float64."""
    import torch

    net = getattr(net, "_orig_mod", net)  # of torch.compile
    if isinstance(net, torch.jit.ScriptModule):
        raise NotDescribableError("the net is compiled by torch.jit; expected the Module itself")
    net = net.to("cpu").eval()
    if any(p.dtype in (torch.float16, torch.bfloat16) for p in net.parameters()):
        net = net.float()
    needed = [
        name
        for name, parameter in inspect.signature(net.forward).parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    if len(needed) > 1:
        raise NotDescribableError(f"the net has several inputs, {', '.join(needed)}; expected one")
    return net


def _dtype(net: Any) -> Any:
    return next((p.dtype for p in net.parameters() if p.is_floating_point()), None)


def _watched(net: Any) -> tuple[Any, list[Call], Any]:
    """A random input that the net takes, the calls that it makes of its layers, and its result."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    shape = (PROBE_BATCH, PROBE_STEPS)
    inputs: list[Any] = []
    for module in net.modules():
        if isinstance(module, nn.Embedding):
            inputs.insert(0, torch.randint(module.num_embeddings, shape))
        elif isinstance(module, nn.RNNBase):
            inputs.append(torch.randn(*shape, module.input_size, dtype=_dtype(net)))
    failure: Exception | None = None
    for x in inputs:
        try:
            with _hooks(net) as calls:
                return x, calls, net(x)
        except Exception as error:  # whatever the user's code raises
            failure = failure or error
    refuse_odd(Call(name, module) for name, module in _leaves(net))
    if failure is None:
        raise NotDescribableError("the net has no nn.RNN, nn.GRU or nn.LSTM")
    text = (str(failure).strip().splitlines() or [""])[0]
    raise NotDescribableError(
        f"the net's forward raises {type(failure).__name__}: {text}, on an input of shape "
        f"{tuple(inputs[0].shape)}"
    ) from failure


def _leaves(net: Any) -> Iterator[tuple[str, Any]]:
    """The layers: Modules that hold no others, and those of torch that do."""
    from torch import nn

    open_kinds = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
    inner: set[int] = set()
    for path, module in net.named_modules():
        of_torch = type(module).__module__.startswith("torch.nn.modules")
        layer = of_torch or isinstance(module, nn.RNNBase) or not any(module.children())
        if id(module) in inner or isinstance(module, open_kinds) or not layer:
            continue
        inner |= {id(each) for each in module.modules()}
        kind = type(module).__name__
        yield f"{path!r} ({kind})" if path else f"the {kind}", module


@contextmanager
def _hooks(net: Any) -> Iterator[list[Call]]:
    calls: list[Call] = []
    handles = []
    for name, module in _leaves(net):

        def hook(module: Any, args: Any, kwargs: Any, out: Any, name: str = name) -> None:
            calls.append(Call(name, module, (*args, *kwargs.values()), out))

        handles.append(module.register_forward_hook(hook, with_kwargs=True))
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def _time_first(calls: Sequence[Call]) -> bool:
    """Whether the net reads (T,B,...): from what its first recurrent layer got of (B,T,...)."""
    from torch import nn

    first = next(call for call in calls if isinstance(call.module, nn.RNNBase))
    turned = tuple(first.given[0].shape[:2]) != (PROBE_BATCH, PROBE_STEPS)
    return bool(first.module.batch_first) == turned


def _refuse_what_is_not_seen(net: Any, x: Any, evaluated: Any) -> None:
    """Raise for what evaluation hides: dropout that is no layer, numbers that are random anyhow."""
    import torch
    from torch import nn

    if not torch.equal(first_tensor(net(x)), evaluated):
        raise NotDescribableError("the net's outputs are random even in evaluation")
    drops = [
        (module, "p" if isinstance(module, nn.Dropout) else "dropout")
        for module in net.modules()
        if isinstance(module, nn.Dropout | nn.RNNBase)
    ]
    before = [getattr(module, share) for module, share in drops]
    try:
        for module, share in drops:
            setattr(module, share, 0.0)
        trained = first_tensor(net.train()(x))
    finally:
        net.eval()
        for (module, share), value in zip(drops, before, strict=True):
            setattr(module, share, value)
    if trained.shape != evaluated.shape or not torch.allclose(trained, evaluated, 1e-4, 1e-6):
        raise NotDescribableError(
            "the net computes something else in training, such as torch.nn.functional.dropout; "
            "expected dropout as a layer"
        )


def _left_out(net: Any, used: set[int]) -> Iterator[str]:
    """A note for each layer with weights that is never called.

    Raises NotDescribableError for parameters outside of layers, and for those of two layers.
    """
    held = {id(parameter) for _, module in _leaves(net) for parameter in module.parameters()}
    own = [name for name, parameter in net.named_parameters() if id(parameter) not in held]
    if own:
        raise NotDescribableError(
            f"the net has parameters of its own, outside of its layers: {', '.join(own)}"
        )
    owners: dict[int, str] = {}
    for name, module in _leaves(net):
        if id(module) not in used and any(True for _ in module.parameters()):
            yield f"{name} is never called and is left out"
        for parameter in module.parameters() if id(module) in used else ():
            if owners.setdefault(id(parameter), name) != name:
                raise NotDescribableError(
                    f"{owners[id(parameter)]} and {name} share weights; expected weights of each "
                    "layer's own"
                )

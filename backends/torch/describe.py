"""Reads a torch Module of a user: the layers that its forward pass calls, and its weights."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from backends.described import (
    PROBE_BATCH,
    PROBE_STEPS,
    Described,
    NotDescribableError,
    assemble,
    random_input,
)
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

TWO_BIASES = (
    "torch trains two biases of {name}, whose sum changes twice as much in a step of the optimizer "
    "as the one bias of the workload"
)


# Names of arguments that hold a state.
STATE = re.compile(r"h|c|hx|cx|h_?0|c_?0|hc|h_?n|(prev_?|init_?|initial_?)?(hidden|state)s?(_?0)?")


def read(net: Any) -> Described:
    """Raises NotDescribableError."""
    import torch

    kind = str(_dtype(net)).removeprefix("torch.")
    net = _prepared(net)
    with torch.no_grad():
        x, calls, returned = _watched(net)
        calls = [call for call in calls if not passes_on(call)]
        refuse_odd(calls)
        notes = [*_left_out(net, {id(call.module) for call in calls})]
        spec, params, activation = assemble([called(call) for call in calls], to_numpy(x))
        _refuse_what_is_not_seen(net, x, first_tensor(returned), calls)
    if kind not in ("float32", "None"):
        notes.append(f"the net computes in {kind}; the workload names no dtype, so in float32")
    notes += [TWO_BIASES.format(name=each.name) for each in calls if trains_two_biases(each.module)]
    time_first, dtype = _time_first(calls), _dtype(net)

    def placed(x: np.ndarray) -> Any:
        given = torch.from_numpy(np.ascontiguousarray(x.swapaxes(0, 1) if time_first else x))
        return given.to(dtype) if x.ndim == 3 else given

    def outputs(x: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return to_numpy(first_tensor(_run(net, placed(x))))

    def again(x: np.ndarray) -> np.ndarray:
        """The outputs; each layer reads the one before it, for this x too."""
        with torch.no_grad(), _hooks(net) as watched:
            y = to_numpy(first_tensor(_run(net, placed(x))))
        layers = [called(call) for call in watched if not passes_on(call)]
        assemble(layers, to_numpy(placed(x)))
        return y

    described = Described(spec, params, activation, outputs, notes=tuple(notes))

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
    needed = _needed(net)
    if not all(map(STATE.fullmatch, needed[1:])):
        raise NotDescribableError(f"the net has several inputs, {', '.join(needed)}; expected one")
    return net


def _needed(net: Any) -> list[str]:
    """The arguments of its forward that have no default."""
    return [
        name
        for name, parameter in inspect.signature(net.forward).parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]


def _run(net: Any, x: Any) -> Any:
    """What the net returns, from the state that torch's layers begin with where they get none."""
    return net(x, **dict.fromkeys(_needed(net)[1:]))


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
            ids = random_input(shape, module.num_embeddings, 1)
            inputs.insert(0, torch.from_numpy(ids))
        elif isinstance(module, nn.RNNBase):
            numbers = random_input(shape, None, module.input_size)
            inputs.append(torch.from_numpy(numbers).to(_dtype(net)))
    failure: Exception | None = None
    for x in inputs:
        try:
            with _hooks(net) as calls:
                return x, calls, _run(net, x)
        except Exception as error:  # whatever the user's code raises
            failure = failure or error
    refuse_odd(Call(name, module) for name, module in _leaves(net))
    if len(needed := _needed(net)) > 1:
        raise NotDescribableError(f"the net has several inputs, {', '.join(needed)}; expected one")
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


def _refuse_what_is_not_seen(net: Any, x: Any, evaluated: Any, calls: Sequence[Call]) -> None:
    """Raise for what one evaluation hides: a state kept between calls, and what training does."""
    import torch
    from torch import nn

    if not torch.equal(first_tensor(_run(net, x)), evaluated):
        raise NotDescribableError(
            "the net's outputs are random even in evaluation, or it keeps a state between its calls"
        )
    drops = [
        (module, "p" if isinstance(module, nn.Dropout) else "dropout")
        for module in net.modules()
        if isinstance(module, nn.Dropout | nn.RNNBase)
    ]
    before = [getattr(module, share) for module, share in drops]
    try:
        net.train()
        with _hooks(net) as in_training:
            _run(net, x)
        _expect_same_calls(calls, in_training)
        for module, share in drops:
            setattr(module, share, 0.0)
        with torch.enable_grad():
            trained = first_tensor(_run(net, x))
            _expect_gradients(calls, trained)
    finally:
        net.eval()
        for (module, share), value in zip(drops, before, strict=True):
            setattr(module, share, value)
    if trained.shape != evaluated.shape or not torch.allclose(trained, evaluated, 1e-4, 1e-6):
        raise NotDescribableError(
            "the net computes something else in training, such as torch.nn.functional.dropout; "
            "expected dropout as a layer"
        )


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


def _expect_gradients(calls: Sequence[Call], outputs: Any) -> None:
    import torch

    for call in calls:
        weights = [weight for weight in call.module.parameters() if weight.requires_grad]
        if weights and outputs.requires_grad:
            found = torch.autograd.grad(
                outputs.sum(), weights, allow_unused=True, retain_graph=True
            )
        if weights and (not outputs.requires_grad or any(each is None for each in found)):
            raise NotDescribableError(
                f"no gradient reaches the weights of {call.name}; expected trained ones"
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

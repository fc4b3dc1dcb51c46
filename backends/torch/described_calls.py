"""The layers of a user's Module, and the calls that it makes of them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from backends.described import (
    NotDescribableError,
    Shape,
    probe_shape,
    random_input,
    shapes_to_try,
)
from backends.torch.described_layers import Call, refuse_odd


def needed(net: Any) -> list[str]:
    """The arguments of its forward that have no default."""
    return [
        name
        for name, parameter in inspect.signature(net.forward).parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]


def run(net: Any, x: Any) -> Any:
    """What the net returns, from the state that torch's layers begin with where they get none."""
    return net(x, **dict.fromkeys(needed(net)[1:]))


def dtype_of(net: Any) -> Any:
    """Of its first parameter that holds floating-point numbers; None if there is none."""
    return next((p.dtype for p in net.parameters() if p.is_floating_point()), None)


def watched(net: Any, asked: Shape) -> tuple[Any, list[Call], Any, Shape]:
    """A random input that the net takes, the calls that it makes of its layers, its result, and
    the B and T that it fixes: of `asked`, those without which its forward raises.

    Raises NotDescribableError.
    """
    failure: tuple[Exception, Any] | None = None
    for x, fixed in _inputs(net, asked):
        try:
            with hooks(net) as calls:
                return x, calls, run(net, x), fixed
        except Exception as error:  # whatever the user's code raises
            failure = failure or (error, x)
    refuse_odd(Call(name, module) for name, module in leaves(net))
    if len(names := needed(net)) > 1:
        raise NotDescribableError(f"the net has several inputs, {', '.join(names)}; expected one")
    if failure is None:
        raise NotDescribableError("the net has no nn.RNN, nn.GRU or nn.LSTM")
    fault, x = failure
    text = (str(fault).strip().splitlines() or [""])[0]
    hint = "" if any(asked) else "; --batch and --steps name the sizes of a net that takes no other"
    raise NotDescribableError(
        f"the net's forward raises {type(fault).__name__}: {text}, on an input of shape "
        f"{tuple(x.shape)}{hint}"
    ) from fault


def _inputs(net: Any, asked: Shape) -> Iterator[tuple[Any, Shape]]:
    """Random inputs, with the B and T that a net which takes them fixes: ids, or numbers.

    Of sizes that are asked for also time first, since they may be those of such a net.
    """
    import torch
    from torch import nn

    torch.manual_seed(0)
    kinds: list[tuple[int | None, int]] = []
    for module in net.modules():
        if isinstance(module, nn.Embedding):
            kinds.insert(0, (module.num_embeddings, 1))
        elif isinstance(module, nn.RNNBase):
            kinds.append((None, module.input_size))
    for fixed in shapes_to_try(asked):
        batch, steps = probe_shape(fixed)
        for lead in ((batch, steps), (steps, batch))[: 2 if any(fixed) else 1]:
            for vocab, width in kinds:
                x = torch.from_numpy(random_input(lead, vocab, width))
                yield x if vocab else x.to(dtype_of(net)), fixed


def leaves(net: Any) -> Iterator[tuple[str, Any]]:
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
def hooks(net: Any) -> Iterator[list[Call]]:
    """The calls of layers that the net makes inside."""
    calls: list[Call] = []
    handles = []
    for name, module in leaves(net):

        def hook(module: Any, args: Any, kwargs: Any, out: Any, name: str = name) -> None:
            calls.append(Call(name, module, (*args, *kwargs.values()), out))

        handles.append(module.register_forward_hook(hook, with_kwargs=True))
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()

"""The model of a user's net from the layers that it calls, or why it is none that ModelSpec
describes. The same for every framework.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from backends.described import (
    Activation,
    Called,
    Dropout,
    Embedding,
    Head,
    NotDescribableError,
    Recurrent,
    Softmax,
)
from tasks.spec import ModelSpec, Params


def assemble(called: Sequence[Called], x: np.ndarray) -> tuple[ModelSpec, Params, Activation]:
    """The model of the calls, in their order; x is the input of the net.

    Raises NotDescribableError.
    """
    _expect_order(called)
    _expect_chain(called, x)
    recurrent = [each for each in called if isinstance(each.layer, Recurrent)]
    _expect_same_kind(recurrent)
    first = recurrent[0].layer
    assert isinstance(first, Recurrent)
    layers = [params for each in recurrent for params in _recurrent(each).params]
    params: Params = {}
    sizes: dict[str, Any] = {"input_size": first.input_size}
    frozen = False
    activation: Activation = "none"
    features = first.hidden_size * (2 if first.bidirectional else 1)
    for each in called:
        if isinstance(each.layer, Embedding):
            params["E"], frozen = each.layer.table, each.layer.frozen
            sizes["vocab_size"], sizes["input_size"] = each.layer.table.shape
        elif isinstance(each.layer, Softmax):
            activation = each.layer.kind
    for number, layer in enumerate(layers):
        params |= {f"l{number}.{name}": value for name, value in layer.items()}
    for each in called:
        if isinstance(each.layer, Head):
            sizes["output_size"] = _add_head(params, each, features, first.bidirectional)
    if activation != "none" and sizes.get("output_size", features) == 1:
        raise NotDescribableError(f"the net ends with {activation} of one output, a constant")
    spec = ModelSpec(
        cell=first.cell,
        hidden_size=first.hidden_size,
        num_layers=len(layers),
        bidirectional=first.bidirectional,
        bias=first.bias,
        dropout=_dropout(called),
        train_embedding=not frozen,
        **sizes,
    )
    return spec, {name: np.asarray(value, np.float64) for name, value in params.items()}, activation


def reads_all(called: Sequence[Called], x: np.ndarray) -> bool:
    """Whether the head reads every step of x (B,T) or (B,T,D)."""
    return any(
        each.x.size // each.x.shape[-1] == x.shape[0] * x.shape[1]
        for each in called
        if isinstance(each.layer, Head)
    )


def _recurrent(each: Called) -> Recurrent:
    assert isinstance(each.layer, Recurrent)
    return each.layer


def _add_head(params: Params, head: Called, features: int, both: bool) -> int:
    """Add the head's parameters; return C."""
    assert isinstance(head.layer, Head)
    rows, classes = head.layer.kernel.shape
    if rows != features:
        of_each = f", {features // 2} of each direction" if both else ""
        raise NotDescribableError(
            f"{head.name} reads {rows} numbers and the last recurrent layer gives {features}"
            f"{of_each}; expected a head that reads one step"
        )
    if head.layer.bias is None:
        raise NotDescribableError(f"{head.name} is a head without a bias; expected one with it")
    params["W_hy"], params["b_y"] = head.layer.kernel, head.layer.bias
    return int(classes)


def _expect_order(called: Sequence[Called]) -> None:
    """Embedding, recurrent layers and dropout, head, softmax; each layer once."""
    recurrent = [n for n, each in enumerate(called) if isinstance(each.layer, Recurrent)]
    if not recurrent:
        names = ", ".join(each.name for each in called) or "no layer at all"
        raise NotDescribableError(f"the net has no recurrent layer; it calls {names}")
    begin, end = recurrent[0], recurrent[-1]
    seen: dict[str, int] = {}
    for number, each in enumerate(called):
        again = seen.setdefault(each.name, number) != number
        if again and not isinstance(each.layer, Dropout):
            raise NotDescribableError(f"{each.name} is called twice; expected one call of a layer")
        if isinstance(each.layer, Dropout) and each.layer.share:
            if number < begin:
                where = "before the first recurrent layer"
            elif number > end:
                where = "behind the last recurrent layer"
            else:
                continue
            raise NotDescribableError(
                f"{each.name} is dropout {where}; expected dropout between recurrent layers alone"
            )
    for kind, word in ((Embedding, "embeddings"), (Head, "linear layers"), (Softmax, "softmaxes")):
        found = [each for each in called if isinstance(each.layer, kind)]
        if len(found) > 1:
            names = " and ".join(each.name for each in found)
            raise NotDescribableError(f"the net has {len(found)} {word}, {names}; expected one")
    for number, each in enumerate(called):
        late = isinstance(each.layer, Embedding) and number > begin
        early = isinstance(each.layer, Head | Softmax) and number < end
        if late or early:
            raise NotDescribableError(
                f"{each.name} is another layer {'between' if number > begin else 'before'} the "
                "recurrent layers; expected nothing but dropout there"
            )


def _expect_chain(called: Sequence[Called], x: np.ndarray) -> None:
    """Each layer up to the last recurrent one reads what the layer before it gives."""
    end = max(n for n, each in enumerate(called) if isinstance(each.layer, Recurrent))
    given, giver = x, "the net's input"
    earlier: list[tuple[np.ndarray, str]] = []
    for each in called[: end + 1]:
        if not _same(each.x, given):
            branch = [name for array, name in earlier if _same(each.x, array)]
            if branch:
                raise NotDescribableError(
                    f"{each.name} reads {branch[-1]}, as another layer does: two branches; "
                    "expected one layer after the other"
                )
            if any(_same(each.x, np.flip(given, axis)) for axis in (0, 1)):
                raise NotDescribableError(
                    f"{each.name} reads {giver} from the last step to the first; expected the "
                    "order of time"
                )
            raise NotDescribableError(
                f"{each.name} does not read {giver}: something between them that is no layer "
                "changes it; expected one layer after the other"
            )
        earlier.append((given, giver))
        given, giver = each.y, f"the output of {each.name}"


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether they hold the same numbers, batch first or time first."""
    return _equal(a, b) or (a.ndim > 1 and _equal(a.swapaxes(0, 1), b))


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and bool(np.array_equal(a, b))


def _expect_same_kind(recurrent: Sequence[Called]) -> None:
    first, *others = recurrent
    kinds: tuple[tuple[str, Callable[[Recurrent], object]], ...] = (
        ("cells", lambda layer: layer.cell),
        ("widths", lambda layer: layer.hidden_size),
        ("directions", lambda layer: "both" if layer.bidirectional else "one"),
        ("biases", lambda layer: "a bias" if layer.bias else "no bias"),
    )
    for other in others:
        for what, of in kinds:
            one, two = of(_recurrent(first)), of(_recurrent(other))
            if one != two:
                raise NotDescribableError(
                    f"{first.name} and {other.name} have different {what}, {one} and {two}; "
                    "expected recurrent layers of one kind"
                )


def _dropout(called: Sequence[Called]) -> float:
    """The share that every gap between two recurrent layers drops."""
    gaps: list[float] = []
    passed: list[float] = []
    begun = False
    for each in called:
        if isinstance(each.layer, Dropout) and each.layer.share:
            passed.append(each.layer.share)
        elif isinstance(each.layer, Recurrent):
            if begun and len(passed) > 1:
                raise NotDescribableError(
                    f"{len(passed)} dropouts stand before {each.name}; expected one"
                )
            gaps += ([float(sum(passed))] if begun else []) + [each.layer.dropout] * (
                len(each.layer.params) - 1
            )
            begun, passed = True, []
    if len(set(gaps)) > 1:
        shares = ", ".join(f"{share:g}" for share in gaps)
        raise NotDescribableError(
            f"the net has different dropouts between its recurrent layers, {shares}; expected the "
            "same between all of them"
        )
    return gaps[0] if gaps else 0.0

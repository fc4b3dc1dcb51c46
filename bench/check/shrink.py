"""From an example that fails to the smallest one that still does; from a refused to a taken one."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any, get_args

from bench.check.example import Example
from tasks.spec import Loss, Readout

# Field -> the simple value, those first that leave most out. Of the batch, then of the model.
_PLAIN: dict[str, Any] = {"params": "uniform", "x": "random", "weight": None, "state": False}
_PLAIN_SPEC: dict[str, Any] = {
    "num_layers": 1,
    "bidirectional": False,
    "vocab_size": None,
    "train_embedding": True,
    "time_reduction": "mean",
    "loss": "cross_entropy",
    "bias": True,
    "readout": "every_step",
    "output_size": None,
}
_SIZES = ("hidden_size", "input_size", "output_size", "vocab_size")


def shrunk(example: Example, fails: Callable[[Example], bool], seconds: float) -> Example:
    """The simplest example found within `seconds` for which `fails` holds."""
    end = monotonic() + seconds
    while True:
        for candidate in _simpler(example):
            if monotonic() > end:
                return example
            if fails(candidate):
                example = candidate
                break
        else:
            return example


def _simpler(example: Example) -> Iterator[Example]:
    """Each one step simpler than `example`, large steps first."""
    for name, plain in _PLAIN.items():
        if getattr(example, name) != plain:
            yield dataclasses.replace(example, **{name: plain})
    for name, plain in _PLAIN_SPEC.items():
        if getattr(example.spec, name) != plain:
            yield with_spec(example, **{name: plain})
    for steps in _smaller(example.steps):
        yield dataclasses.replace(example, steps=steps)
    for batch in _smaller(example.batch):
        yield dataclasses.replace(example, batch=batch)
    for name in _SIZES:
        for size in _smaller(getattr(example.spec, name) or 1):
            yield with_spec(example, **{name: size})


def _smaller(size: int) -> Iterator[int]:
    yield from sorted({1, 2, size // 2, size - 1} & set(range(1, size)))


def with_spec(example: Example, **fields: Any) -> Example:
    """The same example with other fields of its spec; weights go where no step is read."""
    spec = dataclasses.replace(example.spec, **fields)
    weight = example.weight if spec.readout == "every_step" else None
    return dataclasses.replace(example, spec=spec, weight=weight)


def nearest(example: Example, taken: Callable[[Example], bool]) -> Example | None:
    """The example itself, or one that leaves out what keeps it from being taken, or None."""
    if taken(example):
        return example
    for name, plain in _PLAIN_SPEC.items():
        example = with_spec(example, **{name: plain})
        if taken(example):
            return example
    kinds = itertools.product(get_args(Readout), (3, None), get_args(Loss), (True, False))
    for readout, output_size, loss, bias in kinds:
        candidate = with_spec(
            example, readout=readout, output_size=output_size, loss=loss, bias=bias
        )
        if taken(candidate):
            return candidate
    return None

"""Finds the smallest case that still fails, and the nearest case that a variant takes."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any, get_args

from bench.kit.case import CaseSpec
from tasks.spec import Loss, Readout

# Field -> its simplest value, of the batch and of the model; large simplifications first.
_PLAIN: dict[str, Any] = {
    "lengths": None,
    "params": "uniform",
    "x": "random",
    "weight": None,
    "state": False,
}
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


def shrunk(case: CaseSpec, fails: Callable[[CaseSpec], bool], seconds: float) -> CaseSpec:
    """The simplest case found within `seconds` for which `fails` holds."""
    end = monotonic() + seconds
    while True:
        for candidate in _simpler(case):
            if monotonic() > end:
                return case
            if fails(candidate):
                case = candidate
                break
        else:
            return case


def _simpler(case: CaseSpec) -> Iterator[CaseSpec]:
    """The cases one step simpler than `case`, large steps first."""
    for name, plain in _PLAIN.items():
        if getattr(case, name) != plain:
            yield dataclasses.replace(case, **{name: plain})
    for name, plain in _PLAIN_SPEC.items():
        if getattr(case.spec, name) != plain:
            yield with_spec(case, **{name: plain})
    for steps in _smaller(case.steps):
        yield dataclasses.replace(case, steps=steps)
    for batch in _smaller(case.batch):
        yield dataclasses.replace(case, batch=batch)
    for name in _SIZES:
        for size in _smaller(getattr(case.spec, name) or 1):
            yield with_spec(case, **{name: size})


def _smaller(size: int) -> Iterator[int]:
    yield from sorted({1, 2, size // 2, size - 1} & set(range(1, size)))


def with_spec(case: CaseSpec, **fields: Any) -> CaseSpec:
    """The same case with other fields of its spec; without weights for a last-step readout."""
    spec = dataclasses.replace(case.spec, **fields)
    weight = case.weight if spec.readout == "every_step" else None
    return dataclasses.replace(case, spec=spec, weight=weight)


def nearest(case: CaseSpec, taken: Callable[[CaseSpec], bool]) -> CaseSpec | None:
    """The case if it is taken, else a simpler one that is, else None."""
    found = _nearest(case, taken)
    if found is None and case.lengths is not None:
        found = _nearest(dataclasses.replace(case, lengths=None), taken)
    return found


def _nearest(case: CaseSpec, taken: Callable[[CaseSpec], bool]) -> CaseSpec | None:
    """The same, with its lengths."""
    if taken(case):
        return case
    # Where one field is refused, the others stay as they are.
    for name, plain in _PLAIN_SPEC.items():
        candidate = with_spec(case, **{name: plain})
        if taken(candidate):
            return candidate
    for name, plain in _PLAIN_SPEC.items():
        case = with_spec(case, **{name: plain})
        if taken(case):
            return case
    kinds = itertools.product(get_args(Readout), (3, None), get_args(Loss), (True, False))
    for readout, output_size, loss, bias in kinds:
        candidate = with_spec(case, readout=readout, output_size=output_size, loss=loss, bias=bias)
        if taken(candidate):
            return candidate
    return None

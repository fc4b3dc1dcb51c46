"""Masks between layers: how many values they drop, and what they multiply the rest with."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any
from unittest import mock

import numpy as np
import pytest
from here import asked
from in_process import InProcess
from mutations import Mutant, Mutation

from bench.correctness.asked_model import AskedModel
from bench.correctness.dropout import wrong_masks
from bench.correctness.oracle import Inputs, rounded
from tasks import TASKS
from tasks.spec import CELLS, ModelSpec, init_params


@contextlib.contextmanager
def drawing(change: Callable[[np.ndarray], None]) -> Iterator[None]:
    """Numbers of which a mask is made are changed in place."""

    class Drawing:
        rng = np.random.default_rng(0)

        def random(self, *, out: np.ndarray, dtype: Any) -> None:
            self.rng.random(out=out, dtype=dtype)
            change(out)

    with mock.patch("numpy.random.default_rng", return_value=Drawing()):
        yield


def once_a_sequence(numbers: np.ndarray) -> None:
    numbers[:] = numbers[:1]


def more_often(numbers: np.ndarray) -> None:
    np.square(numbers, out=numbers)


@contextlib.contextmanager
def unscaled() -> Iterator[None]:
    """What is kept stays as it is."""
    multiply = np.multiply

    def only_arrays(a: Any, b: Any, *args: Any, **kwargs: Any) -> Any:
        scale = isinstance(b, float) and kwargs.get("out") is a
        return a if scale else multiply(a, b, *args, **kwargs)

    with mock.patch("backends.numpy.net.np.multiply", only_arrays):
        yield


def half(spec: ModelSpec) -> ModelSpec:
    return replace(spec, dropout=spec.dropout / 2)


def found(
    mutation: Mutation, cell: str = "lstm", dtype: str = "float32", p: float = 0.4, **fields: Any
) -> str | None:
    task = TASKS["custom"]
    size = task.sizes["base"].with_overrides(batch=5, steps=6, input=4, hidden=24, layers=2)
    spec = task.spec(size, cell=cell, dropout=p, **fields)
    params, batch = rounded(dtype, init_params(spec, 3), task.batch(size, 3, spec))
    model = AskedModel(partial(InProcess(Mutant("m", mutation)).ask, dtype), "cpu", dtype)
    case = Inputs(spec, params, batch)
    model.build(case)
    return wrong_masks(model, case)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    "fields", [{}, {"bidirectional": True}, {"bias": False}, {"readout": "every_step"}], ids=str
)
def test_right_masks_pass(cell: str, dtype: str, fields: dict[str, Any]) -> None:
    assert found(Mutation(), cell, dtype, **fields) is None


def test_without_dropout_there_is_nothing_to_check() -> None:
    assert found(Mutation(within=partial(drawing, once_a_sequence)), p=0.0) is None


MUTANTS = {
    "half the share": (
        Mutation(spec=half),
        "masks multiply what they keep by 1.25; expected 1.667",
    ),
    "no scale": (Mutation(within=unscaled), "masks multiply what they keep by 1; expected 1.667"),
    "drops more": (
        Mutation(within=partial(drawing, more_often)),
        "are dropped between layers; expected 40.0 %",
    ),
    "no masks": (Mutation(spec=lambda s: half(half(half(half(half(half(s))))))), "by 1.006"),
    "one mask a sequence": (
        Mutation(within=partial(drawing, once_a_sequence)),
        "are dropped at both of two steps; expected 16.0 %",
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_wrong_masks_are_named(name: str) -> None:
    mutation, words = MUTANTS[name]
    assert words in (found(mutation) or "nothing")


def test_a_run_with_dropout_is_checked(tmp_path: Any) -> None:
    """Without a second layer there is no place for it."""
    code, output = asked(tmp_path, "--task=hihello", "--phase=bptt", "--dropout=0.5")
    assert code == 2
    assert "at least 2 layers" in output

"""The bounds of agreement: what denormal inputs excuse, and what nothing else does."""

from __future__ import annotations

import numpy as np
import pytest

from bench.correctness import oracle
from bench.correctness.tolerances import denormal, flushed, relative_error
from tasks.inputs import SMALLEST_NORMAL
from tasks.spec import Batch, ModelSpec, init_params

SPEC = ModelSpec("rnn_tanh", input_size=3, hidden_size=4, bias=False, loss="mse")
SHAPE = (2, 5, SPEC.input_size)


@pytest.mark.parametrize(
    ("inputs", "weights", "excused"),
    [(1e-39, 1.0, True), (1.0, 1e-40, False)],
    ids=["denormal inputs", "denormal weights"],
)
def test_zeros_for_denormal_states_are_excused_by_denormal_inputs_alone(
    inputs: float, weights: float, excused: bool
) -> None:
    x = inputs * np.random.default_rng(0).uniform(0.1, 1.0, SHAPE)
    params = {name: weights * value for name, value in init_params(SPEC, 0).items()}
    batch = Batch(x, np.zeros((*SHAPE[:2], SPEC.logit_size)))
    expected = oracle.reference(SPEC, params, batch, "float32")
    outputs = expected.tensors["outputs"]
    assert 0 < np.abs(outputs).max() < SMALLEST_NORMAL
    zeros = np.zeros_like(outputs)
    assert (relative_error(zeros, outputs) <= expected.bounds["outputs"]) is excused


def test_what_is_excused_is_the_smallest_normal_number_in_each_place() -> None:
    ref = np.full(16, 2.0**-130)
    off = np.full(16, 0.999 * SMALLEST_NORMAL)
    assert relative_error(ref + off, ref) <= flushed(ref)
    assert relative_error(ref + 1.01 * SMALLEST_NORMAL, ref) > flushed(ref)


def test_zeros_tokens_and_usual_numbers_are_not_denormal() -> None:
    assert denormal(np.array([0.0, 2.0**-127]))
    assert not denormal(np.zeros(3))
    assert not denormal(np.array([1, 2]))
    assert not denormal(np.array([2.0**-127, SMALLEST_NORMAL]))

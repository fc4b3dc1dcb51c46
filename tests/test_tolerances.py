"""The bounds of agreement: what denormal inputs excuse, and what nothing else does."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from backends import registry
from bench.correctness import oracle
from bench.correctness.arithmetics import Functions
from bench.correctness.comparison import compare
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


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_nothing_agrees_with_an_oracle_that_overflows_in_float32() -> None:
    spec = ModelSpec("rnn_relu", input_size=3, hidden_size=4, loss="mse")
    params = {name: np.full_like(value, 1e25) for name, value in init_params(spec, 0).items()}
    batch = Batch(np.ones(SHAPE), np.zeros((*SHAPE[:2], spec.logit_size)))
    expected = oracle.reference(spec, params, batch, "float32")
    came = {name: np.zeros_like(value) for name, value in expected.tensors.items()}
    found = compare(expected, "bptt", came, "")
    assert any("overflows" in failure for failure in found.failures)


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


NET = ModelSpec("lstm", input_size=4, hidden_size=6, num_layers=2, loss="mse", output_size=2)
FAST_TANH = 92 * 2.0**-23  # cuDNN's


def _results(tanh: Callable[..., None], device: str) -> list[tuple[str, float, float]]:
    """Each tensor of NET in float32 with another tanh: its error, and its bound on `device`."""
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((3, 20, 4)), rng.standard_normal((3, 20, 2))
    params, batch = oracle.rounded("float32", init_params(NET, 0), Batch(x, y))
    expected = oracle.reference(NET, params, batch, "float32", device)
    ops = Functions()
    ops.tanh = tanh  # type: ignore[attr-defined]
    found = oracle.run_oracle(NET, params, batch, "float32", registry.oracle(ops))
    return [
        (name, relative_error(found[name], ref), expected.bounds[name])
        for name, ref in expected.tensors.items()
    ]


def _wavy(x: np.ndarray, /, *, out: np.ndarray) -> None:
    """Off by up to FAST_TANH, by an error that depends on x as that of a polynomial does."""
    wave = 1 + FAST_TANH * np.cos(40 * x.astype(np.float64))
    np.copyto(out, (np.tanh(x.astype(np.float64)) * wave).astype(out.dtype))


def _as_tf32(x: np.ndarray, /, *, out: np.ndarray) -> None:
    """Of the input as a product in TF32 leaves it."""
    np.tanh(x * (1 + 2.0**-11), out=out)


def test_a_fast_tanh_is_excused_on_a_gpu_alone() -> None:
    on_gpu, on_cpu = (_results(_wavy, device) for device in ("cuda:0", "cpu"))
    assert all(error <= bound for _, error, bound in on_gpu)
    assert any(error > bound for _, error, bound in on_cpu)


def test_what_tf32_makes_of_a_pre_activation_is_not_excused() -> None:
    beyond = [name for name, error, bound in _results(_as_tf32, "cuda:0") if error > 2 * bound]
    assert "outputs" in beyond
    assert any(name.startswith("grad.") for name in beyond)


def test_float64_has_no_other_bound_on_a_gpu() -> None:
    rng = np.random.default_rng(1)
    batch = Batch(rng.standard_normal((3, 20, 4)), rng.standard_normal((3, 20, 2)))
    params = init_params(NET, 0)
    there, here = (
        oracle.reference(NET, params, batch, "float64", device) for device in ("cuda:0", "cpu")
    )
    assert there.bounds == here.bounds

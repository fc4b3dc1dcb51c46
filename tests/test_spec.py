"""The contract's data: what fits a spec, and the ways into a Batch."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from backends import registry
from tasks.batch import carried, check_batch, time_first, unbatched
from tasks.loss import loss
from tasks.spec import (
    Batch,
    ModelSpec,
    OptimizerSpec,
    check_params,
    init_params,
    param_shapes,
    parameter_count,
)

RNG = np.random.default_rng(7)


def forward(spec: ModelSpec, params: dict[str, np.ndarray], batch: Batch) -> dict[str, np.ndarray]:
    model = registry.load("numpy").build(spec, params, device="cpu", dtype="float64")
    return {k: v.copy() for k, v in model.to_host(model.forward(model.place(batch))).items()}


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("cell", "rnn", "rnn_tanh, rnn_relu, gru, lstm"),
        ("hidden_size", 0, "at least 1"),
        ("num_layers", -1, "at least 1"),
        ("input_size", 2.0, "whole number"),
        ("num_layers", True, "whole number"),
        ("output_size", 0, "at least 1"),
        ("dropout", 1.0, r"\[0, 1\)"),
        ("readout", "all", "every_step, last_step"),
        ("loss", "nll", "cross_entropy, mse"),
        ("time_reduction", "max", "mean, sum"),
    ],
)
def test_a_spec_out_of_range_says_what_was_expected(field: str, value: Any, words: str) -> None:
    good = ModelSpec("gru", 2, 3)
    with pytest.raises(ValueError, match=f"{field}.*{words}"):
        dataclasses.replace(good, **{field: value})


def test_an_optimizer_out_of_range_says_what_was_expected() -> None:
    with pytest.raises(ValueError, match="sgd, adam"):
        OptimizerSpec(name="rmsprop")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="corrected, uncorrected"):
        OptimizerSpec(eps_placement="inside")  # type: ignore[arg-type]


def test_the_published_shapes() -> None:
    """The torch.nn.RNN note: RNN(10,20,2) on (5,3,10) with h0 (2,3,20) -> (5,3,20), (2,3,20)."""
    spec = ModelSpec("rnn_tanh", 10, 20, 2)
    state = {f"l{layer}.fwd.h0": RNG.standard_normal((3, 20)) for layer in range(2)}
    turned = time_first(RNG.standard_normal((5, 3, 10)), np.zeros((5, 3), np.int64))
    batch = dataclasses.replace(turned, state=state)
    check_batch(spec, batch)
    found = forward(spec, init_params(spec, 0), batch)
    assert found["outputs"].swapaxes(0, 1).shape == (5, 3, 20)
    assert np.stack([found["l0.fwd.h"], found["l1.fwd.h"]]).shape == (2, 3, 20)
    one_layer = ModelSpec("rnn_tanh", 10, 20)
    with pytest.raises(ValueError, match=r"l1\.fwd\.h0.*expected \['l0\.fwd\.h0'\]"):
        check_batch(one_layer, batch)


def test_parameters_do_not_grow_with_time_and_are_counted() -> None:
    assert parameter_count(ModelSpec("rnn_tanh", 1, 10, 2)) == 10 + 100 + 10 + 100 + 100 + 10
    assert parameter_count(ModelSpec("lstm", 3, 5, bias=False)) == 4 * 5 * (3 + 5)
    assert parameter_count(ModelSpec("gru", 3, 5, output_size=2)) == 15 * (3 + 5 + 2) + 12


@pytest.mark.parametrize("scheme", ["uniform", "keras"])
def test_initial_parameters_are_seeded_and_complete(scheme: Any) -> None:
    spec = ModelSpec("lstm", 3, 5, 2, True, vocab_size=7, output_size=2)
    first, again, other = (init_params(spec, seed, scheme) for seed in (1, 1, 2))
    check_params(spec, first)
    assert list(first) == list(param_shapes(spec))
    for name in first:
        assert np.array_equal(first[name], again[name])
    assert not np.array_equal(first["l0.fwd.W_xh"], other["l0.fwd.W_xh"])
    if scheme == "keras":
        product = first["l0.fwd.W_hh"] @ first["l0.fwd.W_hh"].T
        np.testing.assert_allclose(product, np.eye(5), atol=1e-12)
        assert first["l1.bwd.b"].tolist() == [0] * 5 + [1] * 5 + [0] * 10


def test_a_missing_or_misshapen_parameter_is_named() -> None:
    spec = ModelSpec("gru", 3, 5)
    params = init_params(spec, 0)
    with pytest.raises(ValueError, match="b_hh"):
        check_params(spec, {n: v for n, v in params.items() if not n.endswith("b_hh")})
    with pytest.raises(ValueError, match=r"W_hh has shape \(15, 5\); expected \(5, 15\)"):
        check_params(spec, params | {"l0.fwd.W_hh": params["l0.fwd.W_hh"].T})


def test_time_first_and_unbatched_are_the_same_batch() -> None:
    spec = ModelSpec("lstm", 2, 3, output_size=4)
    x, y = RNG.standard_normal((6, 5, 2)), RNG.integers(0, 4, (6, 5))  # (T,B,D), (T,B)
    params, batch = init_params(spec, 3), time_first(x, y)
    check_batch(spec, batch)
    together = forward(spec, params, batch)["outputs"]
    for index in range(5):
        alone = forward(spec, params, unbatched(x[:, index], y[:, index]))["outputs"]
        np.testing.assert_allclose(alone[0], together[index], rtol=1e-12)


@pytest.mark.parametrize("cell", ["rnn_relu", "gru", "lstm"])
def test_a_state_carried_on_continues_the_sequence_and_a_reset_does_not(cell: Any) -> None:
    spec = ModelSpec(cell, 2, 4, 2)
    params, x = init_params(spec, 1), RNG.standard_normal((3, 8, 2))
    y = np.zeros((3, 8), np.int64)
    whole = forward(spec, params, Batch(x, y))["outputs"]
    first = forward(spec, params, Batch(x[:, :5], y[:, :5]))
    state = carried(spec, first)
    then = forward(spec, params, Batch(x[:, 5:], y[:, 5:], state=state))["outputs"]
    np.testing.assert_allclose(then, whole[:, 5:], rtol=1e-12)
    reset = forward(spec, params, Batch(x[:, 5:], y[:, 5:]))["outputs"]
    assert np.abs(reset - whole[:, 5:]).max() > 1e-3


def test_weights_and_reductions_of_the_loss() -> None:
    outputs, y = RNG.standard_normal((2, 3, 4)), RNG.integers(0, 4, (2, 3))
    spec = ModelSpec("gru", 2, 4)
    each = -np.log(np.exp(outputs) / np.exp(outputs).sum(-1, keepdims=True))
    each = np.take_along_axis(each, y[..., None], -1)[..., 0]
    weight = np.array([[1.0, 0.0, 2.0], [0.0, 0.5, 0.0]])
    batch = Batch(RNG.standard_normal((2, 3, 2)), y)
    weighted = dataclasses.replace(batch, weight=weight)
    summed = dataclasses.replace(spec, time_reduction="sum")
    assert loss(spec, outputs, batch) == pytest.approx(each.mean())
    assert loss(summed, outputs, batch) == pytest.approx(each.sum() / 2)
    assert loss(spec, outputs, weighted) == pytest.approx((weight * each).sum() / 3.5)
    assert loss(spec, outputs, dataclasses.replace(batch, weight=0 * weight)) == 0.0
    mse = dataclasses.replace(spec, loss="mse")
    target = Batch(batch.x, RNG.standard_normal((2, 3, 4)))
    assert loss(mse, outputs, target) == pytest.approx(((outputs - target.y) ** 2).mean())

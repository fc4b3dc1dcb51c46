"""The numpy backend is right: its gradients are central differences', its passes are torch's."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from backends.numpy.backend import NumpyModel, numpy_backend
from backends.torch.backend import torch_nn
from backends.torch.cell import torch_cell
from backends.torch.padded import torch_padded
from tasks.loss import loss
from tasks.spec import CELLS, Batch, ModelSpec, OptimizerSpec, Params, init_params

B, T, D, H, C, V = 3, 4, 2, 3, 4, 5
CASES: Mapping[str, dict[str, Any]] = {
    "plain": {},
    "two_layers": {"num_layers": 2},
    "bidirectional": {"bidirectional": True},
    "two_layers_bidirectional": {"num_layers": 2, "bidirectional": True},
    "no_bias": {"bias": False, "num_layers": 2},
    "no_head": {"output_size": None},
    "sum_over_steps": {"time_reduction": "sum"},
    "mse": {"loss": "mse"},
    "mse_sum_no_head": {"loss": "mse", "time_reduction": "sum", "output_size": None},
    "last_step": {"readout": "last_step", "num_layers": 2},
    "last_step_bidirectional": {"readout": "last_step", "num_layers": 2, "bidirectional": True},
    "last_step_no_head": {"readout": "last_step", "bidirectional": True, "output_size": None},
    "last_step_mse_sum": {"readout": "last_step", "loss": "mse", "time_reduction": "sum"},
    "embedding": {"vocab_size": V},
    "embedding_bidirectional": {"vocab_size": V, "bidirectional": True, "readout": "last_step"},
    "frozen_embedding": {"vocab_size": V, "train_embedding": False},
    "weighted": {"weight": "random"},
    "weighted_sum": {"weight": "random", "time_reduction": "sum"},
    "weighted_mse": {"weight": "random", "loss": "mse", "bidirectional": True},
    "weighted_zero": {"weight": "zero"},
    "weighted_zero_sum": {"weight": "zero", "time_reduction": "sum"},
    "given_state": {"state": True, "num_layers": 2, "bidirectional": True},
    "lengths": {"lengths": True},
    "lengths_no_head": {"lengths": True, "output_size": None, "bidirectional": True, "state": True},
    "lengths_two_layers": {"lengths": True, "num_layers": 2, "bidirectional": True, "state": True},
    "lengths_last_step": {"lengths": True, "num_layers": 2, "readout": "last_step"},
    "lengths_last_step_bidirectional": {
        "lengths": True,
        "readout": "last_step",
        "bidirectional": True,
        "vocab_size": V,
    },
    "lengths_sum": {"lengths": True, "time_reduction": "sum", "loss": "mse"},
    "lengths_weighted": {"lengths": True, "weight": "random", "bidirectional": True},
    "lengths_weighted_sum": {"lengths": True, "weight": "random", "time_reduction": "sum"},
    "lengths_embedding": {"lengths": True, "vocab_size": V, "num_layers": 2},
    "one_step": {"steps": 1, "state": True},
    "one_sequence": {"size": 1, "bidirectional": True},
    "one_unit": {"hidden": 1, "size": 1, "steps": 1, "bidirectional": True},
}


def make(
    cell: str,
    seed: int = 0,
    *,
    weight: str | None = None,
    state: bool = False,
    lengths: bool = False,
    size: int = B,
    steps: int = T,
    hidden: int = H,
    **fields: Any,
) -> tuple[ModelSpec, Params, Batch]:
    """A small model of `cell` with random parameters, and a random batch for it."""
    fields = {"output_size": C} | fields
    spec = ModelSpec(cell=cell, input_size=D, hidden_size=hidden, **fields)  # type: ignore[arg-type]
    rng = np.random.default_rng(seed)
    params = {name: 2 * p for name, p in init_params(spec, seed).items()}
    x: np.ndarray = rng.standard_normal((size, steps, D))
    if spec.vocab_size is not None:
        x = rng.integers(0, 3, (size, steps))  # more steps than ids: they come again
    lead = (size, steps) if spec.readout == "every_step" else (size,)
    y: np.ndarray = rng.integers(0, spec.logit_size, lead)
    if spec.loss == "mse":
        y = rng.standard_normal((*lead, spec.logit_size))
    weights = {
        None: None,
        "zero": np.zeros((size, steps)),
        "random": rng.uniform(0, 2, (size, steps)) * (rng.random((size, steps)) < 0.7),
    }
    initial = {f"{n}0": rng.uniform(-0.9, 0.9, (size, hidden)) for n in spec.state_names()}
    own = np.array([1, T, 2]) if lengths else None
    return spec, params, Batch(x, y, weights[weight], initial if state else None, own)


def model(
    spec: ModelSpec,
    params: Params,
    dtype: str = "float64",
    optimizer: OptimizerSpec | None = None,
) -> NumpyModel:
    return numpy_backend().build(spec, params, device="cpu", dtype=dtype, optimizer=optimizer)


def run(net: Any, phase: str, batch: Batch) -> dict[str, np.ndarray]:
    result = getattr(net, phase)(net.place(batch))
    net.sync(result)
    return net.to_host(result)


def assert_close(
    found: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray], bound: float
) -> None:
    """Every tensor's error in the 2-norm is at most `bound` of its own norm, or of 1e-2."""
    assert set(found) == set(expected)
    assert found
    for name, value in expected.items():
        assert found[name].shape == value.shape, name
        error = float(np.linalg.norm(found[name] - value))
        assert error <= bound * max(float(np.linalg.norm(value)), 1e-2), (
            f"{name} is off by {error:.1e}"
        )


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("case", CASES)
def test_gradients_are_central_differences(cell: str, case: str) -> None:
    spec, params, batch = make(cell, **CASES[case])
    found = run(model(spec, params), "bptt", batch)
    net, step, compared = model(spec, params), 1e-5, 0
    placed = net.place(batch)
    expected = {name: np.empty_like(params[name]) for name in spec.trainable()}
    for name, gradient in expected.items():
        for index in np.ndindex(gradient.shape):
            losses = []
            for sign in (1, -1):
                moved = params[name].copy()
                moved[index] += sign * step
                net.load(params | {name: moved})
                losses.append(loss(spec, net.to_host(net.forward(placed))["outputs"], batch))
            gradient[index] = (losses[0] - losses[1]) / (2 * step)
            compared += 1
    assert compared == sum(params[name].size for name in spec.trainable()) > 0
    value = found.pop("loss")
    outputs = run(model(spec, params), "forward", batch)["outputs"]
    assert value == pytest.approx(loss(spec, outputs, batch), rel=1e-13, abs=1e-15)
    assert_close(found, {f"grad.{name}": g for name, g in expected.items()}, 1e-7)


def torch_model(variant: str, spec: ModelSpec, params: Params, optimizer: Any = None) -> Any:
    pytest.importorskip("torch", reason="torch is not installed: pip install torch")
    made = {"torch": torch_nn, "torch-cell": torch_cell, "torch-padded": torch_padded}
    backend = made[variant]()
    return backend.build(spec, params, device="cpu", dtype="float64", optimizer=optimizer)


@pytest.mark.parametrize("variant", ["torch", "torch-cell", "torch-padded"])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("case", CASES)
def test_forward_and_gradients_are_those_of_torch(cell: str, case: str, variant: str) -> None:
    spec, params, batch = make(cell, 1, **CASES[case])
    net, theirs = model(spec, params), torch_model(variant, spec, params)
    for phase in ("forward", "bptt", "bptt", "forward"):  # again: nothing piles up
        assert_close(run(theirs, phase, batch), run(net, phase, batch), 1e-10)
    assert_close(theirs.params(), params, 0.0)


@pytest.mark.parametrize("name", ["sgd", "adam"])
@pytest.mark.parametrize("variant", ["torch", "torch-cell"])
@pytest.mark.parametrize("cell", CELLS)
def test_training_is_that_of_torch(cell: str, variant: str, name: str) -> None:
    optimizer = OptimizerSpec(name, learning_rate=0.01)  # type: ignore[arg-type]
    spec, params, batch = make(cell, 2, num_layers=2, bidirectional=True, vocab_size=V)
    net = model(spec, params, optimizer=optimizer)
    theirs = torch_model(variant, spec, params, optimizer)
    for _ in range(2):  # the second time after `load`, which forgets the moments
        net.load(params)
        theirs.load(params)
        for _ in range(50):
            expected = run(net, "train_step", batch)
            assert_close(run(theirs, "train_step", batch), expected, 1e-9)
        assert_close(theirs.params(), net.params(), 1e-9)


@pytest.mark.parametrize("variant", ["torch", "torch-cell"])
@pytest.mark.parametrize("cell", CELLS)
def test_torch_drops_out_in_training_alone(cell: str, variant: str) -> None:
    spec, params, batch = make(cell, 2, num_layers=2, dropout=0.5)
    net, theirs = model(spec, params), torch_model(variant, spec, params)
    losses = {float(run(theirs, "bptt", batch)["loss"]) for _ in range(5)}
    assert len(losses) > 1
    assert_close(run(theirs, "forward", batch), run(net, "forward", batch), 1e-10)


@pytest.mark.parametrize("cell", CELLS)
def test_saturated_gates_are_finite_and_silent(cell: str) -> None:
    spec, params, batch = make(cell)
    for name in params:
        if name.endswith("W_xh"):
            params[name] *= 1e4
    if cell == "rnn_relu":  # unbounded: its states may be large, and still are finite
        params["l0.fwd.W_hh"] *= 0.1
    for dtype in ("float32", "float64"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            # Not dependable: see `filterwarnings` in pyproject.toml. All results are looked at.
            warnings.filterwarnings("ignore", "invalid value encountered in matmul")
            net = model(spec, params, dtype)
            found = run(net, "forward", batch) | run(net, "bptt", batch)
        assert found
        for name, value in found.items():
            assert np.isfinite(value).all(), name


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("case", ["two_layers_bidirectional", "embedding", "last_step"])
def test_earlier_calls_leave_no_trace(cell: str, case: str) -> None:
    spec, params, batch = make(cell, **CASES[case])
    _, _, other = make(cell, 7, size=B + 2, steps=T + 3, **CASES[case])
    _, _, started = make(cell, 8, state=True, **CASES[case])
    fresh, used = model(spec, params), model(spec, params)
    for phase in ("forward", "bptt"):
        for before in (other, started, batch):
            run(used, "bptt", before)
            run(used, phase, before)
        found, expected = run(used, phase, batch), run(fresh, phase, batch)
        assert found
        for name, value in expected.items():
            np.testing.assert_array_equal(found[name], value, err_msg=name)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("case", [name for name in CASES if "lengths" in name])
def test_a_sequence_is_what_it_is_alone_without_its_padding(cell: str, case: str) -> None:
    spec, params, batch = make(cell, 5, **CASES[case])
    found = run(model(spec, params), "forward", batch)
    assert batch.lengths is not None
    for row, length in enumerate(batch.lengths):
        state = {name: h[row : row + 1] for name, h in (batch.state or {}).items()}
        y = batch.y[row : row + 1]
        y = y[:, :length] if spec.readout == "every_step" else y
        alone = Batch(batch.x[row : row + 1, :length], y, state=state or None)
        for name, value in run(model(spec, params), "forward", alone).items():
            mine = found[name][row : row + 1]
            if name == "outputs" and spec.readout == "every_step":
                assert not mine[:, length:].any()
                mine = mine[:, :length]
            np.testing.assert_allclose(mine, value, rtol=1e-12, atol=1e-14, err_msg=name)


def test_a_result_that_was_overwritten_is_refused() -> None:
    spec, params, batch = make("lstm")
    net = model(spec, params)
    first = net.bptt(net.place(batch))
    net.forward(net.place(batch))
    with pytest.raises(ValueError, match="read a result before the next call"):
        net.to_host(first)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("case", CASES)
def test_float32_stays_float32(cell: str, case: str) -> None:
    spec, params, batch = make(cell, **CASES[case])
    optimizer = OptimizerSpec("adam", eps_placement="uncorrected")
    exact, net = model(spec, params), model(spec, params, "float32", optimizer)
    found = run(net, "train_step", batch)
    assert {k: v.dtype for k, v in found.items()} == {"loss": np.dtype("float32")}
    assert {v.dtype for v in net.params().values()} == {np.dtype("float32")}
    net.load(params)
    for phase in ("forward", "bptt"):
        found = run(net, phase, batch)
        assert {v.dtype for v in found.values()} == {np.dtype("float32")}
        assert_close(found, run(exact, phase, batch), 1e-5)


@pytest.mark.parametrize("placement", ["corrected", "uncorrected"])
@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_train_steps_follow_the_optimizers_equations(name: str, placement: str) -> None:
    spec, params, batch = make("gru", num_layers=2)
    optimizer = OptimizerSpec(name, 0.1, 0.8, 0.95, 1e-2, placement)  # type: ignore[arg-type]
    net, plain = model(spec, params, optimizer=optimizer), model(spec, params)
    for _ in range(2):  # the second time after `load`, which forgets the moments
        net.load(params)
        p = dict(params)
        m, v = ({n: np.zeros_like(a) for n, a in p.items()} for _ in range(2))
        for t in range(1, 51):
            plain.load(p)
            expected = run(plain, "bptt", batch)
            found = run(net, "train_step", batch)
            assert_close(found, {"loss": expected["loss"]}, 1e-12)
            for n in p:
                g = expected[f"grad.{n}"]
                m[n], v[n] = 0.8 * m[n] + 0.2 * g, 0.95 * v[n] + 0.05 * g * g
                m_hat, v_hat = m[n] / (1 - 0.8**t), v[n] / (1 - 0.95**t)
                if name == "sgd":
                    p[n] = p[n] - 0.1 * g
                elif placement == "corrected":
                    p[n] = p[n] - 0.1 * m_hat / (np.sqrt(v_hat) + 1e-2)
                else:
                    rate = 0.1 * np.sqrt(1 - 0.95**t) / (1 - 0.8**t)
                    p[n] = p[n] - rate * m[n] / (np.sqrt(v[n]) + 1e-2)
            assert_close(net.params(), p, 1e-12)
            plain.load(net.params())


@pytest.mark.parametrize("cell", CELLS)
def test_dropout_acts_between_layers_in_training_alone(cell: str) -> None:
    case = CASES["two_layers_bidirectional"]
    spec, params, batch = make(cell, dropout=0.4, **case)
    net, plain = model(spec, params), model(make(cell, **case)[0], params)
    assert_close(run(net, "forward", batch), run(plain, "forward", batch), 0.0)
    found = run(net, "bptt", batch)
    assert run(net, "bptt", batch)["loss"] != found["loss"], "each step draws a mask of its own"
    # A model just built draws the first one's mask again, so differences can be taken.
    compared = 0
    for name in ("l0.fwd.W_xh", "l0.bwd.W_hh", "l1.fwd.W_xh", "W_hy"):
        for index in ((i, i) for i in range(min(params[name].shape))):
            losses = []
            for sign in (1, -1):
                moved = params[name].copy()
                moved[index] += sign * 1e-5
                moved_net = model(spec, params | {name: moved})
                losses.append(run(moved_net, "bptt", batch)["loss"])
            expected = (losses[0] - losses[1]) / 2e-5
            assert found[f"grad.{name}"][index] == pytest.approx(expected, rel=1e-5, abs=1e-9)
            compared += 1
    assert compared > 0


def test_dropout_keeps_the_mean() -> None:
    spec, params, batch = make("rnn_relu", num_layers=2, dropout=0.3, size=50, steps=40)
    net = model(spec, params)
    work = net.bptt(net.place(batch)).work
    mask = work._layers[0].mask
    assert mask is not None
    assert set(np.unique(mask)) == {0.0, 1 / (1 - 0.3)}
    assert mask.mean() == pytest.approx(1.0, abs=0.05)


def test_wrong_use_says_what_was_expected() -> None:
    spec, params, batch = make("lstm")
    backend = numpy_backend()
    assert backend.refusal(spec, device="cuda:0", dtype="float32", phase="bptt")
    assert backend.refusal(spec, device="cpu", dtype="bfloat16", phase="bptt")
    assert backend.refusal(spec, device="cpu", dtype="float32", phase="predict")
    assert backend.refusal(spec, device="cpu", dtype="float32", phase="train_step") is None
    with pytest.raises(ValueError, match="cpu"):
        backend.build(spec, params, device="cuda", dtype="float32")
    with pytest.raises(ValueError, match="expected"):
        model(spec, {"W": np.zeros(1)})
    with pytest.raises(ValueError, match="expected"):
        model(spec, params).place(Batch(batch.x[..., :1], batch.y))
    with pytest.raises(ValueError, match="OptimizerSpec"):
        run(model(spec, params), "train_step", batch)


@pytest.mark.parametrize("cell", CELLS)
def test_parameters_come_back_as_they_went_in(cell: str) -> None:
    spec, params, _ = make(cell, **CASES["given_state"], vocab_size=V, train_embedding=False)
    assert_close(model(spec, params).params(), params, 0.0)

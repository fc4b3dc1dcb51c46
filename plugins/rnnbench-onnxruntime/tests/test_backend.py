"""The graph is one by ONNX' own rules, and rnnbench's conformance kit agrees with the numbers."""

import itertools
import subprocess
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from rnnbench_onnxruntime.backend import make
from rnnbench_onnxruntime.graph import GATES, make_model


def a_spec(cell, **changes):
    fields = {
        "cell": cell,
        "input_size": 3,
        "hidden_size": 4,
        "num_layers": 1,
        "bidirectional": False,
        "bias": True,
        "vocab_size": None,
        "readout": "every_step",
        "output_size": 2,
    }
    return SimpleNamespace(**{**fields, **changes})


def some_params(spec):
    rng = np.random.default_rng(0)
    ways = ("fwd", "bwd") if spec.bidirectional else ("fwd",)
    wide = len(GATES[spec.cell]) * spec.hidden_size
    shapes = {} if spec.vocab_size is None else {"E": (spec.vocab_size, spec.input_size)}
    for layer, way in itertools.product(range(spec.num_layers), ways):
        inputs = spec.input_size if layer == 0 else spec.hidden_size * len(ways)
        shapes[f"l{layer}.{way}.W_xh"] = (inputs, wide)
        shapes[f"l{layer}.{way}.W_hh"] = (spec.hidden_size, wide)
        if spec.bias:
            shapes[f"l{layer}.{way}.b"] = (wide,)
            if spec.cell == "gru":
                shapes[f"l{layer}.{way}.b_hh"] = (wide,)
    if spec.output_size is not None:
        shapes["W_hy"] = (spec.hidden_size * len(ways), spec.output_size)
        shapes["b_y"] = (spec.output_size,)
    return {name: rng.standard_normal(shape) for name, shape in shapes.items()}


OPTIONS = [
    {},
    {"num_layers": 2, "bidirectional": True},
    {"bias": False, "output_size": None},
    {"vocab_size": 7, "readout": "last_step", "bidirectional": True},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("cell", GATES)
def test_the_graph_is_valid(cell, options):
    spec = a_spec(cell, **options)
    onnx.checker.check_model(make_model(spec, some_params(spec)), full_check=True)


def test_an_lstm_step_by_hand():
    spec = a_spec("lstm", output_size=None)
    params = some_params(spec)
    model = make().build(spec, params, device="cpu", dtype="float32")
    x = np.random.default_rng(1).standard_normal((2, 1, 3))
    batch = SimpleNamespace(x=x, y=None, weight=None, state=None)
    found = model.to_host(model.forward(model.place(batch)))

    def sigmoid(a):
        return 1 / (1 + np.exp(-a))

    i, _, g, o = np.split(x[:, 0] @ params["l0.fwd.W_xh"] + params["l0.fwd.b"], 4, axis=-1)
    c = sigmoid(i) * np.tanh(g)
    np.testing.assert_allclose(found["l0.fwd.c"], c, rtol=1e-5)
    np.testing.assert_allclose(found["outputs"][:, 0], sigmoid(o) * np.tanh(c), rtol=1e-5)


@pytest.mark.parametrize("phase", ["bptt", "train_step"])
def test_what_needs_gradients_is_refused(phase):
    reason = make().refusal(a_spec("gru"), device="cpu", dtype="float32", phase=phase)
    assert "no gradients" in reason


def test_it_conforms():
    done = subprocess.run(["rnnbench", "check", "onnxruntime"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr

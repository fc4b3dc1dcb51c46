"""Every variant against the oracle, in its own interpreter: what a cell of the suite may be."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from backends import registry
from bench import agreement, machine
from bench.lab import Interpreter, Key, Lab
from bench.wire import pack, pack_batch, unpack
from tasks.spec import Batch, ModelSpec, OptimizerSpec, Params, init_params

VARIANTS = [entry.name for entry in registry.BUILT_IN]
TIMEOUT_SECONDS = 300.0
THREADS = len(machine.available_cores())
TRAIN_STEPS = 20


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    cores = machine.available_cores() if machine.pinning() else None
    with Lab(cores, TIMEOUT_SECONDS) as made:
        yield made


class Asked:
    """One variant's interpreter, asked about one spec after the other."""

    def __init__(self, lab: Lab, variant: str, dtype: str) -> None:
        missing = registry.find(variant).missing()
        if missing:
            pytest.skip(missing)
        self.backend = registry.load(variant)
        self.dtype = dtype
        self.worker: Interpreter = lab.get(Key(variant, dtype, "cpu", THREADS))

    def refusal(self, spec: ModelSpec, phase: str) -> str | None:
        return self.backend.refusal(spec, device="cpu", dtype=self.dtype, phase=phase)

    def __call__(self, operation: str, **arguments: object) -> object:
        return self.worker.call(operation, TIMEOUT_SECONDS, **arguments)

    def build(
        self, spec: ModelSpec, params: Params, batch: Batch, optimizer: OptimizerSpec | None = None
    ) -> None:
        self(
            "build",
            spec=dataclasses.asdict(spec),
            params=pack(params),
            batch=pack_batch(batch),
            device="cpu",
            dtype=self.dtype,
            optimizer=dataclasses.asdict(optimizer) if optimizer else None,
        )

    def answer(self, phase: str) -> agreement.Tensors:
        _, packed = self("answer", phase=phase)  # type: ignore[misc]
        return unpack(packed)


def draw(spec: ModelSpec, size: int, steps: int, seed: int, *, extras: bool) -> Batch:
    """Random numbers in every place of a batch; with `extras` weights and a given state too."""
    rng = np.random.default_rng(seed)
    lead = (size, steps)
    x = (
        rng.standard_normal((*lead, spec.input_size))
        if spec.vocab_size is None
        else rng.integers(0, max(1, spec.vocab_size // 2), lead)  # ids come again
    )
    lead = lead if spec.readout == "every_step" else lead[:1]
    if spec.loss == "cross_entropy":
        y = rng.integers(0, spec.logit_size, lead)
    else:
        y = rng.standard_normal((*lead, spec.logit_size))
    weight = state = None
    if extras:
        state = {
            f"{name}0": 0.5 * rng.standard_normal((size, spec.hidden_size))
            for name in spec.state_names()
        }
        if spec.readout == "every_step":
            weight = rng.uniform(0, 1, (size, steps)) * (rng.uniform(0, 1, (size, steps)) > 0.3)
    return Batch(x, y, weight, state)


# One after the other they hold every option, both ways, with every cell.
BOTH = {"num_layers": 2, "bidirectional": True}
SPECS: list[dict[str, Any]] = [
    {**BOTH, "output_size": 3},
    {"readout": "last_step", "vocab_size": 11, "output_size": 2},
    {**BOTH, "readout": "last_step", "loss": "mse", "output_size": 4},
    {"bias": False, "loss": "mse", "time_reduction": "sum"},
    {"vocab_size": 7, "train_embedding": False, "num_layers": 3, "time_reduction": "sum"},
    {"bidirectional": True, "bias": False, "output_size": 1, "loss": "mse"},
]


CELLS = ("rnn_tanh", "rnn_relu", "gru", "lstm")


def cases(cell: str, dtype: str) -> Iterator[tuple[ModelSpec, Batch]]:
    """A share of SPECS for each cell, so that together the cells go through all of them."""
    share = 3 if dtype == "float64" else 2  # float32 differs from it in rounding alone
    for number in range(share):
        number = (number + 2 * CELLS.index(cell)) % len(SPECS)
        spec = ModelSpec(cell, input_size=3 + number, hidden_size=5, **SPECS[number])  # type: ignore[arg-type]
        yield spec, draw(spec, 3, 6, number, extras=number % 2 == 0)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_tensor_agrees(lab: Lab, variant: str, cell: str, dtype: str) -> None:
    asked = Asked(lab, variant, dtype)
    compared = 0
    for spec, batch in cases(cell, dtype):
        reason = asked.refusal(spec, "bptt")
        if reason is not None:
            pytest.skip(reason)
        params, batch = agreement.rounded(dtype, init_params(spec, 1), batch)
        expected = agreement.reference(spec, params, batch, dtype)
        asked.build(spec, params, batch)
        actual = asked.answer("bptt") | asked.answer("forward")
        found = agreement.compare(expected, "bptt", actual)
        assert not found.failures, f"{spec}: {'; '.join(found.failures)}"
        compared += found.tensors
        asked("release")
    assert compared >= 2 * 6


@pytest.mark.parametrize("name", ["adam", "sgd"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_training_stays_with_the_oracle(lab: Lab, variant: str, dtype: str, name: str) -> None:
    asked = Asked(lab, variant, dtype)
    optimizer = OptimizerSpec(name=name, learning_rate=2.0**-7)  # type: ignore[arg-type]
    cell = "lstm" if name == "adam" else "gru"
    spec = ModelSpec(cell, 4, 6, 2, True, vocab_size=9, readout="last_step", output_size=3)  # type: ignore[arg-type]
    reason = asked.refusal(spec, "train_step")
    if reason is not None:
        pytest.skip(reason)
    drawn = draw(spec, 4, 7, 3, extras=False)
    params, batch = agreement.rounded(dtype, init_params(spec, 5), drawn)
    declared = asked.backend.optimizer(optimizer)
    expected = agreement.training_reference(spec, params, batch, declared, dtype, TRAIN_STEPS)
    asked.build(spec, params, batch, optimizer)
    for _ in range(2):  # the second time from loaded parameters and a fresh optimizer
        losses, packed = asked("train", steps=TRAIN_STEPS)  # type: ignore[misc]
        found = agreement.compare(expected, "train_step", agreement.curve(losses, unpack(packed)))
        assert not found.failures, f"{spec}: {'; '.join(found.failures)}"
        assert losses[-1] < losses[0], "twenty updates did not lower the loss"
        asked("renew", params=pack(params), batch=pack_batch(batch))
    asked("release")


# torch.manual_seed(0); torch.nn.RNN(4, 2): the parameters of the Lab-11-1 note, and what it prints.
LAB_11_1 = {
    "l0.fwd.W_xh": np.array(
        [
            [-0.005293981172144413, 0.37932288646698, -0.5819807648658752, -0.5203874707221985],
            [-0.27234524488449097, 0.1896158903837204, -0.014010033570230007, 0.5606575012207031],
        ]
    ).T,
    "l0.fwd.W_hh": np.array(
        [
            [-0.06275151669979095, 0.1871093362569809],
            [-0.2136969119310379, -0.13899271190166473],
        ]
    ).T,
    "l0.fwd.b": np.array([-0.6755334138870239, -0.4683041572570801])
    + np.array([-0.2914857566356659, 0.026193760335445404]),
}
PRINTED = np.fromstring(
    """
    -0.7497 -0.6135 -0.5282 -0.2473 -0.9136 -0.4269 -0.9136 -0.4269 -0.9028  0.1180
    -0.5753 -0.0070 -0.9052  0.2597 -0.9173 -0.1989 -0.9173 -0.1989 -0.8996 -0.2725
    -0.9077 -0.3205 -0.8944 -0.2902 -0.5134 -0.0288 -0.5134 -0.0288 -0.9127 -0.2222
    """,
    sep=" ",
).reshape(3, 5, 2)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_published_outputs_come_out_again(lab: Lab, variant: str) -> None:
    one_hot = np.eye(4)[[["helo".index(letter) for letter in word] for word in WORDS]]
    x = one_hot.swapaxes(0, 1)  # the note feeds (3,5,4) as three steps of a batch of five
    spec = ModelSpec("rnn_tanh", 4, 2)
    batch = Batch(x, np.zeros(x.shape[:2], np.int64))
    asked = Asked(lab, variant, "float32")
    asked.build(spec, LAB_11_1, batch)
    outputs = asked.answer("forward")["outputs"]
    np.testing.assert_allclose(outputs.swapaxes(0, 1), PRINTED, rtol=0, atol=5.1e-5)


WORDS = ("hello", "eolll", "lleel")


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_state_of_the_wrong_depth_is_a_clear_error(lab: Lab, variant: str) -> None:
    spec = ModelSpec("rnn_tanh", 10, 20, output_size=2)
    two_layers = {f"l{layer}.fwd.h0": np.zeros((5, 20)) for layer in range(2)}
    batch = Batch(np.zeros((5, 3, 10)), np.zeros((5, 3), np.int64), state=two_layers)
    asked = Asked(lab, variant, "float32")
    with pytest.raises(Exception, match=r"state is .*l1\.fwd\.h0.*expected \['l0\.fwd\.h0'\]"):
        asked.build(spec, init_params(spec, 0), batch)

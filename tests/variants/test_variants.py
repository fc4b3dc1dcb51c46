"""Every variant, in its own worker process: what was published, and training.

The same checks as `rnnbench check`, at the size that a test session has time for. The rest is in
test_property.py.
"""

from __future__ import annotations

from dataclasses import replace

import asked
import numpy as np
import pytest
from tally import TALLY

from bench.correctness.dropout import wrong_masks
from bench.correctness.oracle import Inputs, rounded
from bench.kit import published
from bench.kit.case import CaseSpec
from bench.kit.conditioning import reference_case
from bench.kit.examine import (
    ADAM,
    SGD,
    TRAIN_STEPS,
    asked_model,
    curve,
    examine_training,
)
from bench.kit.fixed_cases import training_cases
from bench.kit.subject import refusal
from bench.workers.pool import WorkerPool
from tasks.spec import Batch, ModelSpec, OptimizerSpec, init_params

pytestmark = pytest.mark.slow
# eps at its usual size shows in float64 alone; in float32 it is as large as the gradients.
OPTIMIZERS = {
    "float64": (OptimizerSpec("adam", learning_rate=2.0**-7), SGD),
    "float32": (ADAM, SGD),
}


@pytest.mark.parametrize("name", ["adam", "sgd"])
@pytest.mark.parametrize("dtype", OPTIMIZERS)
@pytest.mark.parametrize("variant", asked.VARIANTS)
def test_training_stays_with_the_oracle(
    pool: WorkerPool, variant: str, dtype: str, name: str
) -> None:
    subject = asked.subject(pool, variant)
    (optimizer,) = (each for each in OPTIMIZERS[dtype] if each.name == name)
    (case,) = training_cases(3, ["lstm" if name == "adam" else "gru"])
    reason = refusal(subject, case.spec, dtype, "train_step")
    if reason is not None:
        pytest.skip(reason)
    found = examine_training(subject, dtype, optimizer, case)
    for each in found:
        assert not each.failures, f"{case.code()}: {'; '.join(each.failures)}"
    start = reference_case(case, dtype)
    assert not isinstance(start, str)
    expected = curve(start, subject.consult("optimizer", optimizer))
    losses = expected.tensors["trained loss"]
    assert losses.shape == (TRAIN_STEPS,)
    assert losses[-1] < losses[0], "fifty updates did not lower the loss"
    TALLY.add(variant, expected)


@pytest.mark.parametrize("placement", ["corrected", "uncorrected"])
def test_both_eps_placements_are_told_apart(pool: WorkerPool, placement: str) -> None:
    """numpy does both; each of them is far from the other's curve."""
    subject = asked.subject(pool, "numpy")
    (case,) = training_cases(4, ["rnn_tanh"])
    adam = OptimizerSpec(
        "adam",
        learning_rate=2.0**-7,
        eps_placement=placement,  # type: ignore[arg-type]
    )
    other = OptimizerSpec(
        "adam",
        learning_rate=2.0**-7,
        eps_placement="corrected" if placement == "uncorrected" else "uncorrected",
    )
    for each in examine_training(subject, "float64", adam, case):
        assert not each.failures
    start = reference_case(case, "float64")
    assert not isinstance(start, str)
    one, two = (curve(start, spec).tensors for spec in (adam, other))
    apart = max(np.linalg.norm(one[name] - two[name]) / np.linalg.norm(two[name]) for name in one)
    assert apart > 1e-8, "the bound of float64 could not tell them apart"


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("variant", asked.VARIANTS)
def test_the_published_outputs_come_out_again(pool: WorkerPool, variant: str, dtype: str) -> None:
    subject = asked.subject(pool, variant)
    if refusal(subject, published.SPEC, dtype, "forward") is not None:
        pytest.skip(f"{variant} refuses {dtype}")
    model = asked_model(subject, dtype)
    model.build(published.inputs())
    outputs = model.call("forward")[1]["outputs"]
    assert published.difference(outputs) is None
    off = outputs.copy()
    off[2, 1, 0] += 1e-4
    assert "outputs at t=1, sequence 2, unit 0" in (published.difference(off) or "")
    model.ask("release")


MASKED = ModelSpec("lstm", input_size=3, hidden_size=8, num_layers=2, dropout=0.5, output_size=2)


@pytest.mark.parametrize("variant", asked.VARIANTS)
def test_masks_are_drawn_in_training_alone(pool: WorkerPool, variant: str) -> None:
    subject = asked.subject(pool, variant)
    reason = refusal(subject, MASKED, "float32", "bptt")
    if reason is not None:
        pytest.skip(reason)
    params, batch = rounded("float32", *CaseSpec(MASKED, batch=3, steps=5).made())
    model = asked_model(subject, "float32")
    model.build(Inputs(MASKED, params, batch))
    one, two = (model.call("forward")[1]["outputs"] for _ in range(2))
    assert np.array_equal(one, two)
    losses = [float(model.call("bptt")[1]["loss"]) for _ in range(2)]
    assert losses[0] != losses[1], "two calls, one mask"
    if variant == "keras-torch":
        assert "no fused recurrent op" in model.ask("about")["path"], "on a CPU there is none"
    model.ask("release")


@pytest.mark.parametrize(("cell", "bidirectional"), [("lstm", False), ("gru", True)])
@pytest.mark.parametrize("variant", asked.VARIANTS)
def test_masks_drop_the_share_and_scale_the_rest(
    pool: WorkerPool, variant: str, cell: str, bidirectional: bool
) -> None:
    subject = asked.subject(pool, variant)
    masked = replace(MASKED, cell=cell, hidden_size=24, dropout=0.4, bidirectional=bidirectional)
    reason = refusal(subject, masked, "float32", "bptt")
    if reason is not None:
        pytest.skip(reason)
    params, batch = rounded("float32", *CaseSpec(masked, batch=3, steps=5).made())
    model, case = asked_model(subject, "float32"), Inputs(masked, params, batch)
    model.build(case)
    assert wrong_masks(model, case) is None
    model.ask("release")


# The torch.nn.RNN note: the network, x (B,T,D), outputs (B,T,H), last states (L,B,H). Where it
# feeds (5,3,10) these are five steps of a batch of three, and (5,3,20) comes out.
SHAPES = [
    (ModelSpec("rnn_tanh", 1, 10, 2), (1, 20, 1), (1, 20, 10), (2, 1, 10)),
    (ModelSpec("rnn_tanh", 10, 20, 2), (3, 5, 10), (3, 5, 20), (2, 3, 20)),
    (ModelSpec("rnn_tanh", 10, 20), (3, 5, 10), (3, 5, 20), (1, 3, 20)),
]


@pytest.mark.parametrize(("spec", "x", "outputs", "states"), SHAPES)
@pytest.mark.parametrize("variant", asked.VARIANTS)
def test_the_shapes_are_those_of_the_note(
    pool: WorkerPool,
    variant: str,
    spec: ModelSpec,
    x: tuple[int, ...],
    outputs: tuple[int, ...],
    states: tuple[int, ...],
) -> None:
    subject, rng = asked.subject(pool, variant), np.random.default_rng(0)
    given = {f"{n}0": rng.standard_normal((x[0], spec.hidden_size)) for n in spec.state_names()}
    batch = Batch(rng.standard_normal(x), np.zeros(x[:2], np.int64), state=given)
    model = asked_model(subject, "float32")
    model.build(Inputs(spec, init_params(spec, 0), batch))
    found = model.call("forward")[1]
    assert found["outputs"].shape == outputs
    assert np.stack([found[name] for name in spec.state_names()]).shape == states
    assert set(found) == {"outputs", *spec.state_names()}
    model.ask("release")


@pytest.mark.parametrize("variant", asked.VARIANTS)
def test_a_state_of_the_wrong_depth_is_a_clear_error(pool: WorkerPool, variant: str) -> None:
    spec = ModelSpec("rnn_tanh", 10, 20, output_size=2)
    two_layers = {f"l{layer}.fwd.h0": np.zeros((5, 20)) for layer in range(2)}
    batch = Batch(np.zeros((5, 3, 10)), np.zeros((5, 3), np.int64), state=two_layers)
    model = asked_model(asked.subject(pool, variant), "float32")
    with pytest.raises(Exception, match=r"state is .*l1\.fwd\.h0.*expected \['l0\.fwd\.h0'\]"):
        model.build(Inputs(spec, init_params(spec, 0), batch))


@pytest.mark.parametrize(("cell", "products"), [("rnn_tanh", 1), ("lstm", 2)])
def test_the_forward_pass_of_jax_has_the_products_that_its_path_describes(
    pool: WorkerPool, cell: str, products: int
) -> None:
    """On a CPU the input product stands before the scan of a vanilla RNN alone."""
    subject = asked.subject(pool, "jax")
    case = CaseSpec(ModelSpec(cell, input_size=3, hidden_size=8), batch=3, steps=5)
    model = asked_model(subject, "float32")
    model.build(Inputs(case.spec, *rounded("float32", *case.made())))
    model.call("forward")
    path = model.ask("about")["path"]
    model.ask("release")
    assert ("before the scan" in path) == (products == 1), path
    assert f"1 XLA loop with {products} product" in path, path

"""Stateful training: the state carried from chunk to chunk, gradients cut at each chunk's start."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from in_process import InProcess
from mutants import Model
from mutations import Mutant, Mutation
from test_custom import request

from backends import registry
from backends.numpy.backend import NumpyBackend, NumpyModel
from bench.config.grid import workloads
from bench.kit import timed
from bench.kit.case import CaseSpec
from bench.kit.examine import ADAM, SGD, TRAIN_STEPS, examine_training
from bench.kit.plan import TRAINING, Plan
from bench.kit.run import Kit
from bench.measurement.case import Case
from bench.records.workload import Workload
from tasks.batch import carried
from tasks.spec import Batch, ModelSpec, OptimizerSpec, init_params

Register = Callable[[InProcess], None]
GIVEN = {"batch": 2, "steps": 5, "input": 3, "hidden": 4, "classes": 3, "cell": "lstm"}


def asked(phases: tuple[str, ...] = ("train_step",), **model: Any) -> list[Workload]:
    chosen = {name: [value] for name, value in {**GIVEN, "stateful": True, **model}.items()}
    return list(
        workloads(
            dataclasses.replace(
                request(),
                phases=phases,
                dtypes=["float32"],
                model=chosen,
                shown=frozenset({"stateful"}),
            )
        )
    )


def test_the_state_is_carried_in_training_alone() -> None:
    found = {workload.phase: workload for workload in asked(("forward", "bptt", "train_step"))}
    assert {phase: workload.stateful for phase, workload in found.items()} == {
        "forward": False,
        "bptt": False,
        "train_step": True,
    }
    assert found["train_step"].label == "base+stateful"
    assert found["bptt"].label == "base"
    assert "the state carried from batch to batch" in found["train_step"].besides


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({"lengths": "0.5"}, "expected no --lengths"),
        ({"layers": 2, "dropout": 0.5}, "expected no --dropout"),
    ],
)
def test_what_cannot_be_carried_on_is_wrong_use(model: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        asked(**model)


@pytest.mark.parametrize("variant", ["numpy", "torch", "keras-tensorflow-train_on_batch"])
def test_a_net_of_both_directions_and_what_lacks_it_are_refused(variant: str) -> None:
    if registry.missing(registry.find(variant)):
        pytest.skip(f"{variant} is not installed")
    (both,), (forward,) = asked(bidirectional=True), asked()
    status, reason = Case(both, variant).refusal() or ("", "")
    assert (status, bool(reason)) == ("refused", True)
    assert (Case(forward, variant).refusal() is None) == ("train_on_batch" not in variant)


def chunks(cell: str, count: int) -> tuple[ModelSpec, list[Batch]]:
    spec = ModelSpec(cell, 3, 4, num_layers=2, output_size=3)  # type: ignore[arg-type]
    rng = np.random.default_rng(5)
    return spec, [
        Batch(rng.standard_normal((2, 6, 3)), rng.integers(3, size=(2, 6))) for _ in range(count)
    ]


def built(spec: ModelSpec, optimizer: OptimizerSpec = ADAM) -> NumpyModel:
    params = init_params(spec, 3)
    return NumpyBackend().build(spec, params, device="cpu", dtype="float64", optimizer=optimizer)


@pytest.mark.parametrize("cell", ["rnn_tanh", "rnn_relu", "gru", "lstm"])
def test_a_chunk_is_a_train_step_from_the_last_states(cell: str) -> None:
    spec, batches = chunks(cell, 6)
    one, other = built(spec), built(spec)
    carry, state = one.begin(None, 2), None
    for batch in batches:
        result, carry = one.train_chunk(one.place(batch), carry)
        host = one.to_host(result)
        given = other.place(dataclasses.replace(batch, state=state))
        last = other.to_host(other.forward(given))
        loss = other.to_host(other.train_step(given))["loss"]
        assert host["loss"] == loss
        state = carried(spec, last)
        assert {f"{name}0" for name in host if name != "loss"} == {*state}
        for name, value in state.items():
            np.testing.assert_array_equal(host[name.removesuffix("0")], value)
    for name, value in one.params().items():
        np.testing.assert_array_equal(value, other.params()[name])


@pytest.mark.parametrize("cell", ["rnn_tanh", "gru", "lstm"])
def test_the_gradient_ends_at_the_start_of_the_chunk(cell: str) -> None:
    """By central differences with the carried state held fast."""
    spec, batches = chunks(cell, 2)
    rate = 2.0**-3
    model = built(spec, OptimizerSpec("sgd", learning_rate=rate))
    _, carry = model.train_chunk(model.place(batches[0]), model.begin(None, 2))
    held, before = {n: s.copy() for n, s in carry.items()}, model.params()
    model.train_chunk(model.place(batches[1]), carry)
    name = "l0.fwd.W_hh"
    gradient = (before[name] - model.params()[name]) / rate

    def loss(value: np.ndarray) -> float:
        model.load({**before, name: value})
        placed = model.place(dataclasses.replace(batches[1], state=held))
        return float(model.to_host(model.bptt(placed))["loss"])

    for at in ((0, 0), (2, 1), (3, 2)):
        moved = np.zeros_like(before[name])
        moved[at] = 1e-5
        slope = (loss(before[name] + moved) - loss(before[name] - moved)) / 2e-5
        assert gradient[at] == pytest.approx(slope, rel=1e-6, abs=1e-10)


class CarryDropped(Model):
    """Each chunk starts from zeros."""

    def train_chunk(self, placed: Any, carry: Any) -> Any:
        return self._correct.train_chunk(placed, self._correct.begin(None, len(placed.x)))


class OwnState(Model):
    """Each chunk starts from the state of its batch."""

    def train_chunk(self, placed: Any, carry: Any) -> Any:
        state = {name: value.copy() for name, value in placed.state.items()}
        start = state or self._correct.begin(None, len(placed.x))
        return self._correct.train_chunk(placed, start)


class AfterTheUpdate(Model):
    """The state that is carried on is computed with the new parameters."""

    def train_chunk(self, placed: Any, carry: Any) -> Any:
        start = {name: value.copy() for name, value in carry.items()}
        result, carry = self._correct.train_chunk(placed, carry)
        loss = self._correct.to_host(result)["loss"]
        again = self._correct.forward(dataclasses.replace(placed, state=start))
        last = self._correct.to_host(again)
        states = {name.removesuffix("0"): last[name.removesuffix("0")] for name in carry}
        return {"loss": loss, **states}, {f"{name}0": value for name, value in states.items()}

    def to_host(self, result: Any) -> Any:
        return dict(result) if isinstance(result, dict) else self._correct.to_host(result)


class KeptOverLoad(Model):
    """New parameters, and the state that was carried last."""

    last: Any = None

    def train_chunk(self, placed: Any, carry: Any) -> Any:
        result, self.last = self._correct.train_chunk(placed, carry)
        return result, self.last

    def begin(self, state: Any, batch_size: int) -> Any:
        return self.last or self._correct.begin(state, batch_size)


class NotUpdated(Model):
    """A chunk leaves the parameters as they are."""

    def train_chunk(self, placed: Any, carry: Any) -> Any:
        before = self._correct.params()
        result, carry = self._correct.train_chunk(placed, carry)
        for name, value in before.items():
            self._correct._values[name][...] = _own(self._correct, name, value)
        return result, carry


def _own(model: NumpyModel, name: str, value: np.ndarray) -> np.ndarray:
    from backends.numpy.scan import reorder

    return reorder(model._spec, name, value, canonical=False)


WRONG: dict[str, type[Model]] = {
    "the carry dropped": CarryDropped,
    "the state of the batch": OwnState,
    "the state after the update": AfterTheUpdate,
    "the carry kept when parameters are loaded": KeptOverLoad,
    "no update": NotUpdated,
}


def mutant(name: str) -> InProcess:
    return InProcess(Mutant(name, Mutation(model=WRONG[name])))


@pytest.mark.parametrize("name", WRONG)
def test_the_checks_of_a_workload_reject(name: str, registered: Register) -> None:
    wrong = mutant(name)
    registered(wrong)
    (workload,) = asked(initial_state=True)
    found, _ = timed.run(wrong, workload, seed=0)
    failures = [failure for each in found for failure in each.failures]
    assert failures, f"{name} passes"
    assert "trained " in failures[0]


@pytest.mark.parametrize("name", WRONG)
def test_50_chunks_of_the_kit_reject(name: str) -> None:
    spec = ModelSpec("lstm", 4, 6, output_size=3)
    case = CaseSpec(spec, batch=3, steps=5, seed=2, state=True)
    found = examine_training(mutant(name), "float32", ADAM, case, stateful=True)
    assert any(each.failures for each in found), f"{name} passes"


def test_a_correct_one_passes(registered: Register) -> None:
    correct = InProcess(NumpyBackend())
    registered(correct)
    (workload,) = asked(initial_state=True)
    found, skipped = timed.run(correct, workload, seed=0)
    assert [failure for each in found for failure in each.failures] == []
    assert skipped is None


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", [ADAM, SGD], ids=["adam", "sgd"])
def test_50_chunks_of_numpy_stay_with_the_oracle(optimizer: OptimizerSpec, dtype: str) -> None:
    assert TRAIN_STEPS == 50
    case = CaseSpec(ModelSpec("gru", 4, 6, num_layers=2, output_size=3), batch=3, steps=5, seed=2)
    subject = InProcess(NumpyBackend())
    for found in examine_training(subject, dtype, optimizer, case, stateful=True):
        assert found.failures == ()
        assert found.tensors == 1 + len(init_params(case.spec, 0)) + 2, "losses, parameters, states"


@pytest.mark.slow
def test_the_kit_trains_with_the_state_carried_where_that_is_offered() -> None:
    class Without(NumpyBackend):
        def supports(self, feature: str, spec: ModelSpec, *, device: str, dtype: str) -> str | None:
            return f"no {feature}"

    plan = Plan(0, ("gru", "lstm"), models=1, timed=False)
    models = [
        Kit(InProcess(backend), plan).run().lines[TRAINING, "float32"].models
        for backend in (NumpyBackend(), Without())
    ]
    assert models == [4, 2]

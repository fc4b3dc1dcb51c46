"""Every variant agrees one step at a time."""

from __future__ import annotations

import asked
import pytest

from backends import registry
from bench.kit.case import CaseSpec
from bench.kit.examine import ADAM, SGD, examine_training
from bench.kit.streams import examine_streams
from bench.kit.subject import carries, streams
from bench.workers.pool import WorkerPool
from tasks.spec import ModelSpec

CASES = {
    "each step": CaseSpec(ModelSpec("lstm", 3, 5, output_size=3), batch=2, steps=6, seed=40),
    "two layers, no head": CaseSpec(
        ModelSpec("gru", 3, 5, num_layers=2), batch=1, steps=6, seed=41
    ),
    "tokens, last step": CaseSpec(
        ModelSpec("rnn_tanh", 3, 5, vocab_size=7, output_size=4, readout="last_step"),
        batch=3,
        steps=6,
        seed=42,
    ),
}


def check(pool: WorkerPool, variant: str, name: str) -> None:
    subject, case = asked.subject(pool, variant), asked.steady(CASES[name])
    if not streams(subject, case.spec, "float32"):
        pytest.skip("it does not stream")
    found = examine_streams(subject, case, "float32")
    failures = [failure for each in found for failure in each.failures]
    assert not failures, f"{case.code()}: {failures[0]}"
    assert sum(each.tensors for each in found) >= 6


@pytest.mark.parametrize("variant", asked.DEFAULT)
def test_a_default_variant_agrees_one_step_at_a_time(pool: WorkerPool, variant: str) -> None:
    for name in CASES:
        check(pool, variant, name)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("variant", sorted({*asked.VARIANTS} - {*registry.default_names()}))
def test_another_variant_agrees_one_step_at_a_time(
    pool: WorkerPool, variant: str, name: str
) -> None:
    check(pool, variant, name)


def check_50_chunks(pool: WorkerPool, variant: str, cell: str) -> None:
    subject = asked.subject(pool, variant)
    spec = ModelSpec(cell, 3, 5, num_layers=2, output_size=3)  # type: ignore[arg-type]
    case = asked.steady(CaseSpec(spec, batch=2, steps=6, seed=43, state=True))
    if not carries(subject, case.spec, "float32"):
        pytest.skip("it carries no state on")
    for optimizer in (ADAM, SGD):
        found = examine_training(subject, "float32", optimizer, case, stateful=True)
        failures = [failure for each in found for failure in each.failures]
        assert not failures, f"{case.code()}: {failures[0]}"
        assert sum(each.tensors for each in found) >= 2 * (1 + len(spec.trainable()) + 2)


@pytest.mark.parametrize("variant", asked.DEFAULT)
def test_50_chunks_of_a_default_variant_stay_with_the_oracle(
    pool: WorkerPool, variant: str
) -> None:
    check_50_chunks(pool, variant, "lstm")


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["rnn_tanh", "gru", "lstm"])
@pytest.mark.parametrize("variant", asked.VARIANTS)
def test_50_chunks_of_any_variant_stay_with_the_oracle(
    pool: WorkerPool, variant: str, cell: str
) -> None:
    check_50_chunks(pool, variant, cell)

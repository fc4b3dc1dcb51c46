"""Every variant that has bfloat16 agrees in it, and says what ran in which dtype."""

from __future__ import annotations

import asked
import pytest

from backends import registry
from bench.kit.case import CaseSpec
from bench.kit.conditioning import pair_of_cases, reference_case
from bench.kit.examine import SGD, asked_model, examine, examine_training
from bench.kit.fixed_cases import training_cases
from bench.kit.subject import PoolSubject, phases
from bench.workers.pool import WorkerPool
from tasks.spec import CELLS, ModelSpec

DTYPE = "bfloat16"
WITHOUT = ("numpy",)
HAVE = [name for name in asked.VARIANTS if name not in WITHOUT]
DEFAULT = [name for name in registry.default_names() if name not in WITHOUT]
QUICK = ("torch", "jax", "keras-tensorflow")


def case_of(cell: str, steps: int, seed: int) -> CaseSpec:
    """The first of some seeds whose model is well-conditioned in bfloat16."""
    spec = ModelSpec(cell, input_size=8, hidden_size=16, output_size=3)  # type: ignore[arg-type]
    for number in range(50):
        case = CaseSpec(spec, batch=4, steps=steps, seed=seed + 1000 * number)
        if not isinstance(pair_of_cases(case, DTYPE), str):
            return case
    raise ValueError(f"none of 50 seeds makes the {cell} over {steps} steps well-conditioned")


def agrees(subject: PoolSubject, case: CaseSpec) -> None:
    taken = phases(subject, case.spec, DTYPE)
    if not {"forward", "bptt"} & {*taken}:
        pytest.skip(f"{subject.name} gives nothing to compare")
    found = examine(subject, case, DTYPE, taken)
    failures = [failure for each in found for failure in each.failures]
    assert not failures, f"{case.code()}: {failures[0]}"
    assert sum(each.tensors for each in found) > 5


def path_of(subject: PoolSubject, case: CaseSpec, phase: str) -> str:
    model, start = asked_model(subject, DTYPE), reference_case(case, DTYPE)
    assert not isinstance(start, str)
    model.build(start)
    model.call(phase)
    path = str(model.ask("about")["path"])
    model.ask("release")
    return path


@pytest.mark.parametrize(
    "variant", [v if v in QUICK else pytest.param(v, marks=pytest.mark.slow) for v in DEFAULT]
)
def test_a_default_variant_agrees_and_names_the_dtype(pool: WorkerPool, variant: str) -> None:
    subject, case = asked.subject(pool, variant), case_of("lstm", 12, 0)
    agrees(subject, case)
    assert "bfloat16" in path_of(subject, case, "forward")


def test_what_torch_computes_in_bfloat16_is_found_by_looking(pool: WorkerPool) -> None:
    subject = asked.subject(pool, "torch")
    lstm, gru = (path_of(subject, case_of(cell, 12, 0), "forward") for cell in ("lstm", "gru"))
    assert "1 mkldnn_rnn_layer in bfloat16" in lstm
    assert "addmm in bfloat16" in gru


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("variant", HAVE)
def test_a_variant_agrees_with_each_cell(pool: WorkerPool, variant: str, cell: str) -> None:
    agrees(asked.subject(pool, variant), case_of(cell, 20, 1))


@pytest.mark.slow
@pytest.mark.parametrize("variant", DEFAULT)
def test_a_default_variant_trains(pool: WorkerPool, variant: str) -> None:
    subject = asked.subject(pool, variant)
    compared = 0
    for case in training_cases(0, ("lstm", "gru")):
        assert not isinstance(pair_of_cases(case, DTYPE), str)
        for each in examine_training(subject, DTYPE, SGD, case):
            assert not each.failures, each.failures[0]
            compared += each.tensors
    assert compared > 20


@pytest.mark.prove
@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("variant", HAVE)
def test_a_variant_agrees_over_500_steps(pool: WorkerPool, variant: str, seed: int) -> None:
    for cell in CELLS:
        agrees(asked.subject(pool, variant), case_of(cell, 500, seed))


@pytest.mark.parametrize("variant", [entry.name for entry in registry.BUILT_IN])
@pytest.mark.parametrize("phase", ["forward", "bptt", "train_step"])
def test_float16_is_refused_with_a_reason(variant: str, phase: str) -> None:
    spec = ModelSpec("gru", input_size=3, hidden_size=4)
    reason = registry.ask(variant, "refusal", spec, device="cpu", dtype="float16", phase=phase)
    assert reason
    assert "unknown" not in reason


def test_numpy_refuses_it_by_name() -> None:
    spec = ModelSpec("gru", input_size=3, hidden_size=4)
    reason = registry.ask("numpy", "refusal", spec, device="cpu", dtype=DTYPE, phase="forward")
    assert reason == "numpy has no bfloat16; it computes in float32 and float64"

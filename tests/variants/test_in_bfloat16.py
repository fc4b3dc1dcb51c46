"""Every variant that has bfloat16 agrees in it, and says what ran in which dtype."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace

import asked
import pytest

from backends import registry
from bench.correctness.comparison import joined
from bench.gpu import reproductions
from bench.kit.case import CaseSpec
from bench.kit.conditioning import pair_of_cases, reference_case
from bench.kit.examine import SGD, asked_model, examine, examine_training
from bench.kit.fixed_cases import training_cases
from bench.kit.streams import examine_streams
from bench.kit.subject import PoolSubject, carries, phases, streams, unsupported
from bench.records.schema import Agreement
from bench.workers.pool import WorkerPool
from tasks.spec import CELLS, ModelSpec

DTYPE = "bfloat16"
WITHOUT = ("numpy",)
HAVE = [name for name in asked.VARIANTS if name not in WITHOUT]
DEFAULT = [name for name in registry.default_names() if name not in WITHOUT]
LOST = "grad.b_y"  # where a framework adds up its rows in bfloat16 (docs/decisions/0019)
LOST_OVER_500_STEPS = {"keras-tensorflow": "tensorflow-bias-gradient"}
LOST_IN_A_LARGE_BATCH = LOST_OVER_500_STEPS | dict.fromkeys(
    ("keras-jax", "flax", "flax-linen"), "jax-bias-gradient"
)
QUICK = ("torch", "jax")


def steady(case: CaseSpec) -> CaseSpec:
    """The same with the first seed that makes it well-conditioned in bfloat16."""
    for number in range(50):
        moved = replace(case, seed=case.seed + 1000 * number)
        if not isinstance(pair_of_cases(moved, DTYPE), str):
            return moved
    raise ValueError(f"{case.code()} is not well-conditioned with any of 50 seeds")


def case_of(cell: str, steps: int, seed: int, batch: int = 4) -> CaseSpec:
    spec = ModelSpec(cell, input_size=8, hidden_size=16, output_size=3)  # type: ignore[arg-type]
    return steady(CaseSpec(spec, batch=batch, steps=steps, seed=seed))


def examined(subject: PoolSubject, case: CaseSpec) -> Agreement:
    taken = phases(subject, case.spec, DTYPE)
    if not {"forward", "bptt"} & {*taken}:
        pytest.skip(f"{subject.name} gives nothing to compare")
    found = joined(examine(subject, case, DTYPE, taken))
    assert found.tensors > 5
    return found


def agrees(subject: PoolSubject, case: CaseSpec) -> str:
    """In words, how far it is from the bounds."""
    found = examined(subject, case)
    assert not found.failures, f"{case.code()}: {found.failures[0]}"
    return f"agrees, at most {found.worst.severity:.2f} of a bound ({found.worst.name})"


def loses_the_bias_of_the_head(subject: PoolSubject, case: CaseSpec) -> str:
    """In words, by how much; every other tensor is within its bound."""
    found = examined(subject, case)
    others = [failure for failure in found.failures if f"{LOST} off by" not in failure]
    assert not others, f"{case.code()}: {others[0]}"
    worst = found.kinds["gradients"]
    assert worst.name == LOST, f"{case.code()}: {worst.name} is the worst gradient"
    assert worst.severity > 1, f"{case.code()}: {LOST} agrees, though its rows are added so"
    return f"disagrees, {LOST} off by {worst.error:.2f} (bound {worst.bound:.3f})"


@functools.cache
def reproduced(name: str) -> bool:
    """Whether this machine's framework adds up the rows of a bias's gradient in bfloat16."""
    program = reproductions.FOLDER / f"{name}.py"
    done = subprocess.run([sys.executable, program, "cpu"], capture_output=True, text=True)
    verdicts = [
        line.startswith(reproductions.REPRODUCED)
        for line in done.stdout.splitlines()
        if line.startswith((reproductions.REPRODUCED, reproductions.NOT_REPRODUCED))
    ]
    assert len(verdicts) == 1, done.stdout + done.stderr
    return verdicts[0]


def expected(subject: PoolSubject, case: CaseSpec, lost: Mapping[str, str]) -> str:
    """Compare; those in `lost` disagree where their reproduction succeeds."""
    if subject.name in lost and reproduced(lost[subject.name]):
        return loses_the_bias_of_the_head(subject, case)
    return agrees(subject, case)


def path_of(subject: PoolSubject, case: CaseSpec, phase: str) -> str:
    model, start = asked_model(subject, DTYPE), reference_case(case, DTYPE)
    assert not isinstance(start, str)
    model.build(start)
    model.call(phase)
    path = str(model.ask("about")["path"])
    model.ask("release")
    return path


SLOW = pytest.mark.slow
TIERS = [v if v in QUICK else pytest.param(v, marks=SLOW) for v in DEFAULT]
OF_FEATURES = [v if v == QUICK[0] else pytest.param(v, marks=SLOW) for v in DEFAULT]


@pytest.mark.parametrize("variant", TIERS)
def test_a_default_variant_agrees_and_names_the_dtype(pool: WorkerPool, variant: str) -> None:
    subject, case = asked.subject(pool, variant), case_of("lstm", 12, 0)
    agrees(subject, case)
    assert "bfloat16" in path_of(subject, case, "forward")


def test_what_torch_computes_in_bfloat16_is_found_by_looking(pool: WorkerPool) -> None:
    subject = asked.subject(pool, "torch")
    lstm, gru = (path_of(subject, case_of(cell, 12, 0), "forward") for cell in ("lstm", "gru"))
    assert "1 mkldnn_rnn_layer in bfloat16" in lstm
    assert "addmm in bfloat16" in gru


def test_that_tensorflow_adds_up_a_bias_in_bfloat16_is_in_its_path(pool: WorkerPool) -> None:
    path = path_of(asked.subject(pool, "keras-tensorflow"), case_of("lstm", 12, 0), "bptt")
    assert "BiasAddGrad in bfloat16" in path


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


SMALL = ModelSpec("gru", input_size=3, hidden_size=5, output_size=3)
STEADY = CaseSpec(SMALL, batch=3, steps=6, seed=2)


def right(found: list[Agreement]) -> None:
    whole = joined(found)
    assert not whole.failures, whole.failures[0]
    assert whole.tensors > 5


@pytest.mark.parametrize("variant", OF_FEATURES)
def test_a_default_variant_agrees_where_sequences_have_lengths(
    pool: WorkerPool, variant: str
) -> None:
    subject, case = asked.subject(pool, variant), steady(replace(STEADY, lengths="random"))
    assert unsupported(subject, case, DTYPE) is None
    agrees(subject, case)


@pytest.mark.parametrize("variant", OF_FEATURES)
def test_a_default_variant_agrees_one_step_at_a_time(pool: WorkerPool, variant: str) -> None:
    subject, case = asked.subject(pool, variant), steady(STEADY)
    assert streams(subject, case.spec, DTYPE)
    right(examine_streams(subject, case, DTYPE))


@pytest.mark.parametrize("variant", OF_FEATURES)
def test_50_chunks_of_a_default_variant_stay_with_the_oracle(
    pool: WorkerPool, variant: str
) -> None:
    subject, case = asked.subject(pool, variant), steady(replace(STEADY, state=True))
    assert carries(subject, case.spec, DTYPE)
    right(examine_training(subject, DTYPE, SGD, case, stateful=True))


@pytest.mark.slow
def test_torch_compile_agrees(pool: WorkerPool) -> None:
    subject = asked.subject(pool, "torch-compile")
    agrees(subject, case_of("gru", 6, 0))


@pytest.mark.parametrize("variant", [*OF_FEATURES, pytest.param("flax-linen", marks=SLOW)])
def test_a_large_batch_shows_who_adds_up_a_bias_in_bfloat16(pool: WorkerPool, variant: str) -> None:
    case = case_of("gru", 64, 0, batch=64)
    expected(asked.subject(pool, variant), case, LOST_IN_A_LARGE_BATCH)


@pytest.mark.prove
@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("variant", DEFAULT)
def test_a_variant_agrees_over_500_steps(pool: WorkerPool, variant: str, seed: int) -> None:
    """Or disagrees in one tensor, for a reason that is known."""
    subject = asked.subject(pool, variant)
    for cell in CELLS:
        found = expected(subject, case_of(cell, 500, seed), LOST_OVER_500_STEPS)
        print(f"{variant}, {cell}, seed {seed}: {found}")


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

"""The emulations of bfloat16, what refuses it, and what a report says of the processor."""

from __future__ import annotations

import msgspec
import numpy as np
import pages
import pytest
import record_samples

from backends import registry
from bench.correctness import oracle
from bench.correctness.arithmetics import (
    BFLOAT16,
    AllInBfloat16,
    CarriedInBfloat16,
    ProductsOfBfloat16,
    round_to_bfloat16,
)
from bench.correctness.tolerances import relative_error
from bench.measurement.case import Case
from tasks.spec import CELLS, Batch, ModelSpec, init_params


def test_rounding_is_that_of_a_library() -> None:
    library = pytest.importorskip("ml_dtypes")
    rng = np.random.default_rng(0)
    a = (rng.standard_normal(10_000) * 2.0 ** rng.integers(-30, 30, 10_000)).astype(np.float32)
    ties = np.float32(1.0) + np.arange(8, dtype=np.float32) * np.float32(2.0**-8)
    for given in (a, ties, np.array([0.0, -0.0, np.inf, 3.4e38], np.float32)):
        expected = given.astype(library.bfloat16).astype(np.float32)
        np.testing.assert_array_equal(round_to_bfloat16(given.copy()), expected)


def runs(cell: str) -> dict[type | None, oracle.Tensors]:
    spec = ModelSpec(cell, input_size=3, hidden_size=5, output_size=2, vocab_size=4)  # type: ignore[arg-type]
    rng = np.random.default_rng(0)
    batch = Batch(rng.integers(0, 4, (3, 20)), rng.integers(0, 2, (3, 20)))
    params, batch = oracle.rounded("bfloat16", init_params(spec, 0), batch)
    return {
        kind: oracle.run_oracle(
            spec, params, batch, "float32", registry.oracle(None if kind is None else kind())
        )
        for kind in (None, *BFLOAT16)
    }


@pytest.mark.parametrize("cell", CELLS)
def test_each_emulation_is_off_as_bfloat16_is(cell: str) -> None:
    found = runs(cell)
    exact = found.pop(None)
    for tensors in found.values():
        for name, value in tensors.items():
            if name != "loss":
                assert 1e-4 < relative_error(value, exact[name]) < 0.2, name


@pytest.mark.parametrize("cell", CELLS)
def test_what_is_rounded_has_no_more_bits(cell: str) -> None:
    found = runs(cell)

    def is_rounded(kind: type, name: str) -> bool:
        value = found[kind][name].astype(np.float32)
        return bool((round_to_bfloat16(value.copy()) == value).all())

    for name in ("outputs", "grad.l0.fwd.W_hh", "grad.E"):
        assert is_rounded(AllInBfloat16, name)
        assert not is_rounded(ProductsOfBfloat16, name)
    assert is_rounded(CarriedInBfloat16, "l0.fwd.h")
    assert not is_rounded(ProductsOfBfloat16, "l0.fwd.h")


@pytest.mark.parametrize("variant", ["torch", "jax", "keras-tensorflow", "numpy"])
def test_float16_is_refused_with_the_reason_of_the_variant(variant: str) -> None:
    if registry.missing(registry.find(variant)):
        pytest.skip(f"{variant} is not installed")
    found = Case(record_samples.workload(dtype="float16"), variant).refusal()
    assert found is not None
    assert found[0] == "refused"
    assert "rule of agreement" not in found[1]
    assert "float16" in found[1]


def test_a_training_to_its_target_is_not_judged_in_bfloat16() -> None:
    if registry.missing(registry.find("torch")):
        pytest.skip("torch is not installed")
    learn = record_samples.workload(dtype="bfloat16", phase="learn")
    assert Case(learn, "torch").refusal() == (
        "refused",
        "learn has no rule of agreement in bfloat16; train_step has one",
    )
    assert Case(record_samples.workload(dtype="bfloat16"), "torch").refusal() is None


@pytest.mark.parametrize(
    ("instructions", "words"),
    [
        ((), "computed in software: this processor has no instructions for it"),
        (("avx512_bf16",), "this processor has instructions for it (avx512_bf16)"),
    ],
)
def test_a_report_says_how_the_processor_computes_it(
    instructions: tuple[str, ...], words: str
) -> None:
    run = msgspec.structs.replace(record_samples.RUN, bfloat16=instructions)
    times = record_samples.rounds(1e-3, 1.1e-3)
    found, other = (
        [record_samples.measurement("torch", times, dtype=dtype)]
        for dtype in ("bfloat16", "float32")
    )
    assert f"- bfloat16: {words}" in pages.report(run, found)
    assert "bfloat16" not in pages.report(run, other)

"""Every variant agrees where the sequences of a batch have different lengths."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import asked
import pytest

from backends import registry
from bench.kit.case import CaseSpec
from bench.kit.examine import examine
from bench.kit.subject import phases, unsupported
from bench.workers.pool import WorkerPool
from tasks.spec import CELLS, ModelSpec


# In the same batch a sequence of one step, and one of all.
def lengths_case(cell: str, layers: int, both: bool, **given: Any) -> CaseSpec:
    fields = dict(given)
    spec = ModelSpec(
        cell,  # type: ignore[arg-type]
        input_size=3,
        hidden_size=5,
        num_layers=layers,
        bidirectional=both,
        output_size=fields.pop("output_size", 3),
        readout=fields.pop("readout", "every_step"),
        time_reduction=fields.pop("time_reduction", "mean"),
    )
    return CaseSpec(spec, batch=4, steps=6, lengths="random", **fields)


CASES: dict[str, dict[str, Any]] = {
    "each step": {},
    "each step, weighted sum, given state": {
        "weight": "random",
        "state": True,
        "time_reduction": "sum",
    },
    "weighted mean": {"weight": "random"},
    "sum": {"time_reduction": "sum"},
    "last step, given state": {"readout": "last_step", "state": True},
    "no head": {"output_size": None},
}
DTYPES = ("float32", "float64")
QUICK = ("numpy", "torch", "jax")
FEW = ("each step, weighted sum, given state", "last step, given state")


def check(
    pool: WorkerPool, variant: str, dtype: str, model: tuple[str, int, bool], names: Iterable[str]
) -> None:
    subject = asked.subject(pool, variant)
    compared = 0
    for name in names:
        seed = 20 + list(CASES).index(name)
        case = asked.steady(lengths_case(*model, seed=seed, **CASES[name]))
        taken = phases(subject, case.spec, dtype)
        reason = unsupported(subject, case, dtype)
        if reason is not None or not {"forward", "bptt"} & {*taken}:
            pytest.skip(reason or "it gives nothing to compare")
        found = examine(subject, case, dtype, taken)
        failures = [failure for each in found for failure in each.failures]
        assert not failures, f"{case.code()}: {failures[0]}"
        compared += sum(each.tensors for each in found)
    assert compared > 20


@pytest.mark.parametrize(
    "variant",
    [
        name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
        for name in registry.default_names()
    ],
)
def test_a_default_variant_agrees_where_sequences_have_lengths(
    pool: WorkerPool, variant: str
) -> None:
    check(pool, variant, "float32", ("lstm", 2, True), FEW)


OTHERS = [name for name in asked.VARIANTS if name not in registry.default_names()]


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["rnn_tanh", "gru", "lstm"])
@pytest.mark.parametrize("variant", OTHERS)
def test_another_variant_agrees_where_sequences_have_lengths(
    pool: WorkerPool, variant: str, cell: str
) -> None:
    check(pool, variant, "float32", (cell, 1, True), FEW)


@pytest.mark.prove
@pytest.mark.parametrize("both", [False, True], ids=["forward", "both"])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("variant", registry.default_names())
def test_every_default_variant_agrees_in_every_model(
    pool: WorkerPool, variant: str, dtype: str, cell: str, layers: int, both: bool
) -> None:
    check(pool, variant, dtype, (cell, layers, both), CASES)

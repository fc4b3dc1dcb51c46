"""FLOPs, and the GEMM baseline that is made of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import threadpoolctl

from bench.workers import gemm_baseline
from bench.workers.gemm_baseline import GemmBaseline
from tasks.flops import bptt_flops, forward_flops, step_flops
from tasks.spec import ModelSpec

BATCH, STEPS = 3, 7
SPECS = [
    ModelSpec("rnn_tanh", 4, 5),
    ModelSpec("lstm", 4, 5, 2, True, output_size=3),
    ModelSpec("gru", 4, 5, 3, readout="last_step", output_size=2),
    ModelSpec("gru", 6, 5, 1, True, vocab_size=11, output_size=2),
    ModelSpec("lstm", 6, 5, 2, vocab_size=11, train_embedding=False, readout="last_step"),
]


@pytest.mark.parametrize("spec", SPECS, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_baseline_runs_just_the_products_that_are_counted(
    spec: ModelSpec, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[int] = []
    product = np.matmul

    def counting(a: np.ndarray, b: np.ndarray, *, out: np.ndarray) -> Any:
        assert a.dtype == b.dtype == out.dtype == np.dtype(dtype)
        counted.append(2 * a.shape[0] * a.shape[1] * b.shape[1])
        return product(a, b, out=out)

    monkeypatch.setattr(gemm_baseline.np, "matmul", counting)
    model = GemmBaseline(spec, [BATCH] * STEPS, dtype)
    model.forward(None)
    assert sum(counted) == forward_flops(spec, BATCH, STEPS)
    counted.clear()
    model.bptt(None)
    assert sum(counted) == bptt_flops(spec, BATCH, STEPS)


def test_flops_of_a_net_that_can_be_counted_by_hand() -> None:
    spec = ModelSpec("lstm", 10, 20, output_size=3)
    recurrent = 2 * STEPS * BATCH * 4 * 20 * (10 + 20)
    head = 2 * STEPS * BATCH * 20 * 3
    assert step_flops(spec, BATCH, STEPS, "forward") == recurrent + head
    unneeded = 2 * STEPS * BATCH * 4 * 20 * 10  # nothing to train below the first layer
    for phase in ("bptt", "train_step"):
        assert step_flops(spec, BATCH, STEPS, phase) == 3 * (recurrent + head) - unneeded


def test_an_arithmetic_without_a_blas_is_refused() -> None:
    with pytest.raises(ValueError, match="expected float32 or float64"):
        GemmBaseline(SPECS[0], [BATCH] * STEPS, "tf32")


def test_the_baseline_names_its_blas(monkeypatch: pytest.MonkeyPatch) -> None:
    pools = [
        {"user_api": "openmp", "internal_api": "openmp", "version": None},
        {"user_api": "blas", "internal_api": "openblas", "version": "0.3.31"},
        {"user_api": "blas", "internal_api": "blis", "version": None},
    ]
    model = GemmBaseline(SPECS[0], [BATCH] * STEPS, "float32")
    monkeypatch.setattr(threadpoolctl, "threadpool_info", lambda: pools)
    assert model.path() == "blis, openblas 0.3.31"
    monkeypatch.setattr(threadpoolctl, "threadpool_info", lambda: pools[:1])
    assert model.path() == "numpy's BLAS"

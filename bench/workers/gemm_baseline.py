"""The GEMM baseline of a workload: its matrix products alone.

It runs the products of the numpy backend at the same shapes: one (T B, I) x (I, G H) for all inputs
of a layer and direction, one (B, H) x (H, G H) per time step, and in BPTT also the products of
their gradients. Sequences that are over are left out. All arrays are allocated beforehand. It does
not compute a recurrent net. It shows how long this machine's BLAS, called from numpy, takes for the
arithmetic that every variant of this formulation needs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from tasks.flops import input_needs_gradient
from tasks.spec import ModelSpec

Product = Callable[[], Any]


class GemmBaseline:
    """The members of `backends.interface.Model` that the harness times, for products alone."""

    def __init__(self, spec: ModelSpec, sequences: Sequence[int], dtype: str) -> None:
        """For so many sequences at each step, (T,); ValueError for a dtype that BLAS lacks."""
        if dtype not in ("float32", "float64"):
            raise ValueError(f"numpy has no BLAS for dtype {dtype!r}; expected float32 or float64")
        self._dtype = np.dtype(dtype)
        self._rng = np.random.default_rng(0)
        self._forward: list[Product] = []
        self._backward: list[Product] = []
        for layer, _, _ in spec.stack():
            needs = layer > 0 or input_needs_gradient(spec)
            self._layer(spec, sequences, spec.layer_input_size(layer), needs)
        if spec.output_size is not None:
            rows = sum(sequences) if spec.readout == "every_step" else sequences[0]
            self._head(rows, spec.feature_size, spec.output_size)

    def forward(self, placed: Any) -> None:
        for product in self._forward:
            product()

    def bptt(self, placed: Any) -> None:
        for product in self._forward:
            product()
        for product in self._backward:
            product()

    train_step = bptt
    stream = forward

    def sync(self, result: Any) -> None:
        """Nothing to wait for: numpy returns when it has computed."""

    def load(self, params: Any) -> None:
        """Do nothing: there are no parameters."""

    def path(self) -> str:
        """The BLAS that ran."""
        if find_spec("threadpoolctl") is None:
            return "numpy's BLAS"
        from threadpoolctl import threadpool_info

        pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
        names = {f"{pool['internal_api']} {pool.get('version') or ''}".strip() for pool in pools}
        return ", ".join(sorted(names)) or "numpy's BLAS"

    def _layer(self, spec: ModelSpec, sequences: Sequence[int], inputs: int, needs: bool) -> None:
        hidden, gates, total = spec.hidden_size, spec.gates * spec.hidden_size, sum(sequences)
        x, da = self._new(total, inputs), self._new(total, gates)
        w_xh, w_hh = self._new(inputs, gates), self._new(hidden, gates)
        h = self._new(total, hidden)
        a, dh = self._new(total, gates), self._new(sequences[0], hidden)
        self._forward.append(partial(np.matmul, x, w_xh, out=a))
        first = 0
        for count in sequences:
            rows = slice(first, first + count)
            self._forward.append(partial(np.matmul, h[rows], w_hh, out=a[rows]))
            self._backward.append(partial(np.matmul, da[rows], w_hh.T, out=dh[:count]))
            first += count
        self._backward.append(partial(np.matmul, x.T, da, out=self._new(inputs, gates)))
        self._backward.append(partial(np.matmul, h.T, da, out=self._new(hidden, gates)))
        if needs:
            dx = self._new(total, inputs)
            self._backward.append(partial(np.matmul, da, w_xh.T, out=dx))

    def _head(self, rows: int, features: int, outputs: int) -> None:
        h, w, dy = self._new(rows, features), self._new(features, outputs), self._new(rows, outputs)
        self._forward.append(partial(np.matmul, h, w, out=self._new(rows, outputs)))
        self._backward.append(partial(np.matmul, h.T, dy, out=self._new(features, outputs)))
        self._backward.append(partial(np.matmul, dy, w.T, out=self._new(rows, features)))

    def _new(self, rows: int, columns: int) -> np.ndarray:
        """Random numbers, because zeros could share a memory page or be skipped."""
        return self._rng.standard_normal((rows, columns)).astype(self._dtype)

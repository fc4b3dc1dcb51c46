"""The well-conditioned cases, which can reveal a wrong program, with the oracle's results.

A vanilla RNN with large recurrent weights is chaotic: one ulp in its input grows until the rounding
error of a correct program is as large as the error of a wrong one. Such cases are dropped and
counted.
"""

from __future__ import annotations

import dataclasses
import math
from functools import lru_cache

import numpy as np

from bench.correctness import oracle, tolerances
from bench.correctness.oracle import ReferenceCase
from bench.correctness.tolerances import relative_error
from bench.kit.case import CaseSpec
from tasks.batch import real_steps
from tasks.spec import Batch, ModelSpec, Params

ULP = 2.0**-52
MOST_MOVED = 1e-12  # change of any tensor when every input and parameter changes by one ulp
# Closer than this to relu's kink, another order of the same sum takes the other slope.
LEAST_FROM_KINK = 1e-5
# With a larger bound, products rounded as TF32 rounds them would pass as float32.
LOOSEST_BOUND = {"bfloat16": 1.0}
LOOSEST_OF_OTHERS = 1e-4


@lru_cache(maxsize=4096)
def reference_case(case: CaseSpec, dtype: str, device: str = "cpu") -> ReferenceCase | str:
    """The case with the oracle's results, from inputs rounded to `dtype`; or why it is unusable.

    Whether a case is usable depends on its model alone; `device` adds to its bounds.
    """
    if tolerances.tanh_error(device, dtype):
        usable = reference_case(case, dtype)
        if isinstance(usable, str):
            return usable
        expected = oracle.reference(usable.spec, usable.params, usable.batch, dtype, device)
        return dataclasses.replace(usable, expected=expected)
    spec = case.spec
    params, batch = oracle.rounded(dtype, *case.made())
    if spec.cell == "rnn_relu" and _nearest_kink(spec, params, batch) < LEAST_FROM_KINK:
        return f"a pre-activation lies within {LEAST_FROM_KINK:g} of relu's kink"
    expected = oracle.reference(spec, params, batch, dtype)
    moved = oracle.run_oracle(spec, *oracle.shaken(params, batch, 0, ULP), "float64")
    for name, ref in expected.tensors.items():
        if not np.isfinite(ref).all() or relative_error(moved[name], ref) > MOST_MOVED:
            return f"a change of one ulp changes a tensor by more than {MOST_MOVED:g}"
    loosest = LOOSEST_BOUND.get(dtype, LOOSEST_OF_OTHERS)
    if max(expected.bounds.values()) > loosest:
        return f"{dtype} is too coarse for it: a bound would exceed {loosest:g}"
    return ReferenceCase(spec, params, batch, expected)


def pair_of_cases(
    case: CaseSpec, dtype: str, device: str = "cpu"
) -> tuple[ReferenceCase, ReferenceCase] | str:
    """The case and the next one with the same shapes, or why one of them is unusable."""
    first, other = (reference_case(each, dtype, device) for each in (case, case.after()))
    if isinstance(first, str):
        return first
    return other if isinstance(other, str) else (first, other)


def _nearest_kink(spec: ModelSpec, params: Params, batch: Batch) -> float:
    """The smallest |x W_xh + h W_hh + b| of any unit at any real step."""
    x = batch.x if spec.vocab_size is None else params["E"][batch.x]  # (B,T,I)
    least, real = math.inf, real_steps(batch)
    if real is None:
        real = np.ones(x.shape[:2], bool)
    for layer in range(spec.num_layers):
        both = []
        for direction in spec.directions:
            prefix = f"l{layer}.{direction}"
            W_xh, W_hh = params[f"{prefix}.W_xh"], params[f"{prefix}.W_hh"]
            b = params.get(f"{prefix}.b", np.zeros(spec.hidden_size))
            h = np.zeros((len(x), spec.hidden_size))
            if batch.state is not None:
                h = batch.state[f"{prefix}.h0"]
            outputs = np.empty((*x.shape[:2], spec.hidden_size))
            steps = range(x.shape[1])
            for t in steps if direction == "fwd" else reversed(steps):
                a = x[:, t] @ W_xh + h @ W_hh + b
                least = min(least, float(np.abs(a[real[:, t]]).min(initial=math.inf)))
                h = outputs[:, t] = np.where(real[:, t, None], np.maximum(a, 0), h)
            both.append(outputs)
        x = np.concatenate(both, axis=2)
    return least

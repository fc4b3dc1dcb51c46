"""How far a variant may be off, and how that is measured: all bounds of agreement.

Relative error is |a - ref| / |ref| in the 2-norm, a tensor at a time; ref is the numpy backend's in
float64, the oracle's.

float64: at most 1e-9. float32: at most max(1e-6 sqrt(T), 10 x the float32 reference error): that of
the numpy backend in float32 in this tensor, the worst of three runs, of which two start from inputs
and parameters moved by up to four ulp. TF32: at most max(2^-10 sqrt(T), 2^13 x that error). Where
|ref| = 0: |a| at most 1e-12 (float32: 1e-6, TF32: 2^-10) of the norm of the largest tensor of its
kind. docs/agreement.md says how these were measured.
"""

from __future__ import annotations

import math

import numpy as np

FLOAT64_BOUND = 1e-9

# What an arithmetic is held in, and what a step may lose in it. One that is not here has no rule
# of agreement, and so no numbers.
STORAGE = {"float64": "float64", "float32": "float32", "tf32": "float32"}
STEP = {"float32": 1e-6, "tf32": 2.0**-10}
# TF32's products have 10 bits of mantissa, float32's 23; its own error grows by as much, and the
# factor of ten is not granted on top.
COARSER = {"float32": 10.0, "tf32": 2.0**13}
# One run in float32 may be right by luck. The float32 reference error is the worst of it and of
# SHAKES more, from parameters and inputs moved by up to four ulp of float32, as far off as a fast
# tanh may be.
SHAKES, SHAKE = 2, 2.0**-21
ZERO_BOUND = {"float64": 1e-12, "float32": 1e-6, "tf32": 2.0**-10}

# Beside a model without its dropout, for a call that draws masks: a loss as large again, gradients
# of the same order or two more. They catch what is missing, not finite, or of another thing.
PLAUSIBLE = {"loss": 1.0, "gradients": 100.0}


def kind(name: str) -> str:
    """Which kind a tensor is: outputs, states, loss, gradients, training (`curve`), parameters."""
    if name.startswith("grad."):
        return "gradients"
    if name.startswith("trained "):
        return "training"
    if name.startswith("parameter "):
        return "parameters"
    return name if name in ("outputs", "loss") else "states"


def norm(array: np.ndarray) -> float:
    """2-norm in float64, without BLAS: no thread pool of this process starts to spin."""
    return math.sqrt(float(np.square(array, dtype=np.float64).sum()))


def relative_error(a: np.ndarray, ref: np.ndarray) -> float:
    """|a - ref| / |ref|; |a| where ref is zero; inf where a is not finite."""
    a = np.asarray(a, np.float64)
    if not np.isfinite(a).all():
        return math.inf
    scale = norm(ref)
    return norm(a - ref) / scale if scale else norm(a)

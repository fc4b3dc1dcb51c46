"""All bounds of agreement: how far a variant may be off, and how errors are measured.

The relative error of a tensor is |a - ref| / |ref| in the 2-norm; ref is the oracle's, the numpy
backend in float64. It may be at most

- float64: 1e-9.
- float32: max(1e-6 sqrt(T), 10 x the float32 reference error). This is the largest error of the
  numpy backend in float32 in three runs; two of them start from inputs and parameters that are
  changed by up to four ulp, and have a tanh that is off by 2^-26. If the inputs are denormal, each
  number of a tensor may also be off by the smallest normal one, 2^-126.
- TF32: max(2^-10 sqrt(T), 2^13 x the float32 reference error).
- bfloat16: max(2^-8 sqrt(T), 8 x the bfloat16 reference error), which is the largest error of three
  emulations of it (`bench.correctness.arithmetics`), each in three runs as well.
- float32 and TF32 on a GPU: in addition, what a tanh that is off by 2^-16 does to the tensor.

If |ref| = 0, |a| may be at most 1e-12 (float32: 1e-6, TF32: 2^-10, bfloat16: 2^-8) of the largest
norm of its kind.
docs/agreement.md explains how these bounds were measured.
"""

from __future__ import annotations

import math

import numpy as np

from tasks.inputs import SMALLEST_NORMAL

FLOAT64_BOUND = 1e-9

# The storage type of each arithmetic, and the error that each may make per sqrt(step). Without an
# entry here, an arithmetic has no rule of agreement, and so no times.
STORAGE = {"float64": "float64", **dict.fromkeys(("float32", "tf32", "bfloat16"), "float32")}
STEP = {"float32": 1e-6, "tf32": 2.0**-10, "bfloat16": 2.0**-8}
# Factors of the float32 reference error. TF32's products have 10 bits of mantissa and float32's
# 23, which gives 2^13; there is no further factor of ten.
COARSER = {"float32": 10.0, "tf32": 2.0**13, "bfloat16": 8.0}
# One run in float32 can be accurate by luck. So the float32 reference error is the largest of that
# run and SHAKES more, whose parameters and inputs are changed by up to four ulp of float32: the
# error of a fast tanh.
SHAKES, SHAKE = 2, {"float32": 2.0**-21, "tf32": 2.0**-21, "bfloat16": 2.0**-9}
# Adam's 1 - beta2^t, computed in float32, is off by up to 2e-5 in the first hundreds of steps: it
# is only 0.001 at first, and beta2 itself is rounded. optax does that, and its steps are 4e-6 to
# 1e-5 too short. A parameter that starts at zero shows it at once.
ADAM_SHAKE = 2.0**-17
# And their tanh is off by so much, absolutely: some libraries compute it to half an ulp of 1, and
# lose digits where states are small (ONNX Runtime on a CPU: 6.8e-8 at 0.0014). Times COARSER this
# is an ulp of 1.
TANH_SHAKE, MOST_OF_TANH = 2.0**-26, 2.0**-10
# cuDNN's recurrent kernels for small states have a fast tanh: it is off by up to 92 ulp, relatively
# (docs/reproductions/cudnn-tanh.py, cuDNN 9.19 on an H200). Their sigmoid, and the tanh of other
# kernels, are exact to a few ulp.
TANH_ERROR = {"cuda": 2.0**-16}
TANH_SHAKES = 1  # runs with a random sign of that error for each number, beside one with the same
ZERO_BOUND = {"float64": 1e-12, "float32": 1e-6, "tf32": 2.0**-10, "bfloat16": 2.0**-8}

# Relative bounds for a call that draws masks, against the same model without dropout. They reveal
# tensors that are missing, not finite, or of something else.
PLAUSIBLE = {"loss": 1.0, "gradients": 100.0}


def tanh_error(device: str, dtype: str) -> float:
    """The largest relative error of tanh, beyond a few ulp, of the libraries for `device`."""
    if dtype in ("float64", "bfloat16"):  # whose rounding is much coarser
        return 0.0
    return TANH_ERROR.get(device.partition(":")[0], 0.0)


def denormal(x: np.ndarray) -> bool:
    """Whether no input reaches the smallest normal number of float32, and not all are zero."""
    return x.dtype.kind == "f" and 0.0 < float(np.abs(x).max(initial=0.0)) < SMALLEST_NORMAL


def flushed(ref: np.ndarray) -> float:
    """The relative bound that lets each number of `ref` be off by the smallest normal number.

    Frameworks may flush smaller numbers of float32 to zero. It exceeds a rounding error only in
    tensors that small.
    """
    scale = norm(ref)
    return SMALLEST_NORMAL * math.sqrt(ref.size) / scale if scale else 0.0


def kind(name: str) -> str:
    """The kind of a tensor: outputs, states, loss, gradients, training (`curve`), parameters."""
    if name.startswith("grad."):
        return "gradients"
    if name.startswith("trained "):
        return "training"
    if name.startswith("parameter "):
        return "parameters"
    return name if name in ("outputs", "loss") else "states"


def norm(array: np.ndarray) -> float:
    """2-norm in float64, without BLAS, whose thread pool would spin in this process."""
    return math.sqrt(float(np.square(array, dtype=np.float64).sum()))


def relative_error(a: np.ndarray, ref: np.ndarray) -> float:
    """|a - ref| / |ref|; |a| if ref is zero; inf if a is not finite."""
    a = np.asarray(a, np.float64)
    if not np.isfinite(a).all():
        return math.inf
    scale = norm(ref)
    return norm(a - ref) / scale if scale else norm(a)

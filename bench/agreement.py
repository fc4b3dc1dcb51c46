"""Do two programs compute the same thing: the bounds, and the comparison tensor by tensor.

The oracle is the numpy backend in float64, from the same parameters and batch as the variant's:
both are rounded to the variant's dtype before either sees them. Relative error is
|a - ref| / |ref| in the 2-norm, a tensor at a time.

float64: at most 1e-9. float32: at most max(1e-6 sqrt(T), 10 x the yardstick): the error in that
tensor of the numpy backend in float32, the worst of three runs, of which two start from inputs and
parameters moved by up to four ulp. TF32: at most max(2^-10 sqrt(T), 2^13 x the yardstick). Where
|ref| = 0: |a| at most 1e-12 (float32: 1e-6, TF32: 2^-10) of the norm of the largest tensor of its
kind. docs/agreement.md says how these were measured.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from backends import registry
from bench import record
from tasks.loss import loss
from tasks.spec import Batch, ModelSpec, OptimizerSpec, Params

FLOAT64_BOUND = 1e-9

# What an arithmetic is held in, and what a step may lose in it. One that is not here has no rule
# of agreement, and so no numbers.
STORAGE = {"float64": "float64", "float32": "float32", "tf32": "float32"}
STEP = {"float32": 1e-6, "tf32": 2.0**-10}
# TF32's products have 10 bits of mantissa, float32's 23; its own error grows by as much, and the
# factor of ten is not granted on top.
COARSER = {"float32": 10.0, "tf32": 2.0**13}
# One run in float32 may be right by luck. The yardstick is the worst of it and of SHAKES more, from
# parameters and inputs moved by up to four ulp of float32, as far off as a fast tanh may be.
SHAKES, SHAKE = 2, 2.0**-21
ZERO_BOUND = {"float64": 1e-12, "float32": 1e-6, "tf32": 2.0**-10}

# Beside a model without its dropout, for a call that draws masks: a loss as large again, gradients
# of the same order or two more. They catch what is missing, not finite, or of another thing.
PLAUSIBLE = {"loss": 1.0, "gradients": 100.0}

Tensors = dict[str, np.ndarray]


def kind(name: str) -> str:
    """Which kind a tensor is: outputs, states, loss, gradients, training (`curve`), parameters."""
    if name.startswith("grad."):
        return "gradients"
    if name.startswith("trained "):
        return "training"
    if name.startswith("parameter "):
        return "parameters"
    return name if name in ("outputs", "loss") else "states"


def rounded(dtype: str, params: Params, batch: Batch) -> tuple[Params, Batch]:
    """Both in float64 with values that `dtype` can hold, so that all start from the same."""

    def cut(array: np.ndarray) -> np.ndarray:
        if array.dtype.kind != "f":
            return array
        return array.astype(STORAGE[dtype]).astype(np.float64)

    return (
        {name: cut(value) for name, value in params.items()},
        Batch(
            x=cut(batch.x),
            y=cut(batch.y),
            weight=None if batch.weight is None else cut(batch.weight),
            state=None
            if batch.state is None
            else {name: cut(value) for name, value in batch.state.items()},
        ),
    )


@dataclass(frozen=True)
class Reference:
    """What the oracle says of one (spec, params, batch), and how far each tensor may be off."""

    dtype: str
    tensors: Tensors
    bounds: Mapping[str, float]  # relative; absolute where the reference is zero

    def named(self, phase: str) -> list[str]:
        """The tensors that a cell of `phase` answers for, the loss of its outputs included."""
        if phase == "forward":
            return [name for name in self.tensors if kind(name) != "gradients"]
        return list(self.tensors)


def reference(spec: ModelSpec, params: Params, batch: Batch, dtype: str) -> Reference:
    """Ask the oracle, and its float32 self for the yardstick. Inputs are already `rounded`."""

    def run(params: Params, batch: Batch, dtype: str) -> Tensors:
        return run_oracle(spec, params, batch, dtype)

    return _bounded(run, params, batch, dtype)


def _bounded(
    run: Callable[[Params, Batch, str], Tensors],
    params: Params,
    batch: Batch,
    dtype: str,
    updates: int = 1,
) -> Reference:
    """The oracle's tensors and their bounds; `run` gives those of the numpy backend in a dtype."""
    exact = run(params, batch, "float64")
    if dtype == "float64":
        return Reference(dtype, exact, dict.fromkeys(exact, FLOAT64_BOUND))
    starts = [(params, batch), *(shaken(params, batch, seed, SHAKE) for seed in range(SHAKES))]
    singles = [run(*start, "float32") for start in starts]
    least = STEP[dtype] * math.sqrt(batch.x.shape[1]) * updates
    bounds = {
        name: max(least, COARSER[dtype] * max(relative_error(one[name], ref) for one in singles))
        for name, ref in exact.items()
    }
    return Reference(dtype, exact, bounds)


def shaken(params: Params, batch: Batch, seed: int, size: float) -> tuple[Params, Batch]:
    """Both with every parameter, input and initial state moved by up to `size` of itself."""
    rng = np.random.default_rng(seed)

    def moved(array: np.ndarray) -> np.ndarray:
        if array.dtype.kind != "f":
            return array
        return array * (1 + size * rng.uniform(-1, 1, array.shape))

    state = None if batch.state is None else {name: moved(h) for name, h in batch.state.items()}
    return (
        {name: moved(value) for name, value in params.items()},
        dataclasses.replace(batch, x=moved(batch.x), state=state),
    )


def run_oracle(spec: ModelSpec, params: Params, batch: Batch, dtype: str) -> Tensors:
    """Every tensor of the numpy backend: outputs, last states, loss, gradients."""
    model = registry.load("numpy").build(spec, params, device="cpu", dtype=dtype)
    placed = model.place(batch)
    tensors = dict(model.to_host(model.forward(placed)))
    tensors = {name: np.array(value) for name, value in tensors.items()}
    return tensors | {k: np.array(v) for k, v in model.to_host(model.bptt(placed)).items()}


def curve(losses: Sequence[float], params: Mapping[str, np.ndarray]) -> Tensors:
    """K updates as tensors to compare: the losses (K), and each parameter after them."""
    return {"trained loss": np.asarray(losses, np.float64)} | {
        f"trained {name}": np.asarray(value) for name, value in params.items()
    }


def run_training(
    spec: ModelSpec, params: Params, batch: Batch, optimizer: OptimizerSpec, dtype: str, steps: int
) -> Tensors:
    """`curve` of the numpy backend."""
    model = registry.load("numpy").build(
        spec, params, device="cpu", dtype=dtype, optimizer=optimizer
    )
    placed = model.place(batch)
    losses = [float(model.to_host(model.train_step(placed))["loss"]) for _ in range(steps)]
    return curve(losses, model.params())


def training_reference(
    spec: ModelSpec, params: Params, batch: Batch, optimizer: OptimizerSpec, dtype: str, steps: int
) -> Reference:
    """The oracle's curve over `steps` updates with the eps placement that a variant declares.

    In float32 an update may be off by as much as a gradient is, and they add up: the bound of a
    gradient times `steps`, or the yardstick.
    """

    def run(params: Params, batch: Batch, dtype: str) -> Tensors:
        return run_training(spec, params, batch, optimizer, dtype, steps)

    return _bounded(run, params, batch, dtype, steps)


def with_loss(spec: ModelSpec, forward: Tensors, batch: Batch) -> Tensors:
    """The result of a forward call, joined by the loss of its outputs."""
    if "outputs" not in forward or "loss" in forward:
        return forward
    try:
        value = loss(spec, forward["outputs"], batch)
    except (ValueError, IndexError):
        return forward  # outputs of the wrong shape: reported as such, the loss as not computed
    return forward | {"loss": np.asarray(value)}


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


def _compare_one(
    ref: Reference, name: str, actual: Tensors, scales: Mapping[str, float]
) -> tuple[record.TensorError, str]:
    """The error of one tensor and, where it is beyond its bound, what to say of it."""
    expected, bound = ref.tensors[name], ref.bounds[name]
    if name not in actual:
        return record.TensorError(name=name, error=None, bound=bound), f"{name} is missing"
    came = actual[name]
    if came.shape != expected.shape or came.dtype.kind != "f":
        message = f"{name} has shape {came.shape}; expected {expected.shape}"
        if came.shape == expected.shape:
            message = f"{name} is {came.dtype}; expected floating point"
        return record.TensorError(name=name, error=None, bound=bound), message
    error = relative_error(came, expected)
    if not norm(expected):
        # Nothing to divide by: measured against the largest tensor of its kind.
        error, bound = error / (scales[kind(name)] or 1.0), ZERO_BOUND[ref.dtype]
    if not math.isfinite(error):
        message = f"{name} has numbers that are not finite"
        return record.TensorError(name=name, error=None, bound=bound), message
    result = record.TensorError(name=name, error=error, bound=bound)
    if error <= bound:
        return result, ""
    return result, f"{name} off by {error:.1e} (bound {bound:.1e})"


def compare(
    ref: Reference, phase: str, actual: Tensors, when: str = "", only: tuple[str, ...] = ()
) -> record.Agreement:
    """Compare every tensor that `phase` answers for; failures start with `when`.

    `only` narrows it to kinds (a timed bptt call gives no outputs). Raises ValueError where
    nothing would be compared: agreement on nothing is none.
    """
    names = [name for name in ref.named(phase) if not only or kind(name) in only]
    if not names:
        raise ValueError(f"nothing to compare in phase {phase!r}; expected at least one tensor")
    scales: dict[str, float] = {}
    for name, value in ref.tensors.items():
        scales[kind(name)] = max(scales.get(kind(name), 0.0), norm(value))
    kinds: dict[str, record.TensorError] = {}
    failures: list[str] = []
    for name in names:
        error, failure = _compare_one(ref, name, actual, scales)
        if failure:
            failures.append(f"{when}: {failure}" if when else failure)
        group = kind(name)
        if group not in kinds or error.severity > kinds[group].severity:
            kinds[group] = error
    unknown = sorted(set(actual) - set(ref.tensors))
    if unknown:
        failures.append(f"{when}: gives {', '.join(unknown)}, which this model does not have")
    return record.Agreement(
        tensors=len(names),
        worst=max(kinds.values(), key=lambda error: error.severity),
        kinds=kinds,
        failures=tuple(failures),
    )


def plausible(ref: Reference, phase: str, actual: Tensors, when: str) -> record.Agreement:
    """What can be said of a call that draws masks, beside the same model without them.

    All tensors are there, finite and in shape; the loss is off by no more than itself, a gradient
    by no more than a hundred times.
    """
    bounds = {name: PLAUSIBLE.get(kind(name), bound) for name, bound in ref.bounds.items()}
    only = ("loss",) if phase == "train_step" else ("loss", "gradients")
    return compare(dataclasses.replace(ref, bounds=bounds), "bptt", actual, when, only)


def joined(parts: list[record.Agreement]) -> record.Agreement:
    """Several comparisons of one variant as one: counts added up, the worst kept."""
    if not parts:
        raise ValueError("no comparison was made; expected at least one")
    kinds: dict[str, record.TensorError] = {}
    for part in parts:
        for group, error in part.kinds.items():
            if group not in kinds or error.severity > kinds[group].severity:
                kinds[group] = error
    return record.Agreement(
        tensors=sum(part.tensors for part in parts),
        worst=max(kinds.values(), key=lambda error: error.severity),
        kinds=kinds,
        failures=tuple(failure for part in parts for failure in part.failures),
    )

"""The oracle: the numpy backend in float64, with the variant's parameters and batch.

Both are rounded to the variant's dtype before either of the two computes with them.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from backends import registry
from backends.interface import Backend
from bench.correctness.arithmetics import TanhOff, approximations
from bench.correctness.tolerances import (
    ADAM_SHAKE,
    COARSER,
    FLOAT64_BOUND,
    SHAKE,
    STEP,
    STORAGE,
    TANH_SHAKES,
    denormal,
    flushed,
    kind,
    relative_error,
    tanh_error,
)
from tasks.batch import carried
from tasks.spec import Batch, ModelSpec, OptimizerSpec, Params

Tensors = dict[str, np.ndarray]


def rounded(dtype: str, params: Params, batch: Batch) -> tuple[Params, Batch]:
    """Both in float64, in values exact in `dtype`, so that all variants start from the same."""

    def cut(array: np.ndarray) -> np.ndarray:
        if array.dtype.kind != "f":
            return array
        return array.astype(STORAGE[dtype]).astype(np.float64)

    state = None if batch.state is None else {name: cut(h) for name, h in batch.state.items()}
    weight = None if batch.weight is None else cut(batch.weight)
    return (
        {name: cut(value) for name, value in params.items()},
        dataclasses.replace(batch, x=cut(batch.x), y=cut(batch.y), weight=weight, state=state),
    )


@dataclass(frozen=True)
class Reference:
    """The oracle's tensors for one (spec, params, batch), and the bound of each."""

    dtype: str
    tensors: Tensors
    bounds: Mapping[str, float]  # relative, or absolute if the reference is zero
    device: str = "cpu"  # whose libraries the bounds allow for

    def named(self, phase: str) -> list[str]:
        """The tensors of `phase`, including the loss of its outputs."""
        if phase == "forward":
            return [name for name in self.tensors if kind(name) != "gradients"]
        return list(self.tensors)


@dataclass(frozen=True)
class Inputs:
    """What a backend gets: a model with parameters, and a batch."""

    spec: ModelSpec
    params: Params
    batch: Batch


@dataclass(frozen=True)
class ReferenceCase(Inputs):
    """The same, with the oracle's results."""

    expected: Reference


def reference(
    spec: ModelSpec, params: Params, batch: Batch, dtype: str, device: str = "cpu"
) -> Reference:
    """Run the oracle, and the same in float32 for the bounds. Inputs are already `rounded`."""

    def run(backend: Backend, params: Params, batch: Batch, dtype: str) -> Tensors:
        return run_oracle(spec, params, batch, dtype, backend)

    return bounded(run, params, batch, dtype, device)


def bounded(
    run_with: Callable[[Backend, Params, Batch, str], Tensors],
    params: Params,
    batch: Batch,
    dtype: str,
    device: str,
    updates: int = 1,
) -> Reference:
    """The oracle's tensors and their bounds; `run_with` runs a numpy backend in a dtype."""
    run = partial(run_with, registry.oracle())
    exact = run(params, batch, "float64")
    if dtype == "float64":
        return Reference(dtype, exact, dict.fromkeys(exact, FLOAT64_BOUND), device)
    singles = []
    for ops, seed in approximations(dtype):
        moved = (params, batch) if seed is None else shaken(params, batch, seed, SHAKE[dtype])
        singles.append(run_with(registry.oracle(ops), *moved, "float32"))
    least = STEP[dtype] * math.sqrt(batch.x.shape[1]) * updates
    bounds = {
        name: max(least, COARSER[dtype] * max(relative_error(one[name], ref) for one in singles))
        for name, ref in exact.items()
    }
    if error := tanh_error(device, dtype):
        drifted = [
            run_with(registry.oracle(TanhOff(error, 0.0, seed)), params, batch, "float32")
            for seed in (None, *range(TANH_SHAKES))
        ]
        for name, ref in exact.items():
            bounds[name] += max(relative_error(one[name], ref) for one in drifted)
    if denormal(batch.x):
        bounds = {name: max(bound, flushed(exact[name])) for name, bound in bounds.items()}
    return Reference(dtype, exact, bounds, device)


def another(first: ReferenceCase, batch: Batch) -> ReferenceCase:
    """The same model on another batch, with at least the bounds of the first one.

    The reference error comes from the runs whose inputs are as they are: the bounds of `first`
    already contain what changed inputs and a less accurate tanh do to this model.
    """
    dtype, params = first.expected.dtype, first.params
    params, batch = rounded(dtype, params, batch)
    exact = run_oracle(first.spec, params, batch, "float64")
    bounds = dict(first.expected.bounds)
    if dtype != "float64":
        as_it_is = [ops for ops, seed in approximations(dtype) if seed is None]
        singles = [
            run_oracle(first.spec, params, batch, "float32", registry.oracle(ops))
            for ops in as_it_is
        ]
        for name, ref in exact.items():
            error = max(relative_error(single[name], ref) for single in singles)
            bounds[name] = max(bounds[name], COARSER[dtype] * error)
            if denormal(batch.x):
                bounds[name] = max(bounds[name], flushed(ref))
    expected = Reference(dtype, exact, bounds, first.expected.device)
    return dataclasses.replace(first, params=params, batch=batch, expected=expected)


def shaken(params: Params, batch: Batch, seed: int, size: float) -> tuple[Params, Batch]:
    """Both with every parameter, input and initial state changed by up to `size`, relatively."""
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


def run_oracle(
    spec: ModelSpec, params: Params, batch: Batch, dtype: str, backend: Backend | None = None
) -> Tensors:
    """Every tensor of the numpy backend: outputs, last states, loss, gradients."""
    backend = backend or registry.oracle()
    model = backend.build(spec, params, device="cpu", dtype=dtype)
    placed = model.place(batch)
    tensors = dict(model.to_host(model.forward(placed)))
    tensors = {name: np.array(value) for name, value in tensors.items()}
    return tensors | {k: np.array(v) for k, v in model.to_host(model.bptt(placed)).items()}


def curve(losses: Sequence[float], params: Mapping[str, np.ndarray]) -> Tensors:
    """K updates as tensors to compare: the losses (K,), and each parameter after them.

    Among `params` may be the states that were carried from update to update.
    """
    return {"trained loss": np.asarray(losses, np.float64)} | {
        f"trained {name}": np.asarray(value) for name, value in params.items()
    }


def in_float32(optimizer: OptimizerSpec) -> OptimizerSpec:
    """Adam with the steps of a framework that corrects its bias in float32 (`ADAM_SHAKE`)."""
    if optimizer.name != "adam":
        return optimizer
    rate = optimizer.learning_rate * (1 - ADAM_SHAKE)
    return dataclasses.replace(optimizer, learning_rate=rate)


def run_training(
    spec: ModelSpec,
    params: Params,
    batch: Batch,
    optimizer: OptimizerSpec,
    dtype: str,
    steps: int,
    backend: Backend | None = None,
    *,
    stateful: bool = False,
) -> Tensors:
    """`curve` of the numpy backend; if `stateful`, each update starts where the last one ended."""
    backend = backend or registry.oracle()
    model = backend.build(spec, params, device="cpu", dtype=dtype, optimizer=optimizer)
    placed, losses, last = model.place(batch), [], {}
    for _ in range(steps):
        if stateful:  # the states before the update, by the forward pass
            host = model.to_host(model.forward(placed))
            last = {name: np.array(host[name]) for name in spec.state_names()}
        losses.append(float(model.to_host(model.train_step(placed))["loss"]))
        if stateful:
            placed = model.place(dataclasses.replace(batch, state=carried(spec, last)))
    return curve(losses, {**last, **model.params()})


def training_reference(
    spec: ModelSpec,
    params: Params,
    batch: Batch,
    optimizer: OptimizerSpec,
    dtype: str,
    steps: int,
    device: str = "cpu",
    *,
    stateful: bool = False,
) -> Reference:
    """The oracle's curve over `steps` updates, with the eps placement that a variant declares.

    In float32 each update can be off by as much as a gradient, and these errors add up. So the
    bound is that of a gradient times `steps`, or follows from the float32 reference error.
    """

    def run(backend: Backend, params: Params, batch: Batch, dtype: str) -> Tensors:
        held = optimizer if dtype == "float64" else in_float32(optimizer)
        given = params, batch, held, dtype, steps, backend
        return run_training(spec, *given, stateful=stateful)

    return bounded(run, params, batch, dtype, device, steps)

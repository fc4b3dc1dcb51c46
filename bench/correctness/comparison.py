"""Compares a variant's tensors with the oracle's, each within its bound."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np

from bench.correctness.oracle import Reference, Tensors
from bench.correctness.tolerances import PLAUSIBLE, ZERO_BOUND, kind, norm, relative_error
from bench.records.schema import Agreement, TensorError
from tasks.loss import loss
from tasks.spec import Batch, ModelSpec


def keep_worst(worst: dict[Any, TensorError], kind: Hashable, error: TensorError) -> None:
    """Keep `error` if it is the worst of its kind so far."""
    if kind not in worst or error.severity > worst[kind].severity:
        worst[kind] = error


def with_loss(spec: ModelSpec, forward: Tensors, batch: Batch) -> Tensors:
    """The result of a forward call, plus the loss of its outputs."""
    if "outputs" not in forward or "loss" in forward:
        return forward
    try:
        value = loss(spec, forward["outputs"], batch)
    except (ValueError, IndexError):
        return forward  # the outputs have the wrong shape, which the comparison reports
    return forward | {"loss": np.asarray(value)}


def _compare_one(
    ref: Reference, name: str, actual: Tensors, scales: Mapping[str, float]
) -> tuple[TensorError, str]:
    """The error of one tensor, and a message if it exceeds its bound."""
    expected, bound = ref.tensors[name], ref.bounds[name]
    if not math.isfinite(bound):
        message = f"{name} cannot be compared: the oracle overflows in float32"
        return TensorError(name=name, error=None, bound=0.0), message
    if name not in actual:
        return TensorError(name=name, error=None, bound=bound), f"{name} is missing"
    came = actual[name]
    if came.shape != expected.shape or came.dtype.kind != "f":
        message = f"{name} has shape {came.shape}; expected {expected.shape}"
        if came.shape == expected.shape:
            message = f"{name} is {came.dtype}; expected floating point"
        return TensorError(name=name, error=None, bound=bound), message
    error = relative_error(came, expected)
    if not norm(expected):
        # The norm to divide by is zero, so the largest tensor of its kind gives the scale.
        error, bound = error / (scales[kind(name)] or 1.0), ZERO_BOUND[ref.dtype]
    if not math.isfinite(error):
        message = f"{name} contains values that are not finite"
        return TensorError(name=name, error=None, bound=bound), message
    result = TensorError(name=name, error=error, bound=bound)
    if error <= bound:
        return result, ""
    return result, f"{name} off by {error:.1e} (bound {bound:.1e})"


def compare(
    ref: Reference, phase: str, actual: Tensors, when: str = "", only: tuple[str, ...] = ()
) -> Agreement:
    """Compare every tensor of `phase`; messages of failures start with `when`.

    `only` limits it to some kinds (a timed bptt call returns no outputs). Raises ValueError if
    there is nothing to compare: that must not count as agreement.
    """
    names = [name for name in ref.named(phase) if not only or kind(name) in only]
    if not names:
        raise ValueError(f"nothing to compare in phase {phase!r}; expected at least one tensor")
    scales: dict[str, float] = {}
    for name, value in ref.tensors.items():
        scales[kind(name)] = max(scales.get(kind(name), 0.0), norm(value))
    kinds: dict[str, TensorError] = {}
    failures: list[str] = []
    for name in names:
        error, failure = _compare_one(ref, name, actual, scales)
        if failure:
            failures.append(f"{when}: {failure}" if when else failure)
        keep_worst(kinds, kind(name), error)
    unknown = sorted(set(actual) - set(ref.tensors))
    if unknown:
        failures.append(f"{when}: returns {', '.join(unknown)}, which this model does not have")
    return Agreement(
        tensors=len(names),
        worst=max(kinds.values(), key=lambda error: error.severity),
        kinds=kinds,
        failures=tuple(failures),
    )


def plausible(ref: Reference, phase: str, actual: Tensors, when: str) -> Agreement:
    """Roughly compare a call that draws masks with the same model without them.

    All tensors must be present, finite and of the right shape. The loss may be off by 100 %, and a
    gradient by a factor of 100.
    """
    bounds = {name: PLAUSIBLE.get(kind(name), bound) for name, bound in ref.bounds.items()}
    only = ("loss",) if phase == "train_step" else ("loss", "gradients")
    return compare(dataclasses.replace(ref, bounds=bounds), "bptt", actual, when, only)


def joined(parts: list[Agreement]) -> Agreement:
    """Several comparisons of one variant as one: the counts added, the worst errors kept."""
    if not parts:
        raise ValueError("no comparison was made; expected at least one")
    kinds: dict[str, TensorError] = {}
    for part in parts:
        for group, error in part.kinds.items():
            keep_worst(kinds, group, error)
    return Agreement(
        tensors=sum(part.tensors for part in parts),
        worst=max(kinds.values(), key=lambda error: error.severity),
        kinds=kinds,
        failures=tuple(failure for part in parts for failure in part.failures),
    )

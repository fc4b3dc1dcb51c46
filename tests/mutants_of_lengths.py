"""Mutants that are wrong only where sequences have different lengths."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import numpy as np
from mutants import Kept
from mutations import Mutation

from backends.numpy.net import Placed, Workspace
from backends.numpy.scan import Scan
from tasks.spec import Batch, ModelSpec

Host = dict[str, np.ndarray]
Spoil = Callable[[Placed, Host, Host], Host]  # (batch, right results, those without lengths)


def ignored(spec: ModelSpec, batch: Batch) -> Batch:
    return dataclasses.replace(batch, lengths=None)


def one_step_longer(spec: ModelSpec, batch: Batch) -> Batch:
    if batch.lengths is None:
        return batch
    longer = np.minimum(batch.lengths + 1, batch.x.shape[1])
    return dataclasses.replace(batch, lengths=longer)


def left_sorted(spec: ModelSpec, batch: Batch) -> Batch:
    """Sorted by falling length, as packing wants it, and not sorted back."""
    if batch.lengths is None:
        return batch
    order = np.argsort(-batch.lengths, kind="stable")
    return Batch(
        batch.x[order],
        batch.y[order],
        None if batch.weight is None else batch.weight[order],
        None if batch.state is None else {n: h[order] for n, h in batch.state.items()},
        batch.lengths[order],
    )


class Spoiled(Kept):
    """Its results are changed, knowing what they would be without lengths."""

    def __init__(self, correct: Any, spoil: Spoil) -> None:
        super().__init__(correct)
        self._spoil = spoil

    def _call(self, phase: str, placed: Placed) -> Host:
        if placed.lengths is None:
            return self.now(phase, placed)
        without = self.now(phase, dataclasses.replace(placed, lengths=None))
        return self._spoil(placed, self.now(phase, placed), without)

    def forward(self, placed: Placed) -> Host:
        return self._call("forward", placed)

    def bptt(self, placed: Placed) -> Host:
        return self._call("bptt", placed)


def spoiled(spoil: Spoil) -> Mutation:
    return Mutation(model=lambda model: Spoiled(model, spoil))


def last_states_at_t(placed: Placed, right: Host, without: Host) -> Host:
    return right | {n: h for n, h in without.items() if n.endswith("fwd.h")}


def cell_states_at_t(placed: Placed, right: Host, without: Host) -> Host:
    return right | {n: c for n, c in without.items() if n.endswith("fwd.c")}


def outputs_go_on(placed: Placed, right: Host, without: Host) -> Host:
    if "outputs" not in right or right["outputs"].ndim < 3:
        return right
    assert placed.lengths is not None
    real = np.arange(placed.x.shape[1]) < placed.lengths[:, None]
    outputs = np.where(real[..., None], right["outputs"], without["outputs"])
    return right | {"outputs": outputs}


def padding_learns(placed: Placed, right: Host, without: Host) -> Host:
    if "grad.E" not in right:
        return right
    assert placed.lengths is not None
    padding = placed.x[np.arange(placed.x.shape[1]) >= placed.lengths[:, None]]
    table = right["grad.E"].copy()
    np.add.at(table, padding, 1e-3)
    return right | {"grad.E": table}


@contextlib.contextmanager
def backward_in_the_padding() -> Iterator[None]:
    made = Scan.__init__

    def make(
        self: Scan, *arguments: Any, reverse: bool, padding: Any = None, **options: Any
    ) -> None:
        own = None if reverse else padding
        made(self, *arguments, reverse=reverse, padding=own, **options)

    with mock.patch.object(Scan, "__init__", make):
        yield


@contextlib.contextmanager
def scale(change: Callable[[Workspace, Placed, Any], Any]) -> Iterator[None]:
    """The factor of each step's loss, changed where there are lengths and every step is read."""
    right = Workspace._scale

    def changed(self: Workspace, placed: Placed) -> Any:
        found = right(self, placed)
        if placed.lengths is None or self._spec.readout == "last_step":
            return found
        return change(self, placed, found)

    with mock.patch.object(Workspace, "_scale", changed):
        yield


def padding_counts(self: Workspace, placed: Placed, found: Any) -> Any:
    """The mean is over all B T steps, though only the real ones have a loss."""
    real = np.count_nonzero(found)
    if placed.weight is not None or self._spec.time_reduction == "sum" or not real:
        return found
    return found * (real / len(found))


def mean_of_means(self: Workspace, placed: Placed, found: Any) -> Any:
    """First over the steps of each sequence, then over the sequences."""
    if placed.weight is not None or self._spec.time_reduction == "sum":
        return found
    batch, steps, _ = self.shape
    assert placed.lengths is not None
    real = np.arange(steps)[:, None] < placed.lengths
    return (real / placed.lengths / batch).reshape(-1).astype(found.dtype)


# name -> (cell in which it shows, mutation, what the first failure says)
MUTANTS: dict[str, tuple[str, Mutation, str]] = {
    "lengths ignored": ("gru", Mutation(batch=ignored), "off by"),
    "lengths one too long": ("lstm", Mutation(batch=one_step_longer), "off by"),
    "lengths sorted and not sorted back": (
        "rnn_tanh",
        Mutation(batch=left_sorted),
        "outputs off by",
    ),
    "last states at T": ("lstm", spoiled(last_states_at_t), "fwd.h off by"),
    "cell states at T": ("lstm", spoiled(cell_states_at_t), "fwd.c off by"),
    "outputs go on behind the end": ("gru", spoiled(outputs_go_on), "outputs off by"),
    "embedding of the padding learns": ("rnn_relu", spoiled(padding_learns), "grad.E off by"),
    "backward starts in the padding": (
        "lstm",
        Mutation(within=backward_in_the_padding),
        "off by",
    ),
    "padding counted by the loss": (
        "gru",
        Mutation(within=lambda: scale(padding_counts)),
        "loss off by",
    ),
    "mean over sequences after that over steps": (
        "rnn_tanh",
        Mutation(within=lambda: scale(mean_of_means)),
        "loss off by",
    ),
}

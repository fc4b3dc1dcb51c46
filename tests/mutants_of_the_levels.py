"""Mutants that are wrong at some levels of the fields alone, or that mix the rows of a batch."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from mutants import Model
from mutations import Change, Host, Mutation

from tasks.spec import Batch, ModelSpec

Has = Callable[[ModelSpec], bool]


def reduced(came: str, given: str) -> Callable[[ModelSpec], ModelSpec]:
    """`given` over the time where `came` is asked."""

    def change(spec: ModelSpec) -> ModelSpec:
        if spec.time_reduction != came:
            return spec
        return dataclasses.replace(spec, time_reduction=given)  # type: ignore[arg-type]

    return change


def mean_of_weighted(spec: ModelSpec, batch: Batch) -> Batch:
    """The weights of a sum are divided by their mean: only without weights is the sum right."""
    if batch.weight is None or spec.time_reduction != "sum" or not batch.weight.any():
        return batch
    weight = batch.weight * (len(batch.weight) / batch.weight.sum())
    return dataclasses.replace(batch, weight=weight)


def no_weight_for_zeros(spec: ModelSpec, batch: Batch) -> Batch:
    """Where all weights are zero, each step counts."""
    if batch.weight is None or batch.weight.any():
        return batch
    return dataclasses.replace(batch, weight=None)


def left_out(end: str, has: Has = lambda spec: True) -> Change:
    """A parameter is zero in some models."""

    def change(spec: ModelSpec, name: str, array: np.ndarray) -> np.ndarray:
        return np.zeros_like(array) if name.endswith(end) and has(spec) else array

    return change


def stateless(has: Has) -> Callable[[ModelSpec, Batch], Batch]:
    """The given state is ignored in some models."""

    def change(spec: ModelSpec, batch: Batch) -> Batch:
        return dataclasses.replace(batch, state=None) if has(spec) else batch

    return change


def with_one_step(spec: ModelSpec, batch: Batch) -> Batch:
    """A single step is taken for a vector without a time axis, and scaled."""
    if batch.x.shape[1] > 1 or batch.x.dtype.kind != "f":
        return batch
    return dataclasses.replace(batch, x=batch.x * 1.001)


def changed_outputs(change: Callable[[ModelSpec, np.ndarray], np.ndarray]) -> Mutation:
    def host(spec: ModelSpec, host: Host) -> Host:
        if "outputs" not in host:
            return host
        return host | {"outputs": change(spec, host["outputs"])}

    return Mutation(host=host)


def with_one_row(spec: ModelSpec, outputs: np.ndarray) -> np.ndarray:
    return outputs * 1.001 if len(outputs) == 1 else outputs


def without_head(spec: ModelSpec, outputs: np.ndarray) -> np.ndarray:
    return outputs * 1.001 if spec.output_size is None else outputs


def minus_the_mean(spec: ModelSpec, outputs: np.ndarray) -> np.ndarray:
    """A statistic of the batch reaches its rows."""
    return outputs - 1e-3 * outputs.mean(axis=0)


def one_class(spec: ModelSpec, host: Host) -> Host:
    """With one class, the cross entropy is that of a sigmoid: log 2 at an output of 0."""
    if "loss" not in host or spec.loss != "cross_entropy" or spec.logit_size > 1:
        return host
    return host | {"loss": np.full_like(host["loss"], np.log(2))}


def trained_table(spec: ModelSpec) -> ModelSpec:
    return dataclasses.replace(spec, train_embedding=True)


# name -> (cell in which it shows, mutation, what the first failure says)
MUTANTS: dict[str, tuple[str, Mutation, str]] = {
    "mean for sum over time": (
        "gru",
        Mutation(spec=reduced("sum", "mean")),
        "loss off by",
    ),
    "sum for mean over time": (
        "lstm",
        Mutation(spec=reduced("mean", "sum")),
        "loss off by",
    ),
    "mean for sum of weighted steps": ("rnn_tanh", Mutation(batch=mean_of_weighted), "loss off by"),
    "weights of zero taken for none": ("lstm", Mutation(batch=no_weight_for_zeros), "loss off by"),
    "bias left out of the second layer": ("lstm", Mutation(into=left_out("l1.fwd.b")), "off by"),
    "third layer never carried": (
        "rnn_tanh",
        Mutation(into=left_out("l2.fwd.W_hh")),
        "outputs off by",
    ),
    "state ignored in both directions": (
        "gru",
        Mutation(batch=stateless(lambda spec: spec.bidirectional)),
        "outputs off by",
    ),
    "wrong for one row": ("rnn_relu", changed_outputs(with_one_row), "outputs off by"),
    "wrong for one step": ("gru", Mutation(batch=with_one_step), "off by"),
    "wrong without a head": ("lstm", changed_outputs(without_head), "outputs off by"),
    "one class judged by a sigmoid": ("rnn_tanh", Mutation(host=one_class), "loss off by"),
    "gradient of a frozen table": (
        "gru",
        Mutation(spec=trained_table),
        "returns grad.E, which this model does not have",
    ),
    "mean of the batch subtracted": ("lstm", changed_outputs(minus_the_mean), "outputs off by"),
    # Two levels that meet
    "second layer never carried if three read the last step": (
        "gru",
        Mutation(
            into=left_out(
                "l1.fwd.W_hh", lambda spec: spec.num_layers == 3 and spec.readout == "last_step"
            )
        ),
        "outputs off by",
    ),
    "mean for sum from a frozen table": (
        "lstm",
        Mutation(spec=lambda spec: spec if spec.train_embedding else reduced("sum", "mean")(spec)),
        "loss off by",
    ),
    "recurrent bias left out where no embedding is": (
        "gru",
        Mutation(into=left_out(".b_hh", lambda spec: spec.vocab_size is None)),
        "outputs off by",
    ),
}


# Right for every batch of the size that the model was built with, and of ordinary numbers


def coarse(spec: ModelSpec, batch: Batch) -> Batch:
    """Inputs on a grid that the largest of the batch decides, as in quantized arithmetic."""
    if batch.x.dtype.kind != "f" or not batch.x.any():
        return batch
    step = np.abs(batch.x).max() * 2.0**-35
    return dataclasses.replace(batch, x=np.round(batch.x / step) * step)


class FirstSize(Model):
    """A single row is wrong in a model that has seen more."""

    most = rows = 0

    def place(self, batch: Batch) -> Any:
        self.rows = len(batch.x)
        self.most = max(self.most, self.rows)
        return self._correct.place(batch)

    def to_host(self, result: Any) -> Host:
        host = self._correct.to_host(result)
        if "outputs" in host and self.rows == 1 < self.most:
            host["outputs"] = host["outputs"] * 1.001
        return host


# name -> (cell in which it shows, mutation, what the first failure says)
OF_THE_ROWS: dict[str, tuple[str, Mutation, str]] = {
    "inputs rounded by the largest of the batch": (
        "gru",
        Mutation(batch=coarse),
        "beside an extreme row: ",
    ),
    "another batch size than the first": (
        "lstm",
        Mutation(model=FirstSize),
        "row 0 alone: outputs off by",
    ),
}

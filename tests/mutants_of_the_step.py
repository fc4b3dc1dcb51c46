"""Mutants whose cell is right: loss, gradients, updates, or what a call leaves behind are not."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from mutants import InPlace, Kept, LastGradients, Model, Piling
from mutations import Host, Mutation

from tasks.spec import ModelSpec, OptimizerSpec, Params


def other_reduction(spec: ModelSpec) -> ModelSpec:
    other = "mean" if spec.time_reduction == "sum" else "sum"
    return dataclasses.replace(spec, time_reduction=other)  # type: ignore[arg-type]


def with_dropout(spec: ModelSpec) -> ModelSpec:
    return dataclasses.replace(spec, dropout=0.3)


def other_eps(spec: OptimizerSpec) -> OptimizerSpec:
    other = "uncorrected" if spec.eps_placement == "corrected" else "corrected"
    return dataclasses.replace(spec, eps_placement=other)  # type: ignore[arg-type]


class DoubledBias(Model):
    """Two biases where there is one: each update moves their sum twice as far."""

    def train_step(self, placed: Any) -> Any:
        biases = {n: a for n, a in self._correct._values.items() if n.endswith(".b")}
        before = {name: array.copy() for name, array in biases.items()}
        result = self._correct.train_step(placed)
        for name, array in biases.items():
            array += array - before[name]
        return result


def without_gradient(kind: str) -> Any:
    """Of the last layer's last direction: absent, or never written."""

    def change(spec: ModelSpec, host: Host) -> Host:
        *_, (_, _, prefix) = spec.stack()
        name = f"grad.{prefix}.W_hh"
        if name not in host:
            return host
        if kind == "absent":
            return {n: a for n, a in host.items() if n != name}
        return host | {name: np.zeros_like(host[name])}

    return change


class Drifting(Model):
    """Outputs are a little larger at each call."""

    calls = 0

    def forward(self, placed: Any) -> Any:
        self.calls += 1
        return self._correct.forward(placed)

    def to_host(self, result: Any) -> Host:
        host = self._correct.to_host(result)
        if "outputs" in host:
            host["outputs"] = host["outputs"] * (1 + 1e-4 * (self.calls - 1))
        return host


class Remembering(Kept):
    """The first answer, for ever."""

    def __init__(self, correct: Any) -> None:
        super().__init__(correct)
        self.first: dict[str, Host] = {}

    def forward(self, placed: Any) -> Host:
        return self.first.setdefault("forward", self.now("forward", placed))

    def bptt(self, placed: Any) -> Host:
        return self.first.setdefault("bptt", self.now("bptt", placed))


class OwnParameters(Model):
    """Computes with what it was built with, whatever is loaded, and shows what was."""

    shown: Params | None = None

    def load(self, params: Params) -> None:
        self.shown = params

    def params(self) -> Params:
        return self.shown if self.shown is not None else self._correct.params()


def states_at_zero(spec: ModelSpec, host: Host) -> Host:
    names = set(spec.state_names())
    return {n: np.zeros_like(a) if n in names else a for n, a in host.items()}


def states_absent(spec: ModelSpec, host: Host) -> Host:
    return {n: a for n, a in host.items() if n not in spec.state_names()}


# name -> (cell in which it shows, mutation, what the first failure says)
MUTANTS: dict[str, tuple[str, Mutation, str]] = {
    "wrong loss reduction": ("rnn_tanh", Mutation(spec=other_reduction), "loss off by"),
    "dropout left on": ("lstm", Mutation(spec=with_dropout), "loss off by"),
    "doubled bias step": ("gru", Mutation(model=DoubledBias), "trained "),
    "wrong eps placement declared": ("lstm", Mutation(optimizer=other_eps), "trained "),
    "a layer's gradient absent": (
        "rnn_tanh",
        Mutation(host=without_gradient("absent")),
        "grad.l1.bwd.W_hh is missing",
    ),
    "a layer's gradient never written": (
        "gru",
        Mutation(host=without_gradient("zero")),
        "grad.l1.bwd.W_hh off by 1.0e+00",
    ),
    "gradients pile up": ("lstm", Mutation(model=Piling), "called again: grad."),
    "outputs change from call to call": (
        "rnn_relu",
        Mutation(model=Drifting),
        "called again: outputs off by",
    ),
    # Work left out
    "first answer remembered": (
        "gru",
        Mutation(model=Remembering),
        "on new parameters: outputs off by",
    ),
    "work done in place": (
        "lstm",
        Mutation(model=InPlace),
        "with parameters loaded after the batch was placed: outputs off by",
    ),
    "last call's gradients": (
        "rnn_tanh",
        Mutation(model=LastGradients),
        "on new parameters: grad.",
    ),
    "parameters ignored for its own": (
        "lstm",
        Mutation(model=OwnParameters),
        "on new parameters: outputs off by",
    ),
    "last states at zero": ("lstm", Mutation(host=states_at_zero), "l0.fwd.h off by 1.0e+00"),
    "last states absent": ("gru", Mutation(host=states_absent), "l0.fwd.h is missing"),
}

"""What a described net must compute: the numpy backend in float64 from the net's weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from backends import registry
from tasks.spec import Batch, ModelSpec, Params, Readout

Activate = Callable[[np.ndarray], np.ndarray]


def _log_softmax(z: np.ndarray) -> np.ndarray:
    z = z - z.max(axis=-1, keepdims=True)
    return np.asarray(z - np.log(np.exp(z).sum(axis=-1, keepdims=True)))


def _softmax(z: np.ndarray) -> np.ndarray:
    return np.asarray(np.exp(_log_softmax(z)))


ACTIVATIONS: Mapping[str, Activate] = {
    "none": lambda z: z,
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "sigmoid": lambda z: (1 + np.tanh(z / 2)) / 2,
    "relu": lambda z: np.maximum(z, 0),
    "tanh": np.tanh,
}
BOTH_LAST = "the last step of both directions, such as y[:, -1] reads it"


def before(activation: registry.Activation, z: np.ndarray, d: np.ndarray) -> np.ndarray:
    """The gradient at the logits z (...,C) of sum(d * activation(z))."""
    p = _softmax(z)
    if activation == "softmax":
        return np.asarray(p * (d - (p * d).sum(axis=-1, keepdims=True)))
    if activation == "log_softmax":
        return np.asarray(d - p * d.sum(axis=-1, keepdims=True))
    return d


class Oracle:
    """The hidden states for x (B,T,D) or (B,T), the logits of the head, and the gradients."""

    def __init__(self, spec: ModelSpec, params: Params, x: np.ndarray) -> None:
        self.spec = spec
        self._params = params
        self.x = x
        self._found: dict[Readout, dict[str, np.ndarray]] = {}

    def expected(self, readout: Readout) -> np.ndarray:
        """Every state (B,T,F), or the last (B,F)."""
        return self._forward(readout)["outputs"]

    def _forward(self, readout: Readout) -> dict[str, np.ndarray]:
        """The outputs of a net without a head, and all last states."""
        if readout not in self._found:
            spec = replace(self.spec, readout=readout, output_size=None, loss="mse", dropout=0.0)
            params = {n: value for n, value in self._params.items() if n not in ("W_hy", "b_y")}
            model = registry.oracle().build(spec, params, device="cpu", dtype="float64")
            lead = self.x.shape[:2] if readout == "every_step" else self.x.shape[:1]
            placed = model.place(Batch(self.x, np.zeros((*lead, spec.logit_size))))
            self._found[readout] = model.to_host(model.forward(placed))
        return self._found[readout]

    def _last(self, kind: str, layer: int, directions: Sequence[str]) -> np.ndarray:
        """The last state "h" or "c" of a layer, its directions one behind the other (B,F)."""
        found = self._forward("last_step")
        return np.concatenate([found[f"l{layer}.{each}.{kind}"] for each in directions], axis=-1)

    def logits(self, states: np.ndarray) -> np.ndarray:
        """(...,C) of states (...,F)."""
        if self.spec.output_size is None:
            return states
        return np.asarray(states @ self._params["W_hy"] + self._params["b_y"])

    def gradients(self, readout: Readout, d: np.ndarray) -> Params:
        """Of sum(d * logits), by the names of the parameters: d (B,T,C) or (B,C)."""
        spec = replace(self.spec, readout=readout, loss="mse", dropout=0.0)
        model = registry.oracle().build(spec, self._params, device="cpu", dtype="float64")
        # The squared error is a mean over all C, steps and sequences; its gradient there is d.
        y = self.logits(self.expected(readout)) - d * d.size / 2
        found = model.to_host(model.bptt(model.place(Batch(self.x, y))))
        return {
            name.removeprefix("grad."): value
            for name, value in found.items()
            if name.startswith("grad.")
        }

    def others(self, readout: Readout) -> Iterator[tuple[str, np.ndarray]]:
        """What a net may read instead, with its name; the first is what is expected."""
        yield "", self.expected(readout)
        if self.spec.output_size is not None:
            for name in ("relu", "tanh"):
                yield f"{name} of the states", ACTIVATIONS[name](self.expected(readout))
        if readout == "every_step":
            return
        every, top = self.expected("every_step"), self.spec.num_layers - 1
        directions = ("fwd", "bwd") if self.spec.bidirectional else ("fwd",)
        if self.spec.bidirectional:
            yield BOTH_LAST, every[:, -1]
            yield (
                "the backward direction before the forward one",
                self._last("h", top, ("bwd", "fwd")),
            )
        if self.spec.cell == "lstm":
            yield "the state c instead of h", self._last("c", top, directions)
        for layer in range(top):
            yield f"the last state of layer {layer + 1}", self._last("h", layer, directions)
        yield "the mean over the steps", every.mean(axis=1)
        yield "the maximum over the steps", every.max(axis=1)
        yield "the sum over the steps", every.sum(axis=1)
        yield "the first step", every[:, 0]

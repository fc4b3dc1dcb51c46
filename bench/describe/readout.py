"""Which steps a net reads: its own outputs on random input beside those of the oracle."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product

import numpy as np

from backends import registry
from bench.correctness.tolerances import relative_error
from tasks.spec import Batch, ModelSpec, Params, Readout

BATCH, STEPS = 3, 5  # of the random input, where the net takes any
MORE_STEPS = 50  # once: some nets read a fixed step, or not all steps of many
BOUND = 1e-4  # of the relative error: the net computes in float32, the oracle in float64

Activate = Callable[[np.ndarray], np.ndarray]


def _softmax(z: np.ndarray) -> np.ndarray:
    each = np.exp(z - z.max(axis=-1, keepdims=True))
    return np.asarray(each / each.sum(axis=-1, keepdims=True))


ACTIVATIONS: Mapping[str, Activate] = {
    "none": lambda z: z,
    "softmax": _softmax,
    "log_softmax": lambda z: np.log(_softmax(z)),
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "relu": lambda z: np.maximum(z, 0),
    "tanh": np.tanh,
}
BOTH_LAST = "the last step of both directions, such as y[:, -1] reads it"


def settled(net: registry.Described) -> registry.Described:
    """The net with its readout, and with a softmax at its end that is no layer.

    Its own weights may hide what the net does: relu on outputs that are above zero anyhow, the mean
    over the steps beside a large bias. So the net is compared with random weights too, with those
    of its head as they are drawn and negated; it has those at the end.

    Raises NotDescribableError if the net computes something else; it names the cause if it is one
    that is known.
    """
    found = _compared(net, STEPS)
    if net.shaken is None:
        return found
    for negated, steps in ((False, STEPS), (True, STEPS), (True, MORE_STEPS)):
        other = _compared(net.shaken(negated), steps)
        if (other.spec, other.activation) != (found.spec, found.activation):
            raise registry.NotDescribableError(
                f"the net reads {_ending(found)} with its own weights and {_ending(other)} with "
                "others"
            )
    return found


def _ending(net: registry.Described) -> str:
    """ "every_step, softmax"."""
    ending = "" if net.activation == "none" else f", {net.activation}"
    return f"{net.spec.readout}{ending}"


def _compared(net: registry.Described, any_steps: int) -> registry.Described:
    spec, x = net.spec, _input(net, any_steps)
    try:
        outputs = net.outputs(x)
    except registry.NotDescribableError:
        raise
    except Exception as fault:  # whatever the user's code raises
        raise registry.NotDescribableError(
            f"the net raises {registry.first_line(fault)}, on an input of shape {x.shape}"
        ) from fault
    forms = list(_forms(outputs, x.shape[0], x.shape[1], spec.logit_size))
    if not forms:
        one = outputs.shape == (x.shape[1], spec.logit_size)
        why = ": it reads one sequence of the batch, or batch_first is missing" if one else ""
        raise registry.NotDescribableError(
            f"the net's outputs have the shape {outputs.shape} for an input of shape {x.shape}"
            f"{why}; expected (B, T, C) or (B, C), with C {spec.logit_size}"
        )
    found = _Oracle(spec, net.params, x)
    errors = []
    for (readout, given), activation in product(forms, _endings(net)):
        logits = found.logits(found.expected(readout))
        error = relative_error(given, ACTIVATIONS[activation](logits))
        if error <= BOUND:
            return replace(net, spec=replace(spec, readout=readout), activation=activation)
        errors.append(error)
    for readout, given in forms:
        if cause := _cause(found, readout, given):
            raise registry.NotDescribableError(
                f"the net's outputs are not those of its layers: it {cause}; expected the logits "
                "of every step, or of the state after the last"
            )
    raise registry.NotDescribableError(
        f"the net's outputs are not those of its layers: the relative error is {min(errors):.1e}, "
        f"expected at most {BOUND:g}; something that is no layer changes them"
    )


def _endings(net: registry.Described) -> Sequence[registry.Activation]:
    """The net's last layer; without one, a function of the framework may have done the same."""
    if net.activation == "none" and net.spec.logit_size > 1:
        return "none", "softmax", "log_softmax"
    return (net.activation,)


def _input(net: registry.Described, any_steps: int) -> np.ndarray:
    batch, spec = net.batch or BATCH, net.spec
    steps = net.steps or (any_steps if batch != any_steps else any_steps + 1)
    return registry.random_input((batch, steps), spec.vocab_size, spec.input_size, seed=1)


class _Oracle:
    """The hidden states of the numpy backend in float64, and its head."""

    def __init__(self, spec: ModelSpec, params: Params, x: np.ndarray) -> None:
        self.spec = spec
        self._params = params
        self._x = x
        self._states: dict[Readout, np.ndarray] = {}

    def _run(self, readout: Readout, x: np.ndarray) -> np.ndarray:
        """Every state (B,T,F), or the last (B,F)."""
        spec = replace(self.spec, readout=readout, output_size=None, loss="mse", dropout=0.0)
        params = {n: value for n, value in self._params.items() if n not in ("W_hy", "b_y")}
        model = registry.load("numpy").build(spec, params, device="cpu", dtype="float64")
        lead = x.shape[:2] if readout == "every_step" else x.shape[:1]
        placed = model.place(Batch(x, np.zeros((*lead, spec.logit_size))))
        return model.to_host(model.forward(placed))["outputs"]

    def expected(self, readout: Readout) -> np.ndarray:
        if readout not in self._states:
            self._states[readout] = self._run(readout, self._x)
        return self._states[readout]

    def logits(self, states: np.ndarray) -> np.ndarray:
        """(...,C) of states (...,F)."""
        if self.spec.output_size is None:
            return states
        return np.asarray(states @ self._params["W_hy"] + self._params["b_y"])

    def others(self, readout: Readout) -> Iterator[tuple[str, np.ndarray]]:
        """What a net may read instead, with its name; the first is what is expected."""
        yield "", self.expected(readout)
        if self.spec.output_size is not None:
            for name in ("relu", "tanh"):
                yield f"{name} of the states", ACTIVATIONS[name](self.expected(readout))
        if readout == "every_step":
            return
        every = self.expected("every_step")
        if self.spec.bidirectional:
            yield BOTH_LAST, every[:, -1]
        yield "the mean over the steps", every.mean(axis=1)
        yield "the maximum over the steps", every.max(axis=1)
        yield "the sum over the steps", every.sum(axis=1)
        yield "the first step", every[:, 0]


def _cause(oracle: _Oracle, readout: Readout, given: np.ndarray) -> str:
    """What the net does with the hidden states, in words; empty if it is none of what is tried."""
    for read, states in oracle.others(readout):
        for name, activate in ACTIVATIONS.items():
            if given.shape[-1] == 1 and "softmax" in name:
                continue  # a constant
            if relative_error(given, activate(oracle.logits(states))) <= BOUND:
                parts = [f"reads {read}"] if read else []
                parts += [f"puts {name} on its outputs"] if name != "none" else []
                return " and ".join(parts)
    return ""


def _forms(
    outputs: np.ndarray, batch: int, steps: int, classes: int
) -> Iterator[tuple[Readout, np.ndarray]]:
    """The outputs as (B,T,C) or (B,C), in every way in which their shape can be meant."""
    if classes == 1 and outputs.shape[-1:] != (1,):
        outputs = outputs[..., None]  # without the axis of a single output
    shape = outputs.shape
    if shape == (batch, steps, classes):
        yield "every_step", outputs
    if shape == (steps, batch, classes):
        yield "every_step", outputs.swapaxes(0, 1)
    if shape == (batch, classes, steps):
        yield "every_step", outputs.swapaxes(1, 2)
    if shape == (batch * steps, classes):
        yield "every_step", outputs.reshape(batch, steps, classes)
        yield "every_step", outputs.reshape(steps, batch, classes).swapaxes(0, 1)
    if shape in ((batch, classes), (1, batch, classes), (batch, 1, classes)):
        yield "last_step", outputs.reshape(batch, classes)

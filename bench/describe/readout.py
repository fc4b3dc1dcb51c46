"""Which steps a net reads: its own outputs on random input beside those of the oracle."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product

import numpy as np

from backends import registry
from bench.correctness.tolerances import norm, relative_error
from bench.describe.oracle import ACTIVATIONS, Oracle, before
from tasks.spec import Readout

STEPS = 5  # of the random input, where the net takes any
MORE_STEPS = 50  # once: some nets read a fixed step, or not all steps of many
BOUND = 1e-4  # of the relative error: the net computes in float32, the oracle in float64
# Of that of a gradient: one that is cut, scaled or clipped is off by far more. An input of relu
# near zero may be on its other side in float32, and the gradients behind it are others.
GRADIENT_BOUND, GRADIENT_BOUND_OF_RELU = 1e-3, 2e-2
SMALL = 1e-4  # of the largest gradient: the error of a smaller one is relative to that
# All ids are tried, in batches of so many; no more than these batches, and no more than so many
# products with weights. A batch has no more outputs than these.
IDS, ID_BATCHES, PRODUCTS, OUTPUTS = 4096, 50, 1e10, 4_000_000
ID_STEPS = 7


def settled(net: registry.Described) -> registry.Described:
    """The net with its readout, and with a softmax at its end that is no layer.

    Its own weights may hide what the net does: relu on outputs that are above zero anyhow, the mean
    over the steps beside a large bias. So the net is compared with random weights too, with those
    of its head as they are drawn and negated; it has those at the end. Its gradients are compared
    with random weights alone: those behind a softmax that is sure are lost in float32.

    Raises NotDescribableError if the net computes something else, or has other gradients; it names
    the cause if it is one that is known.
    """
    own = net if net.shaken is None else replace(net, gradients=None)
    found = _compared(own, _input(net, STEPS))
    if found.head_on_all and found.spec.readout == "last_step":
        note = (
            "the net's head computes every step, of which the net returns the last; that of the "
            "workload computes the last alone"
        )
        found = replace(found, notes=(*found.notes, note))
    if net.shaken is None:
        return found
    for negated, steps in ((False, STEPS), (True, STEPS), (True, MORE_STEPS)):
        _expect_same(found, net.shaken(negated), _input(net, steps))
    return _with_every_id(found, net.shaken(False))


def _expect_same(found: registry.Described, shaken: registry.Described, x: np.ndarray) -> None:
    """`found` is the net with its own weights."""
    other = _compared(shaken, x)
    if (other.spec, other.activation) != (found.spec, found.activation):
        raise registry.NotDescribableError(
            f"the net reads {_ending(found)} with its own weights and {_ending(other)} with others"
        )


def _with_every_id(found: registry.Described, shaken: registry.Described) -> registry.Described:
    """Compare the net on each id of its vocabulary, if it has one; note those that are too many."""
    vocab = found.spec.vocab_size
    if vocab is None:
        return found
    steps = found.steps or (ID_STEPS if found.batch is None else MORE_STEPS)
    each = sum(value.size for name, value in found.params.items() if name != "E")
    most = min(vocab, int(PRODUCTS / each))
    at_once = min(most, IDS, OUTPUTS // found.spec.logit_size)
    shape = registry.probe_shape((found.batch, steps), max(-(-at_once // steps), 3), steps)
    size = shape[0] * shape[1]
    batches = max(min(-(-most // size), ID_BATCHES), 1)
    rng = np.random.default_rng(1)
    for first in range(0, batches * size, size):
        ids = rng.permutation(np.arange(first, first + size) % vocab)
        try:
            _expect_same(found, shaken, ids.reshape(shape))
        except registry.NotDescribableError as error:
            raise registry.NotDescribableError(
                f"{error}; so it is for the ids from {first % vocab} to "
                f"{min(first + size, vocab) - 1}, one of which may stand for padding"
            ) from error
    if batches * size >= vocab:
        return found
    note = (
        f"{batches * size} of the {vocab} ids were tried: code that treats another one apart, such "
        "as padding, is not seen"
    )
    return replace(found, notes=(*found.notes, note))


def _ending(net: registry.Described) -> str:
    """ "every_step, softmax"."""
    ending = "" if net.activation == "none" else f", {net.activation}"
    return f"{net.spec.readout}{ending}"


def _compared(net: registry.Described, x: np.ndarray) -> registry.Described:
    """The net with its readout and what ends it, on x (B,T,D) or (B,T)."""
    spec = net.spec
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
    oracle = Oracle(spec, net.params, x)
    errors = []
    for (number, (readout, given)), activation in product(enumerate(forms), _endings(net)):
        logits = oracle.logits(oracle.expected(readout))
        error = relative_error(given, ACTIVATIONS[activation](logits))
        if error <= BOUND:
            _expect_gradients(net, oracle, outputs, number, activation)
            return replace(net, spec=replace(spec, readout=readout), activation=activation)
        errors.append(error)
    for readout, given in forms:
        if cause := _cause(oracle, readout, given):
            raise registry.NotDescribableError(
                f"the net's outputs are not those of its layers: it {cause}; expected the logits "
                "of every step, or of the state after the last"
            )
    raise registry.NotDescribableError(
        f"the net's outputs are not those of its layers: the relative error is {min(errors):.1e}, "
        f"expected at most {BOUND:g}; something that is no layer changes them"
    )


def _expect_gradients(
    net: registry.Described,
    oracle: Oracle,
    outputs: np.ndarray,
    form: int,
    activation: registry.Activation,
) -> None:
    """Raise where the net's gradients are not those of its layers; `form` numbers `_forms`."""
    if net.gradients is None:
        return
    x, spec = oracle.x, net.spec
    d = np.random.default_rng(2).standard_normal(outputs.shape)
    given = net.gradients(x, d)
    readout, in_form = [*_forms(d, x.shape[0], x.shape[1], spec.logit_size)][form]
    logits = oracle.logits(oracle.expected(readout))
    expected = oracle.gradients(readout, before(activation, logits, in_form))
    largest = max(map(norm, expected.values()))
    for name, ref in expected.items():
        if norm(ref) > SMALL * largest and not given[name].any():
            raise registry.NotDescribableError(
                f"no gradient reaches {name}: something such as stop_gradient or detach cuts it"
            )
    relu = spec.cell == "rnn_relu"
    bound = GRADIENT_BOUND_OF_RELU if relu else GRADIENT_BOUND
    by_row = () if relu else ("E",)
    error, name = max(
        (_error(given[n], ref, SMALL * largest, n in by_row), n) for n, ref in expected.items()
    )
    if error > bound:
        raise registry.NotDescribableError(
            f"the net's gradients are not those of its layers: the relative error of {name} is "
            f"{error:.1e}, expected at most {bound:g}; something such as stop_gradient, detach or "
            "a hook changes them"
        )


def _error(given: np.ndarray, ref: np.ndarray, small: float, by_row: bool) -> float:
    """The relative error of a gradient, or the largest of its rows."""
    if by_row:
        rows = np.linalg.norm(ref, axis=1)
        scale = np.maximum(rows, max(SMALL * rows.max(), small))
        return float((np.linalg.norm(given - ref, axis=1) / np.where(scale, scale, 1.0)).max())
    scale = max(norm(ref), small)
    return norm(given - ref) / scale if scale else norm(given)


def _endings(net: registry.Described) -> Sequence[registry.Activation]:
    """The net's last layer; without one, a function of the framework may have done the same."""
    if net.activation == "none" and net.spec.logit_size > 1:
        return "none", "softmax", "log_softmax"
    return (net.activation,)


def _input(net: registry.Described, any_steps: int) -> np.ndarray:
    shape = registry.probe_shape((net.batch, net.steps), any_steps=any_steps)
    return registry.random_input(shape, net.spec.vocab_size, net.spec.input_size, seed=1)


def _cause(oracle: Oracle, readout: Readout, given: np.ndarray) -> str:
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

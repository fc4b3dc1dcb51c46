"""One variant, one example: every tensor of every call, against the oracle."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from backends.interface import PHASES
from bench import agreement, record
from bench.agreement import Reference, Tensors
from bench.check.condition import Known, known, pair
from bench.check.example import Example
from bench.check.subject import Subject
from bench.wire import pack, pack_batch, unpack
from tasks.spec import Batch, ModelSpec, OptimizerSpec, Params

# Powers of two: the same in a framework that holds them in float32. With eps so large its
# placement shows in every parameter.
ADAM = OptimizerSpec("adam", learning_rate=2.0**-7, eps=2.0**-10)
SGD = OptimizerSpec("sgd", learning_rate=2.0**-5)
TRAIN_STEPS = 50

# What was given is held as it is; both were rounded to the dtype before.
HELD = 1e-16


def examine(
    subject: Subject, example: Example, dtype: str, phases: tuple[str, ...]
) -> list[record.Agreement]:
    """Compare all that forward and bptt give, as far as they are among `phases`.

    Asked twice; then with new parameters and a new batch; then with parameters that are loaded
    when the batch is placed already. Raises ValueError for an example that is not
    well-conditioned.
    """
    both = pair(example, dtype)
    if isinstance(both, str):
        raise ValueError(f"{example.code()} can tell nothing: {both}")
    first, other = both
    ask = partial(subject.ask, dtype)
    optimizer = ADAM if "train_step" in phases else None
    build(subject, example.spec, first.params, first.batch, dtype, optimizer)
    asked = tuple(phase for phase in ("forward", "bptt") if phase in phases)
    rolled = dataclasses.replace(first.batch, x=np.roll(first.batch.x, 1, axis=1))
    found: list[record.Agreement] = []
    for when in ("", "asked again"):
        found += [_answer(ask, example, first, phase, when) for phase in asked]
    found.append(_held(ask, first))
    _renew(ask, other, other)
    found += [_answer(ask, example, other, phase, "on new parameters") for phase in asked]
    for phase in asked:
        actual = unpack(ask("read_late", phase=phase, params=pack(first.params)))
        when = "read after other parameters were loaded"
        found.append(_compared(example, other, phase, actual, when))
        _renew(ask, first, other)
        others, params = [pack_batch(rolled)], pack(other.params)
        actual = unpack(ask("loaded", phase=phase, params=params, others=others))
        when = "with parameters loaded after the batch was placed"
        found.append(_compared(example, other, phase, actual, when))
    ask("release")
    return found


def examine_training(
    subject: Subject, dtype: str, optimizer: OptimizerSpec, example: Example
) -> list[record.Agreement]:
    """Loss at each of TRAIN_STEPS updates, parameters after them; again from `load`."""
    start = known(example, dtype)
    if isinstance(start, str):
        raise ValueError(f"{example.code()} can tell nothing: {start}")
    declared = subject.consult("optimizer", optimizer)
    expected = curve(example, dtype, declared)
    build(subject, example.spec, start.params, start.batch, dtype, optimizer)
    found = []
    for when in (f"{optimizer.name}", f"{optimizer.name}, loaded again"):
        losses, params = subject.ask(dtype, "train", steps=TRAIN_STEPS)
        actual = agreement.curve(losses, unpack(params))
        found.append(agreement.compare(expected, "train_step", actual, when))
        _renew(partial(subject.ask, dtype), start, start)
    subject.ask(dtype, "release")
    return found


def curve(example: Example, dtype: str, optimizer: OptimizerSpec) -> Reference:
    """The oracle's TRAIN_STEPS updates."""
    start = known(example, dtype)
    assert not isinstance(start, str)
    return agreement.training_reference(
        example.spec, start.params, start.batch, optimizer, dtype, TRAIN_STEPS
    )


def build(
    subject: Subject,
    spec: ModelSpec,
    params: Params,
    batch: Batch,
    dtype: str,
    optimizer: OptimizerSpec | None = None,
) -> None:
    subject.ask(
        dtype,
        "build",
        spec=dataclasses.asdict(spec),
        params=pack(params),
        batch=pack_batch(batch),
        device=subject.device,
        dtype=dtype,
        optimizer=dataclasses.asdict(optimizer) if optimizer else None,
    )


def _held(ask: Any, start: Known) -> record.Agreement:
    """Does `params` give what `build` was given, now that it was used?"""
    _, packed = ask("train", steps=0)
    given, came = (
        {f"parameter {name}": value for name, value in params.items()}
        for params in (start.params, unpack(packed))
    )
    expected = Reference(start.expected.dtype, given, dict.fromkeys(given, HELD))
    return agreement.compare(expected, "train_step", came, "given by params()")


def _renew(ask: Any, params: Known, batch: Known) -> None:
    ask("renew", params=pack(params.params), batch=pack_batch(batch.batch))


def _answer(ask: Any, example: Example, start: Known, phase: str, when: str) -> record.Agreement:
    _, packed = ask("answer", phase=phase)
    return _compared(example, start, phase, unpack(packed), when)


def _compared(
    example: Example, start: Known, phase: str, actual: Tensors, when: str
) -> record.Agreement:
    kinds = ("loss", "gradients") if phase == "bptt" else ()
    actual = agreement.with_loss(example.spec, actual, start.batch)
    return agreement.compare(start.expected, phase, actual, when, kinds)


def offered(subject: Subject, spec: ModelSpec, dtype: str) -> Mapping[str, str | None]:
    """By phase: why it is refused, or None."""
    return {
        phase: subject.consult("refusal", spec, device=subject.device, dtype=dtype, phase=phase)
        for phase in PHASES
    }

"""The workload file of a net that was read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

from bench.config.fields import OPTIMIZERS, SIZES
from bench.describe.process import Description
from bench.describe.target import split
from tasks.spec import Loss

BATCH, STEPS = 32, 50  # where neither the net nor the user says them


@dataclass(frozen=True)
class Choices:
    """What the user says of the net, where its code does not. None: nothing."""

    batch: int | None = None
    steps: int | None = None
    loss: str | None = None
    optimizer: str | None = None


@dataclass(frozen=True)
class _Line:
    option: str
    value: Any
    assumed: str = ""  # why the value is none that was read


def render(net: Description, choices: Choices, weights: str = "") -> str:
    """The file, for a net and what the user says of it; `weights` names the file of its weights.

    Raises ValueError where the user contradicts the net, or a workload has no such loss.
    """
    lines = [*_model(net), *_batch(net, choices), *_training(net, choices)]
    if weights:
        lines.append(_Line("weights", weights))
    written = [f"# {net.target}, as `rnnbench describe` reads it."]
    written += [f"# note: {note}" for note in notes(net)]
    written += ["", "[[workload]]", f"name = {json.dumps(_name(net.target))}"]
    for each in lines:
        value = f"{each.option} = {json.dumps(each.value, ensure_ascii=False)}"
        written.append(f"{value:<32}# assumed: {each.assumed}" if each.assumed else value)
    return "\n".join(written) + "\n"


def notes(net: Description) -> Iterator[str]:
    """What differs between the net and the workload, each in a sentence."""
    if net.activation != "none":
        yield (
            f"the net ends with {net.activation}; the workload reads the logits before it, and its "
            "loss contains the softmax"
        )
    if net.optimizer is not None and net.optimizer not in OPTIMIZERS:
        yield f"the net's optimizer is {net.optimizer}; adam stands in for it"
    yield from net.notes


def _name(target: str) -> str:
    """The net's name, as a workload may have it."""
    name = re.sub(r"[^A-Za-z0-9_.-]", "-", split(target)[1]).lstrip("_.-") or "net"
    return f"{name}-net" if name in SIZES else name


def _model(net: Description) -> Iterator[_Line]:
    spec = net.spec
    yield _Line("cell", spec.cell)
    if spec.vocab_size is not None:
        yield _Line("vocab", spec.vocab_size)
    yield _Line("input", spec.input_size)
    yield _Line("hidden", spec.hidden_size)
    yield _Line("layers", spec.num_layers)
    if spec.bidirectional:
        yield _Line("bidirectional", True)
    if spec.dropout:
        yield _Line("dropout", spec.dropout)
    yield _Line("classes", spec.output_size or 0)
    yield _Line("readout", spec.readout)
    if not spec.bias:
        yield _Line("no-bias", True)
    if not spec.train_embedding:
        yield _Line("frozen-embedding", True)


def _batch(net: Description, choices: Choices) -> Iterator[_Line]:
    for option, letter, fixed, chosen, default in (
        ("batch", "B", net.batch, choices.batch, BATCH),
        ("steps", "T", net.steps, choices.steps, STEPS),
    ):
        if fixed is not None and chosen not in (None, fixed):
            raise ValueError(
                f"--{option} {chosen}: {net.target} has {letter} = {fixed}; expected that or no "
                f"--{option}"
            )
        if fixed is not None:
            yield _Line(option, fixed)
        elif chosen is not None:
            yield _Line(option, chosen, f"the net takes any {letter}; --{option} asks for this one")
        else:
            yield _Line(option, default, f"the net takes any {letter}")


def _training(net: Description, choices: Choices) -> Iterator[_Line]:
    loss, why = net.loss or "", ""
    if choices.loss is not None:
        loss, why = choices.loss, "--loss asks for it"
    elif net.loss is None:
        loss = "mse" if net.spec.logit_size == 1 else "cross_entropy"
        why = "the net's code does not name a loss"
    if loss not in get_args(Loss):
        raise ValueError(
            f"{net.target} cannot be described: its loss is {loss}; expected "
            f"{' or '.join(get_args(Loss))}, or --loss to measure it with another"
        )
    if net.activation != "none" and loss != "cross_entropy":
        raise ValueError(
            f"{net.target} cannot be described: it ends with {net.activation} and has the loss "
            f"{loss}; expected cross_entropy behind it"
        )
    yield _Line("loss", loss, why)
    optimizer, why = net.optimizer or "", ""
    if choices.optimizer is not None:
        optimizer, why = choices.optimizer, "--optimizer asks for it"
    elif net.optimizer is None:
        optimizer, why = OPTIMIZERS[0], "the net's code does not name an optimizer"
    elif net.optimizer not in OPTIMIZERS:
        optimizer, why = OPTIMIZERS[0], f"it stands in for {net.optimizer}"
    yield _Line("optimizer", optimizer, why)

"""What the options of a model must be to each other. Each raises ValueError."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import psutil

from bench.records.workload import ITEM_BYTES
from tasks.inputs import InputOptions
from tasks.memory import step_bytes
from tasks.spec import Batch, ModelSpec
from tasks.task import Size, Task


def expect_same(chosen: Mapping[str, Any], table: Mapping[str, int]) -> None:
    """Raise ValueError where an option and the given embedding differ."""
    for name, size in table.items():
        if chosen.get(name, size) != size:
            raise ValueError(
                f"--{name} is {chosen[name]}; expected {size}, as the given embedding has it"
            )


def expect_effect(task: Task, spec: ModelSpec, chosen: Mapping[str, Any]) -> None:
    """Raise ValueError for an option that changes nothing in this model."""
    if spec.dropout and spec.num_layers == 1:
        raise ValueError("dropout is between layers; expected at least 2 layers (--layers)")
    if chosen.get("frozen_embedding") and spec.vocab_size is None:
        instead = _instead(task, "vocab_size", "--vocab beside it")
        raise ValueError(f"there is no embedding to freeze; expected {instead}")
    needless = {
        "time_reduction": "has nothing to reduce over time (--time-reduction)",
        "weighted": "has no weights (--weighted)",
    }
    for name, why in needless.items():
        if chosen.get(name) and spec.readout == "last_step":
            instead = _instead(task, "readout", "every step to be read (--readout=every_step)")
            raise ValueError(f"the loss of the last step alone {why}; expected {instead}")


def _instead(task: Task, field_: str, otherwise: str) -> str:
    """What a message advises: not an option that the task does not take."""
    return "--task=custom" if field_ in task.sets else otherwise


def expect_outputs(spec: ModelSpec, batch: Batch) -> None:
    """Raise ValueError where a label has no output."""
    if spec.loss != "cross_entropy" or batch.y.max() < spec.logit_size:
        return
    outputs = "without a head the outputs are F" if spec.output_size is None else "there are C"
    raise ValueError(
        f"the labels go up to {batch.y.max()}, and {outputs} = {spec.logit_size}; expected at "
        f"least {batch.y.max() + 1} (--classes, or --classes=0 and --hidden)"
    )


def expect_room(
    spec: ModelSpec,
    size: Size,
    asked: Sequence[tuple[str, str | None]],
    dtypes: Sequence[str],
    candidates: int,
) -> None:
    """Raise ValueError if the arrays of the oracle and of all candidates do not fit into memory.

    `asked` are phases, each with the name of its optimizer; `candidates` are those on the host.
    """
    about = (spec, size.batch, size.steps)
    item = max(ITEM_BYTES.get(dtype, 4) for dtype in dtypes)
    # The oracle computes gradients in every phase.
    oracle = max(step_bytes(*about, phase, 8, name) for phase, name in [("bptt", None), *asked])
    each = max(step_bytes(*about, phase, item, name) for phase, name in asked)
    needed, there = oracle + candidates * each, psutil.virtual_memory().total
    if needed > there:
        processes = "process" if candidates == 1 else "processes"
        raise ValueError(
            f"it needs at least {needed:,} bytes of memory ({oracle:,} to compute the reference, "
            f"{each:,} in each of {candidates} {processes}); this machine has {there:,}"
        )


def expect_carrying(
    spec: ModelSpec,
    size: Size,
    inputs: InputOptions,
    vary: Sequence[int],
    *,
    streams: bool,
    stateful: bool,
) -> None:
    """Raise ValueError where a state that is carried makes no sense, or cannot be compared."""
    given = {"--lengths": inputs.lengths, "--steps-vary": vary, "--dropout": spec.dropout}
    for which in (option for option, value in given.items() if value):
        if stateful:
            raise ValueError(f"--stateful carries the state on; expected no {which} beside it")
        if streams and which != "--dropout":  # which acts in training alone
            raise ValueError(f"a stream takes one step a call; expected no {which} in phase stream")
    if streams and size.steps < 2:
        raise ValueError("a stream carries its state from step to step; expected at least 2 steps")


def expect_forward_in_float32(task: Task, phases: Sequence[str], dtypes: Sequence[str]) -> None:
    """Raise ValueError where denormal inputs have no rule of agreement."""
    if task.sets:
        raise ValueError(f"the inputs of {task.name} are its own; expected --task=custom")
    if {*phases} != {"forward"} or {*dtypes} != {"float32"}:
        raise ValueError(
            "denormal inputs are measured in forward and float32 alone; expected "
            "--phase=forward --dtype=float32"
        )

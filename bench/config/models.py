"""The models that a grid asks for: a task at a size, with the changes from the options."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.config import given_params, selection
from bench.config.expectations import (
    expect_carrying,
    expect_effect,
    expect_forward_in_float32,
    expect_outputs,
    expect_room,
    expect_same,
)
from bench.config.fields import MODEL, option
from bench.config.phases import STREAM
from bench.config.request import Request, optimizers, place
from bench.records.workload import LEARN, LETTERS, GivenFile
from tasks import TASKS
from tasks.batch import check_batch
from tasks.inputs import PADDINGS, InputOptions, make_batch
from tasks.spec import ModelSpec
from tasks.task import Size, Task
from tasks.training import OwnTraining

# Options that set a field of ModelSpec: the field, and the value for it.
_SPEC: Mapping[str, str] = {
    "cell": "cell",
    "input": "input_size",
    "hidden": "hidden_size",
    "layers": "num_layers",
    "vocab": "vocab_size",
    "classes": "output_size",
    "readout": "readout",
    "loss": "loss",
    "time_reduction": "time_reduction",
    "no_bias": "bias",
    "frozen_embedding": "train_embedding",
    "bidirectional": "bidirectional",
    "dropout": "dropout",
}
_NEGATED = ("no_bias", "frozen_embedding")
_INPUTS = ("initial_state", "weighted", "values", "lengths", "padding")


@dataclass(frozen=True)
class Model:
    """A task at a size, with the changes from the options."""

    task: Task
    numbers: Size
    spec: ModelSpec
    inputs: InputOptions
    weights: GivenFile | None
    embedding: GivenFile | None
    shown: frozenset[str]  # what its label shows without being asked
    steps_vary: tuple[int, ...] = ()
    stateful: bool = False
    updates: int = 0  # to learn; 0: those of the target


def models(request: Request, candidates: int) -> Iterator[Model]:
    known = {size for name in request.tasks for size in request.task(name).sizes}
    unknown = [size for size in request.sizes if size not in known]
    if unknown:
        raise ValueError(
            f"{place(request)}size {unknown[0]!r} is unknown; {' and '.join(request.tasks)} "
            f"{'have' if len(request.tasks) > 1 else 'has'} {', '.join(sorted(known))}"
        )
    asked = dict(request.model)
    if asked.get("lengths"):
        # Whether lengths pay is seen beside the same sequences without them.
        asked.setdefault("padding", PADDINGS)
    for task in selection.tasks(request):
        own = replace(request, phases=selection.phases(task, request.phases))
        sizes = selection.sizes(task, request.sizes, own.phases) if own.phases else []
        of_target = task.target.cell if task.target and LEARN in own.phases else None
        values_of = ({"cell": (of_target,)} if of_target else {}) | asked
        given = [name for name in MODEL if values_of.get(name)]
        for size, *values in itertools.product(sizes, *(values_of[name] for name in given)):
            chosen = dict(zip(given, values, strict=True))
            yield _checked(task, size, chosen, own, candidates)
            if steps := chosen.pop("steps_vary", ()):
                # What it costs that T varies is seen beside the largest T alone.
                fixed = {**chosen, "steps": steps[-1]}
                yield _checked(task, size, fixed, own, candidates, beside=True)


def _checked(
    task: Task,
    size: str,
    chosen: Mapping[str, Any],
    request: Request,
    candidates: int,
    *,
    beside: bool = False,
) -> Model:
    """The model, with a batch that fits it and memory that holds it.

    `beside` marks one with the largest T of a model whose T varies.
    """
    try:
        model = model_of(task, size, chosen, request, beside)
        asked = [
            (phase, optimizer.name if optimizer else None)
            for phase in request.phases
            for optimizer in optimizers(request, phase, task)
        ]
        on_host = candidates if "cpu" in request.devices else 0
        expect_room(model.spec, model.numbers, asked, request.dtypes, on_host)
        about = model.spec, model.numbers, model.inputs, model.steps_vary
        expect_carrying(*about, streams=STREAM in request.phases, stateful=model.stateful)
        if model.weights is not None:
            given_params.check(model.spec, chosen["weights"], model.weights)
        batch = make_batch(task, model.numbers, model.spec, model.inputs, seed=0)
        expect_outputs(model.spec, batch)
        check_batch(model.spec, batch)
        if LEARN in request.phases and isinstance(task, OwnTraining):
            task.training(model.numbers, 0, model.spec)
    except (ValueError, OverflowError, MemoryError) as error:
        why = str(error) or "it does not fit into memory"
        raise ValueError(
            f"{place(request)}{task.name} cannot be made at {_asked(size, chosen)}: {why}"
        ) from error
    return model


def _asked(size: str, chosen: Mapping[str, Any]) -> str:
    """ "base+T20+classes3+bidirectional": what was asked, for a message."""
    words = [size]
    for name, value in chosen.items():
        if isinstance(value, bool):
            words += [option(name)] if value else []
        elif name != "cell":
            shown = value.name if isinstance(value, Path) else value
            words.append(f"{LETTERS.get(name) or option(name)}{shown}")
    return "+".join(words)


def model_of(
    task: Task, size: str, chosen: Mapping[str, Any], request: Request, beside: bool
) -> Model:
    for name in chosen:
        if _SPEC.get(name) in task.sets or (name == "embedding" and "vocab_size" in task.sets):
            raise ValueError(
                f"{task.name} has its own; expected no --{option(name)}, or another task: "
                f"{_others(name)}"
            )
    embedding, table = None, {}
    if "embedding" in chosen:
        embedding, (rows, columns) = given_params.read_embedding(chosen["embedding"])
        table = {"vocab": rows, "input": columns}
        expect_same(chosen, table)
    fields = {_SPEC[name]: _value(name, v) for name, v in {**chosen, **table}.items()
              if name in _SPEC}  # fmt: skip
    vary = chosen.get("steps_vary", ())
    if vary and LEARN in request.phases:
        raise ValueError("a net learns with one T; expected no --steps-vary beside --phase=learn")
    if vary and ("steps" in chosen or "lengths" in chosen):
        raise ValueError("--steps-vary sets T; expected no --steps and no --lengths beside it")
    changed = {name: chosen[name] for name in ("batch", "steps") if name in chosen}
    numbers = task.sizes[size].with_overrides(**changed | ({"steps": vary[-1]} if vary else {}))
    spec = task.spec(numbers, **fields)
    expect_effect(task, spec, chosen)
    inputs = InputOptions(**{name: chosen[name] for name in _INPUTS if name in chosen})
    if "padding" in chosen and not inputs.lengths:
        raise ValueError("without lengths there is no padding; expected --lengths beside --padding")
    if inputs.values == "denormal":
        expect_forward_in_float32(task, request.phases, request.dtypes)
    weights = None
    if "weights" in chosen:
        if embedding is not None:
            raise ValueError("--weights holds the embedding, too; expected no --embedding")
        weights = given_params.read_weights(chosen["weights"])
    # Two models under one label would be taken for the same.
    added = spec.output_size is not None and task.spec(size).output_size is None
    return Model(
        *(task, numbers, spec, inputs, weights, embedding),
        shown=frozenset(
            name
            for name, holds in {
                "classes": added,
                "padding": inputs.padding == "front",
                "steps_vary": vary,
                "steps": beside,
            }.items()
            if holds
        ),
        steps_vary=vary,
        stateful=chosen.get("stateful", False),
        updates=chosen.get("updates", 0),
    )


def _others(name: str) -> str:
    """The tasks in which an option means something."""
    field_ = _SPEC.get(name, "vocab_size")
    return ", ".join(task.name for task in TASKS.values() if field_ not in task.sets)


def _value(name: str, value: Any) -> Any:
    """That of the field of ModelSpec."""
    if name in _NEGATED:
        return not value
    return value or None if name == "classes" else value

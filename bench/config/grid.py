"""The workloads of a run: task x size x model x phase x device x dtype x threads."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

from bench.config import selection
from bench.config.models import models
from bench.config.request import DEFAULT_OPTIMIZER as DEFAULT_OPTIMIZER
from bench.config.request import Request as Request
from bench.config.request import optimizers, place
from bench.records.workload import LEARN, Workload


def workloads(request: Request, candidates: int = 1) -> Iterator[Workload]:
    """Every workload once, phase by phase, in the order of the options.

    `candidates` is the number of models that are held at once. Raises ValueError, naming the task,
    for a size that it does not have or that is impossible, and where `left_out` leaves nothing.
    """
    found: dict[tuple[str, int], Workload] = {}
    for one in (request, *request.more):
        of_one = [each for grid in _grids(one) for each in _grid(grid, candidates)]
        if not of_one:
            raise ValueError("; ".join(left_out(replace(one, more=()))))
        for workload in of_one:
            same = found.setdefault((workload.id, workload.threads), workload)
            if same != workload:
                raise ValueError(
                    f"two workloads are called {workload.id}, and are not the same; expected "
                    "another name for one of them"
                )
    yield from found.values()


def left_out(request: Request) -> list[str]:
    """The tasks that lack a size or phase which is asked for, and what to do about it."""
    return [
        f"{place(one)}{text}"
        for each in (request, *request.more)
        for one in _grids(each)
        for text in selection.left_out(one)
    ]


def _grids(request: Request) -> Iterator[Request]:
    """The grid, and apart from it that of `learn`, whose sizes and cells are those of targets."""
    others = [phase for phase in request.phases if phase != LEARN]
    if others:
        model = {name: given for name, given in request.model.items() if name != "updates"}
        yield replace(request, phases=others, model=model)
    if LEARN in request.phases:
        model = {name: given for name, given in request.model.items() if name != "stateful"}
        yield replace(request, phases=[LEARN], model=model)


def _grid(request: Request, candidates: int) -> Iterator[Workload]:
    found = list(models(request, candidates))
    for phase in request.phases:
        of_models = [
            (model, optimizer)
            for model in found
            if selection.phases(model.task, [phase])
            for optimizer in optimizers(request, phase, model.task)
        ]
        for (model, optimizer), device, dtype, threads in itertools.product(
            of_models, request.devices, request.dtypes, request.threads
        ):
            hidden = {"cell"} if phase == "train_step" else {"cell", "optimizer", "stateful"}
            hidden |= {"padding", "steps_vary"} - model.shown
            hidden |= set() if phase == LEARN else {"updates"}
            yield Workload(
                phase=phase,
                task=model.task.name,
                shape="many-to-one" if model.spec.readout == "last_step" else model.task.shape,
                size=model.numbers.name,
                spec=model.spec,
                batch=model.numbers.batch,
                steps=model.numbers.steps,
                steps_vary=model.steps_vary,
                updates=model.updates,
                device=device,
                dtype=dtype,
                threads=threads,
                optimizer=optimizer,
                given_name=request.given_name,
                stateful=model.stateful and optimizer is not None,
                inputs=model.inputs,
                weights=model.weights,
                embedding=model.embedding,
                data=request.data,
                overridden=tuple(sorted((request.shown | model.shown) - hidden)),
            )

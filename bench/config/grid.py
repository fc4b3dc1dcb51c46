"""The workloads of a run: task x size x model x phase x device x dtype x threads."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.records.workload import LETTERS, Workload
from tasks import TASKS
from tasks.spec import ModelSpec, OptimizerSpec, check_batch
from tasks.task import Size, Task

# The default sizes. The note of hihello has a single sequence, so its default is "source".
DEFAULT_SIZE = "base"
DEFAULT_SIZES = {"hihello": "source"}
OPTIMIZERS: tuple[Literal["adam", "sgd"], ...] = ("adam", "sgd")
DEFAULT_OPTIMIZER = OPTIMIZERS[0]
# A power of two near the notes' 0.001: exact both in frameworks that keep it in float32 and in
# those that keep it in float64.
LEARNING_RATE = 2.0**-10


@dataclass(frozen=True)
class Request:
    """The options of a grid; None or an empty list means the default of each task."""

    tasks: Sequence[str]
    phases: Sequence[str]
    devices: Sequence[str]
    dtypes: Sequence[str]
    threads: Sequence[int]
    cells: Sequence[str] = ()
    sizes: Sequence[str] = ()
    batch: Sequence[int] = ()
    steps: Sequence[int] = ()
    input: Sequence[int] = ()
    hidden: Sequence[int] = ()
    layers: Sequence[int] = ()
    bidirectional: bool = False
    dropout: float = 0.0
    threads_named: bool = False  # True: the label includes the threads
    optimizers: Sequence[str] = ()
    more: Sequence[Request] = ()  # further grids of the same run, from a preset


@dataclass(frozen=True)
class _Model:
    """A task at a size, with the changes from the options."""

    task: Task
    size: str
    numbers: Size
    spec: ModelSpec
    overridden: tuple[str, ...]


def workloads(request: Request) -> Iterator[Workload]:
    """Every workload once, phase by phase, in the order of the options.

    Raises ValueError, naming the task, for a size that it does not have or that is impossible.
    """
    found: dict[tuple[str, int], Workload] = {}
    for one in (request, *request.more):
        for workload in _grid(one):
            found.setdefault((workload.id, workload.threads), workload)
    yield from found.values()


def _grid(request: Request) -> Iterator[Workload]:
    models = list(_models(request))
    threads_named = ("threads",) if request.threads_named else ()
    for phase in request.phases:
        for model, device, dtype, threads, optimizer in itertools.product(
            models, request.devices, request.dtypes, request.threads, _optimizers(request, phase)
        ):
            optimizer_named = ("optimizer",) if optimizer and request.optimizers else ()
            yield Workload(
                phase=phase,
                task=model.task.name,
                shape=model.task.shape,
                size=model.size,
                spec=model.spec,
                batch=model.numbers.batch,
                steps=model.numbers.steps,
                device=device,
                dtype=dtype,
                threads=threads,
                optimizer=optimizer,
                overridden=(*model.overridden, *threads_named, *optimizer_named),
            )


def _optimizers(request: Request, phase: str) -> list[OptimizerSpec | None]:
    """The optimizers of train_step, always in the same order; [None] for other phases."""
    if phase != "train_step":
        return [None]
    asked = request.optimizers or [DEFAULT_OPTIMIZER]
    chosen = [name for name in OPTIMIZERS if name in asked]
    return [OptimizerSpec(name=name, learning_rate=LEARNING_RATE) for name in chosen]


def _models(request: Request) -> Iterator[_Model]:
    known = {size for name in request.tasks for size in TASKS[name].sizes}
    unknown = [size for size in request.sizes if size not in known]
    if unknown:
        raise ValueError(
            f"size {unknown[0]!r} is unknown; {' and '.join(request.tasks)} "
            f"{'have' if len(request.tasks) > 1 else 'has'} {', '.join(sorted(known))}"
        )
    for name in request.tasks:
        task = TASKS[name]
        default = DEFAULT_SIZES.get(name, DEFAULT_SIZE)
        names = [size for size in request.sizes or [default] if size in task.sizes]
        chosen: Sequence[str | None] = request.cells or [None]
        for size_name, cell in itertools.product(names, chosen):
            for numbers in _overrides(request):
                yield _model(task, size_name, cell, numbers, request)


def _overrides(request: Request) -> Iterator[dict[str, int]]:
    """Every combination of the given lists."""
    given = {field: getattr(request, field) for field in LETTERS if getattr(request, field)}
    for values in itertools.product(*given.values()):
        yield dict(zip(given, values, strict=True))


def _model(
    task: Task, size_name: str, cell: str | None, numbers: dict[str, int], request: Request
) -> _Model:
    fields: dict[str, object] = {}
    if request.bidirectional:
        fields["bidirectional"] = True
    if request.dropout:
        fields["dropout"] = request.dropout
    overridden = (*numbers, *fields)
    if cell is not None:
        fields["cell"] = cell
    size = task.sizes[size_name].with_overrides(**numbers)
    try:
        spec = task.spec(size, **fields)
        if spec.dropout and spec.num_layers == 1:
            raise ValueError("dropout is between layers; expected at least 2 layers (--layers)")
        check_batch(spec, task.batch(size, seed=0))
    except (ValueError, OverflowError, MemoryError) as error:
        why = str(error) or "it does not fit into memory"
        parts = [size_name, *(f"{LETTERS[name]}{value}" for name, value in numbers.items())]
        parts += ["bi"] if request.bidirectional else []
        parts += [f"dropout{request.dropout:g}"] if request.dropout else []
        asked = "+".join(parts)
        raise ValueError(f"{task.name} cannot be made at {asked}: {why}") from error
    return _Model(task, size_name, size, spec, overridden)

"""Which cells a run asks for: task x size x model x phase x device x dtype x threads."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from tasks import TASKS
from tasks.spec import ModelSpec, OptimizerSpec, check_batch
from tasks.task import Size, Task

# The size of a run that names none; hihello's one sequence is what its note is about.
DEFAULT_SIZE = "base"
DEFAULT_SIZES = {"hihello": "source"}
OPTIMIZERS: tuple[Literal["adam", "sgd"], ...] = ("adam", "sgd")
DEFAULT_OPTIMIZER = OPTIMIZERS[0]
# About the notes' 0.001, and a power of two: the same number in a framework that holds it in
# float32 as in one that holds it in float64.
LEARNING_RATE = 2.0**-10


@dataclass(frozen=True)
class Cell:
    """One thing to compute; the variants of a cell are compared with each other."""

    phase: str
    task: str
    label: str  # "base", "base+B32+H320+L2+bi"
    size: Size
    spec: ModelSpec
    device: str
    dtype: str
    threads: int
    optimizer: OptimizerSpec | None = None  # of train_step alone

    @property
    def name(self) -> str:
        """The part of a test id that names the cell: "sentiment-lstm-base-cpu-float32"."""
        return f"{self.task}-{self.spec.cell}-{self.label}-{self.device}-{self.dtype}"

    @property
    def id(self) -> str:
        return f"{self.phase}[{self.name}]"


@dataclass(frozen=True)
class Request:
    """What the options ask for; None or an empty list is the default of each task."""

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
    threads_named: bool = False  # then they join the label
    optimizers: Sequence[str] = ()
    more: Sequence[Request] = ()  # further grids of the same run, of a preset


_LETTERS = {"batch": "B", "steps": "T", "input": "D", "hidden": "H", "layers": "L"}


def cells(request: Request) -> Iterator[Cell]:
    """Every cell once, phase by phase, in the order asked for.

    Raises ValueError, naming the task, for a size that it does not have or cannot be made at.
    """
    found: dict[tuple[str, int], Cell] = {}
    for one in (request, *request.more):
        for cell in _grid(one):
            found.setdefault((cell.id, cell.threads), cell)
    yield from found.values()


def _grid(request: Request) -> Iterator[Cell]:
    models = list(_models(request))
    for phase in request.phases:
        for (task, label, size, spec), device, dtype, threads in itertools.product(
            models, request.devices, request.dtypes, request.threads
        ):
            full = f"{label}+threads{threads}" if request.threads_named else label
            if phase != "train_step":
                yield Cell(phase, task, full, size, spec, device, dtype, threads)
                continue
            for name in OPTIMIZERS:
                if name not in (request.optimizers or [DEFAULT_OPTIMIZER]):
                    continue
                named = f"{full}+{name}" if request.optimizers else full
                optimizer = OptimizerSpec(name=name, learning_rate=LEARNING_RATE)
                yield Cell(phase, task, named, size, spec, device, dtype, threads, optimizer)


def _models(request: Request) -> Iterator[tuple[str, str, Size, ModelSpec]]:
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
            for overrides in _overrides(request):
                yield _model(task, size_name, cell, overrides, request)


def _overrides(request: Request) -> Iterator[dict[str, int]]:
    """Every combination of the lists that were given."""
    given = {field: getattr(request, field) for field in _LETTERS if getattr(request, field)}
    for values in itertools.product(*given.values()):
        yield dict(zip(given, values, strict=True))


def _model(
    task: Task, size_name: str, cell: str | None, overrides: dict[str, int], request: Request
) -> tuple[str, str, Size, ModelSpec]:
    parts = [size_name, *(f"{_LETTERS[field]}{value}" for field, value in overrides.items())]
    fields: dict[str, object] = {}
    if cell is not None:
        fields["cell"] = cell
    if request.bidirectional:
        fields["bidirectional"] = True
        parts.append("bi")
    if request.dropout:
        fields["dropout"] = request.dropout
        parts.append(f"dropout{request.dropout:g}")
    size = task.sizes[size_name].with_overrides(**overrides)
    try:
        spec = task.spec(size, **fields)
        if spec.dropout and spec.num_layers == 1:
            raise ValueError("dropout is between layers; expected at least 2 of them (--layers)")
        check_batch(spec, task.batch(size, seed=0))
    except (ValueError, OverflowError, MemoryError) as error:
        why = str(error) or "it does not fit into memory"
        raise ValueError(f"{task.name} cannot be made at {'+'.join(parts)}: {why}") from error
    return task.name, "+".join(parts), size, spec

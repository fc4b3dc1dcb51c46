"""A task: data from a seed, its model, and what "learned" means. No clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np

from tasks.spec import Batch, Cell, ModelSpec, OptimizerSpec, Params, init_params, positive

Shape = Literal["one-to-many", "many-to-one", "many-to-many", "delayed many-to-many"]

# At "source", a change of one of these fields of ModelSpec adds a head to a model that has none.
ADD_HEAD = frozenset(("cell", "hidden_size", "num_layers", "bidirectional", "output_size"))
_FIELDS = {"hidden": "hidden_size", "layers": "num_layers"}  # a number of Size: of ModelSpec


@dataclass(frozen=True)
class Size:
    """The size of a workload. Raises ValueError unless every number is at least 1."""

    batch: int  # B
    steps: int  # T
    input: int  # D
    hidden: int  # H
    layers: int = 1  # L
    name: str = ""  # among the task's sizes; "": a size of one's own
    overridden: frozenset[str] = field(default=frozenset(), compare=False)

    @property
    def at_source(self) -> bool:
        return self.name == "source"

    def __post_init__(self) -> None:
        for name in ("batch", "steps", "input", "hidden", "layers"):
            positive(name, getattr(self, name))

    def model(self, cell: Cell = "rnn_tanh", **fields: Any) -> ModelSpec:
        """A model of these D, H and L; `fields` are others of ModelSpec."""
        return ModelSpec(cell, self.input, self.hidden, self.layers, **fields)

    def with_overrides(self, **overrides: int) -> Size:
        """The same size, under the same name, with other numbers."""
        numbers: dict[str, Any] = {"overridden": self.overridden | overrides.keys(), **overrides}
        return replace(self, **numbers)


@dataclass(frozen=True)
class Target:
    """What "learned" means: `metric` reaches `threshold` within `steps` updates.

    That is said of a net of this `size` and `cell`; the task's docstring states for how many seeds.
    """

    metric: str  # a key of Task.score
    threshold: float
    optimizer: OptimizerSpec
    steps: int
    larger_is_better: bool = True
    size: str = "source"
    cell: Cell | None = None  # None: the task's own
    seed: int = 0  # of an initialisation that gets there
    alone: bool = False  # it takes so long that a run which learns it learns nothing else

    def reached(self, score: float) -> bool:
        """Whether a value of the metric is good enough; not a number is not."""
        if self.larger_is_better:
            return score >= self.threshold
        return score <= self.threshold


class Task(Protocol):
    """Everything that the suite knows about a task."""

    name: str
    shape: Shape
    sizes: Mapping[str, Size]  # "source" (as the source notes have it); "base", "large"
    sets: frozenset[str]  # the fields of ModelSpec that the task decides and no option changes

    @property
    def own_lengths(self) -> Callable[[Batch], np.ndarray] | None:
        """The lengths (B,) of the sequences of a batch, which are padded in front; None if none."""
        ...

    @property
    def phases(self) -> tuple[str, ...] | None:
        """Those that it can be measured in; None: all."""
        ...

    @property
    def target(self) -> Target | None:
        """What "learned" means; None if there is nothing to learn."""
        ...

    def spec(self, size: str | Size, **overrides: object) -> ModelSpec:
        """The model at `size`; overrides are fields of ModelSpec. A KeyError lists the sizes.

        It follows from the name of the size and the names of the overrides. One without a head
        exists at "source", where the notes have none, and wherever `output_size=None` is given; an
        override of ADD_HEAD adds the head, whatever its value.
        """
        ...

    def batch(self, size: str | Size, seed: int, spec: ModelSpec | None = None) -> Batch:
        """A batch for `spec`, by default that of `size`; B and T are those of `size`.

        It depends on its arguments alone.
        """
        ...

    def score(self, outputs: np.ndarray, batch: Batch) -> dict[str, float]:
        """Metrics of outputs (B,T,C) or (B,C)."""
        ...


@runtime_checkable
class OwnParams(Protocol):
    """A task with weights or an initialisation of its own."""

    def params(self, spec: ModelSpec, seed: int) -> Params:
        """The parameters that `spec` starts from."""
        ...


@runtime_checkable
class Spells(Protocol):
    """A task whose outputs are text."""

    def spell(self, outputs: np.ndarray) -> list[str]:
        """The text of each sequence, from outputs (B,T,C)."""
        ...


@runtime_checkable
class NamesClasses(Protocol):
    """A task whose classes have names."""

    def classes(self, size: str | Size) -> tuple[str, ...]:
        """The name of each class."""
        ...


def start_params(task: Task, spec: ModelSpec, seed: int) -> Params:
    """The parameters that a model of `task` starts from: the task's own, or random ones."""
    return task.params(spec, seed) if isinstance(task, OwnParams) else init_params(spec, seed)


def named(**sizes: Size) -> dict[str, Size]:
    """The sizes of a task, each under its name."""
    return {name: replace(size, name=name) for name, size in sizes.items()}


def without_head(size: Size, overrides: Mapping[str, object]) -> bool:
    """Whether a model that has no head at "source" has none here either."""
    changed = overrides.keys() | {_FIELDS.get(name, name) for name in size.overridden}
    return size.at_source and not ADD_HEAD & changed


def find_size(sizes: Mapping[str, Size], size: str | Size) -> Size:
    """A named size, or `size` itself; an unknown name raises KeyError with the valid ones."""
    if isinstance(size, Size):
        return size
    if size not in sizes:
        raise KeyError(f"size {size!r} is unknown; this task has {', '.join(sizes)}")
    return sizes[size]

"""A task: data from a seed, its model, and what "learned" means. No clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np

from tasks.spec import Batch, ModelSpec, OptimizerSpec, positive

Shape = Literal["one-to-many", "many-to-one", "many-to-many", "delayed many-to-many"]


@dataclass(frozen=True)
class Size:
    """The size of a workload. Raises ValueError unless every field is at least 1."""

    batch: int  # B
    steps: int  # T
    input: int  # D
    hidden: int  # H
    layers: int = 1  # L

    def __post_init__(self) -> None:
        for name in ("batch", "steps", "input", "hidden", "layers"):
            positive(name, getattr(self, name))

    def with_overrides(self, **overrides: int | None) -> Size:
        """The same size with the fields that are not None replaced."""
        return replace(self, **{k: v for k, v in overrides.items() if v is not None})


@dataclass(frozen=True)
class Target:
    """What "learned" means: `metric` reaches `threshold` within `steps` updates.

    The task's docstring states for which size and cell that holds, and for how many seeds.
    """

    metric: str  # a key of Task.score
    threshold: float
    optimizer: OptimizerSpec
    steps: int
    larger_is_better: bool = True


class Task(Protocol):
    """Everything that the suite knows about a task."""

    name: str
    shape: Shape
    sizes: Mapping[str, Size]  # "source" (as the source notes have it); "base", "large"
    target: Target

    def spec(self, size: str | Size, **overrides: object) -> ModelSpec:
        """The model at `size`; overrides are fields of ModelSpec. A KeyError lists the sizes."""
        ...

    def batch(self, size: str | Size, seed: int) -> Batch:
        """A batch that depends only on `size` and `seed`."""
        ...

    def score(self, outputs: np.ndarray, batch: Batch) -> dict[str, float]:
        """Metrics of outputs (B,T,C) or (B,C)."""
        ...


def find_size(sizes: Mapping[str, Size], size: str | Size) -> Size:
    """A named size, or `size` itself; an unknown name raises KeyError with the valid ones."""
    if isinstance(size, Size):
        return size
    if size not in sizes:
        raise KeyError(f"size {size!r} is unknown; this task has {', '.join(sizes)}")
    return sizes[size]

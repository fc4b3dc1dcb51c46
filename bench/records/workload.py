"""A workload: one point of the grid. What is computed, where, and in which arithmetic."""

from __future__ import annotations

import msgspec

from tasks.spec import ModelSpec, OptimizerSpec
from tasks.task import Size

LETTERS = {"batch": "B", "steps": "T", "input": "D", "hidden": "H", "layers": "L"}


class Workload(msgspec.Struct, frozen=True, kw_only=True):
    """The variants in one workload are compared with each other.

    `label`, `name` and `id` are formatted from its fields and never parsed.
    """

    phase: str
    task: str
    shape: str  # "many-to-one"
    size: str  # the name of a size of the task
    spec: ModelSpec
    batch: int  # B
    steps: int  # T
    device: str
    dtype: str
    threads: int
    optimizer: OptimizerSpec | None = None  # only for train_step
    # What the options set besides the size: keys of LETTERS, "bidirectional", "dropout",
    # "threads", "optimizer".
    overridden: tuple[str, ...] = ()

    @property
    def numbers(self) -> Size:
        """B, T, D, H and L."""
        spec = self.spec
        return Size(self.batch, self.steps, spec.input_size, spec.hidden_size, spec.num_layers)

    @property
    def label(self) -> str:
        """The size with everything that the options set: "base+B32+H320+L2+bi"."""
        numbers = self.numbers
        words = {field: f"{LETTERS[field]}{getattr(numbers, field)}" for field in LETTERS} | {
            "bidirectional": "bi",
            "dropout": f"dropout{self.spec.dropout:g}",
            "threads": f"threads{self.threads}",
            "optimizer": self.optimizer.name if self.optimizer else "",
        }
        return "+".join([self.size, *(words[field] for field in words if field in self.overridden)])

    @property
    def name(self) -> str:
        """The part of a test id that names the workload: "sentiment-lstm-base-cpu-float32"."""
        return f"{self.task}-{self.spec.cell}-{self.label}-{self.device}-{self.dtype}"

    @property
    def id(self) -> str:
        """ "bptt[sentiment-lstm-base-cpu-float32]"."""
        return f"{self.phase}[{self.name}]"

"""One test of the suite: a variant in a cell."""

from __future__ import annotations

from dataclasses import dataclass

from backends import registry
from bench import agreement, record
from bench.grid import Cell
from bench.interpreter import Key

PARAMETERS = ("task", "cell", "size", "device", "dtype", "variant")


@dataclass(frozen=True)
class Case:
    """One test: a variant in a cell."""

    cell: Cell
    variant: str

    @property
    def id(self) -> str:
        return f"{self.cell.name}-{self.variant}"

    @property
    def parameters(self) -> tuple[str, ...]:
        """As PARAMETERS: strings, so that `--benchmark-group-by=param:variant` works."""
        cell = self.cell
        return cell.task, cell.spec.cell, cell.label, cell.device, cell.dtype, self.variant

    @property
    def key(self) -> Key:
        return Key(self.variant, self.cell.dtype, self.cell.device, self.cell.threads)

    def refusal(self) -> tuple[record.Status, str] | None:
        """Why it cannot run, without starting anything; None if it may."""
        if self.cell.dtype not in agreement.STORAGE:
            return "refused", f"{self.cell.dtype} has no rule of agreement yet, and so no numbers"
        missing = registry.find(self.variant).missing()
        if missing:
            return "skipped", missing
        cell = self.cell
        options = {"device": cell.device, "dtype": cell.dtype, "phase": cell.phase}
        try:
            reason = registry.ask(self.variant, "refusal", cell.spec, **options)
            if reason is None and cell.optimizer is not None:
                registry.ask(self.variant, "optimizer", cell.optimizer)  # can it say which?
        except registry.BrokenBackendError as error:
            return "skipped", str(error)
        return ("refused", str(reason)) if reason is not None else None

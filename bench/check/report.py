"""What a check found: counts, largest errors, refusals, failures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from bench import record
from bench.check.example import Example


@dataclass(frozen=True)
class Failure:
    """One thing that is wrong; `example` shows it, where it needs one."""

    check: str
    dtype: str
    message: str
    example: Example | None = None
    details: str = ""  # a traceback


@dataclass
class Line:
    """One check in one dtype."""

    models: int = 0
    unasked: int = 0  # models that the time did not reach
    tensors: int = 0
    failures: int = 0


@dataclass
class Report:
    """Everything `rnnbench check` prints. `ok` is its exit status."""

    name: str
    device: str
    seed: int
    versions: Mapping[str, str] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)  # by dtype: what ran, as it says itself
    lines: dict[tuple[str, str], Line] = field(default_factory=dict)  # by check and dtype
    worst: dict[tuple[str, str], record.TensorError] = field(default_factory=dict)  # dtype, kind
    refusals: dict[str, dict[str, set[str]]] = field(default_factory=dict)  # by reason: of what
    dropped: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def tensors(self) -> int:
        return sum(line.tensors for line in self.lines.values())

    @property
    def ok(self) -> bool:
        """Nothing failed, and something was compared: agreement on nothing is none."""
        return not self.failures and self.tensors > 0

    def line(self, check: str, dtype: str) -> Line:
        return self.lines.setdefault((check, dtype), Line())

    def add(self, check: str, dtype: str, found: record.Agreement) -> None:
        """Count one comparison and keep the worst of each kind of tensor."""
        self.line(check, dtype).tensors += found.tensors
        for kind, error in found.kinds.items():
            key = dtype, kind
            if key not in self.worst or error.severity > self.worst[key].severity:
                self.worst[key] = error

    def refuse(self, reason: str, cell: str, dtype: str, phase: str) -> None:
        of = self.refusals.setdefault(reason, {"cell": set(), "dtype": set(), "phase": set()})
        of["cell"].add(cell)
        of["dtype"].add(dtype)
        of["phase"].add(phase)

    def fail(self, failure: Failure) -> None:
        self.line(failure.check, failure.dtype).failures += 1
        self.failures.append(failure)

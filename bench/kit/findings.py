"""The findings of a check: counts, largest errors, refusals, failures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from bench.correctness.comparison import keep_worst
from bench.kit.case import CaseSpec
from bench.kit.plan import CONTRACT
from bench.records.schema import Agreement, TensorError


@dataclass(frozen=True)
class Failure:
    """One failure, with the case that shows it if it depends on a case."""

    check: str
    dtype: str
    message: str
    case: CaseSpec | None = None
    details: str = ""  # a traceback


@dataclass
class Line:
    """One check in one dtype."""

    models: int = 0
    unasked: int = 0  # models left out: the time was up, or the check was interrupted
    tensors: int = 0
    failures: int = 0


@dataclass(frozen=True)
class Pairs:
    """How many pairs of levels of two fields there are (`bench.kit.covering`)."""

    feasible: int
    covered: int  # by the fixed models that were compared in every dtype
    infeasible: int


@dataclass
class Findings:
    """Everything that `rnnbench check` prints. `ok` and `complete` decide its exit status."""

    name: str
    device: str
    seed: int
    versions: Mapping[str, str] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)  # `path()` by dtype
    lines: dict[tuple[str, str], Line] = field(default_factory=dict)  # by check and dtype
    worst: dict[tuple[str, str], TensorError] = field(default_factory=dict)  # by dtype and kind
    # By reason: the cells, dtypes and phases that are refused.
    refusals: dict[str, dict[str, set[str]]] = field(default_factory=dict)
    dropped: Counter[str] = field(default_factory=Counter)  # number of cases, by reason
    failures: list[Failure] = field(default_factory=list)
    pairs: Pairs | None = None
    seconds: float = 0.0
    building_seconds: float = 0.0  # of these, to build and compile the models
    interrupted: bool = False

    @property
    def tensors(self) -> int:
        return sum(line.tensors for line in self.lines.values())

    @property
    def asked(self) -> int:
        """Models, each counted once for each check and dtype."""
        return sum(line.models for (check, _), line in self.lines.items() if check != CONTRACT)

    @property
    def unasked(self) -> int:
        return sum(line.unasked for line in self.lines.values())

    @property
    def complete(self) -> bool:
        """No model was left out. What is incomplete has not passed."""
        return not self.unasked and not self.interrupted

    @property
    def ok(self) -> bool:
        """Nothing failed, and something was compared."""
        return not self.failures and self.tensors > 0

    def line(self, check: str, dtype: str) -> Line:
        return self.lines.setdefault((check, dtype), Line())

    def add(self, check: str, dtype: str, found: Agreement) -> None:
        """Count one comparison and keep the worst of each kind of tensor."""
        self.line(check, dtype).tensors += found.tensors
        for kind, error in found.kinds.items():
            keep_worst(self.worst, (dtype, kind), error)

    def refuse(self, reason: str, cell: str, dtype: str, phase: str) -> None:
        of = self.refusals.setdefault(reason, {"cell": set(), "dtype": set(), "phase": set()})
        of["cell"].add(cell)
        of["dtype"].add(dtype)
        of["phase"].add(phase)

    def fail(self, failure: Failure) -> None:
        self.line(failure.check, failure.dtype).failures += 1
        self.failures.append(failure)

    def describe(self, failure: Failure, number: int = 1) -> Iterator[str]:
        """The failure as lines; the first one with its details and code that repeats its case.

        The first failure is the one to look into: others may follow from it.
        """
        where = f"{failure.check}, {failure.dtype}" if failure.dtype else failure.check
        yield f"{number}. {where}: {failure.message}"
        if number > 1:
            return
        yield from (f"   {line}" for line in failure.details.splitlines()[:20])
        if failure.case is not None:
            device = "" if self.device == "cpu" else f", device={self.device!r}"
            yield "   To repeat it:"
            yield ""
            yield "from bench.kit import CaseSpec, replay"
            yield "from tasks.spec import ModelSpec"
            yield f"replay({self.name!r}, {failure.case.code()}, {failure.dtype!r}{device})"

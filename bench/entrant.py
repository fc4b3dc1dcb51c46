"""One entry of a cell: what becomes of it, and the record that is made of that."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bench import agreement, provenance, record
from bench.grid import Cell
from bench.interpreter import Interpreter, Key
from bench.local import LocalInterpreter
from bench.rounds import Side
from tasks import TASKS
from tasks.spec import parameter_count


@dataclass(frozen=True)
class Outcome:
    """A measurement and, where something went wrong, all that is known of it."""

    measurement: record.Measurement
    details: str = ""


@dataclass
class Entrant:
    """One entry on its way through a cell."""

    key: Key
    role: record.Role = "variant"
    interpreter: Interpreter | LocalInterpreter | None = None
    checks: list[record.Agreement] = field(default_factory=list)
    processes: list[record.Rounds] = field(default_factory=list)
    status: record.Status = "ok"
    reason: str = ""
    details: str = ""
    path: str = ""
    loss: float | None = None
    cold: record.ColdStart | None = None
    side: Side | None = None
    updates: int = 0  # that the last block made since it loaded its parameters

    @property
    def label(self) -> str:
        return self.key.variant if self.role == "variant" else f"the {self.role}"

    def fail(self, status: record.Status, reason: str, details: str = "") -> None:
        self.status, self.reason, self.details = status, reason, details

    def judge(self, found: record.Agreement) -> bool:
        self.checks.append(found)
        if found.failures:
            self.fail("disagrees", found.failures[0], "\n".join(found.failures))
        return not found.failures

    def keep(self, about: Mapping[str, Any], room: int, seed: int) -> None:
        """The rounds of a process, and what its worker says of itself (`Worker.about`).

        Of the step times no more than `room` are kept.
        """
        assert self.side is not None
        assert self.cold is not None
        self.path = about["path"]
        self.processes.append(
            record.Rounds(
                seconds=tuple(self.side.seconds),
                position=tuple(self.side.positions),
                step_seconds=_kept(self.side.raw, room, seed),
                steps=sum(map(len, self.side.raw)),
                cold=self.cold,
                effective_threads=about["threads"],
                cores_busy=about["busy"],
                throughput_seconds=tuple(self.side.throughput_seconds),
                device_seconds=tuple(self.side.device_seconds),
                peak_host_bytes=about["peak_host_bytes"],
                held_host_bytes=about["held_host_bytes"],
                peak_device_bytes=about["peak_device_bytes"],
            )
        )

    def outcome(self, cell: Cell, serial: bool) -> Outcome:
        versions: Mapping[str, str] = {}
        if self.interpreter is not None:
            versions = self.interpreter.started.versions
        measurement = record.Measurement(
            **described(cell),
            variant=self.key.variant,
            role=self.role,
            serial=serial,
            status=self.status,
            reason=provenance.without_paths(self.reason),
            versions=dict(versions),
            path=self.path,
            loss=self.loss,
            agreement=agreement.joined(self.checks) if self.checks else None,
            # What a variant took to compute something else is no number.
            processes=tuple(self.processes) if self.status == "ok" else (),
        )
        return Outcome(measurement, self.details)


def described(cell: Cell) -> dict[str, Any]:
    """The fields of a Measurement that say which cell it is of."""
    return {
        "phase": cell.phase,
        "task": cell.task,
        "shape": TASKS[cell.task].shape,
        "size": cell.label,
        "device": cell.device,
        "dtype": cell.dtype,
        "threads": cell.threads,
        "batch": cell.size.batch,
        "steps": cell.size.steps,
        "spec": dataclasses.asdict(cell.spec),
        "parameters": parameter_count(cell.spec),
    }


def _kept(raw: list[np.ndarray], room: int, seed: int) -> tuple[tuple[float, ...], ...]:
    """All step times round by round or, beyond `room`, a seeded sample in their order."""
    total = sum(map(len, raw))
    if total <= room:
        return tuple(tuple(map(_short, seconds)) for seconds in raw)
    rng = np.random.default_rng(seed)
    return tuple(tuple(map(_short, chosen)) for chosen in _sample(raw, room / total, rng))


def _sample(raw: list[np.ndarray], share: float, rng: np.random.Generator) -> Iterator[np.ndarray]:
    for seconds in raw:
        count = max(1, int(len(seconds) * share))
        yield seconds[np.sort(rng.choice(len(seconds), count, replace=False))]


def _short(seconds: float) -> float:
    """Nanoseconds: finer than the clock is good for."""
    return round(float(seconds), 9)

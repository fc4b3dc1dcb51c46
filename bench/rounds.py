"""The measuring protocol: one cell, all its variants, in interleaved rounds.

Every variant is built, checked and warmed up in its own interpreter. Then, round by round and in
a seeded random order, each is woken for one block (hot steps, then timed ones) while all others
are stopped. The value of a round is the median of its synced steps. Afterwards each is checked
again (`bench.gate`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np

from backends import registry
from bench import agreement, provenance, record
from bench.gate import Gate
from bench.grid import Cell
from bench.lab import Interpreter, Key, Lab, WorkerError
from tasks import TASKS
from tasks.spec import parameter_count

HOT_STEPS, HOT_SECONDS = 2, 0.005
TIMED_STEPS, TIMED_SECONDS = 1, 0.020
WARM_STEPS, WARM_SECONDS = 3, 0.2
LEAST_ROUNDS = 10
RAW_STEPS = 10_000  # kept of a variant and cell; beyond, a seeded sample


@dataclass(frozen=True)
class Settings:
    """How a cell is measured. `max_seconds` a variant, hot and timed steps together."""

    max_seconds: float = 1.0
    min_rounds: int = LEAST_ROUNDS
    timed_seconds: float = TIMED_SECONDS
    processes: int = 1
    seed: int = 0
    timed: bool = True  # False: the agreement gate alone


@dataclass
class _Entrant:
    """One variant on its way through a cell."""

    key: Key
    interpreter: Interpreter | None = None
    checks: list[record.Agreement] = field(default_factory=list)
    processes: list[record.Rounds] = field(default_factory=list)
    status: record.Status = "ok"
    reason: str = ""
    details: str = ""
    path: str = ""
    loss: float | None = None
    cold: record.ColdStart | None = None
    values: list[float] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    raw: list[np.ndarray] = field(default_factory=list)
    block_steps: int = 0  # timed, in the last block

    def fail(self, status: record.Status, reason: str, details: str = "") -> None:
        self.status, self.reason, self.details = status, reason, details

    def judge(self, found: record.Agreement) -> bool:
        self.checks.append(found)
        if found.failures:
            self.fail("disagrees", found.failures[0], "\n".join(found.failures))
        return not found.failures


@dataclass(frozen=True)
class Outcome:
    """A measurement and, where something went wrong, all that is known of it."""

    measurement: record.Measurement
    details: str = ""


class CellRun:
    """Measures one cell; `run` is the whole of it."""

    def __init__(
        self,
        lab: Lab,
        cell: Cell,
        variants: Sequence[str],
        settings: Settings,
        say: Callable[[str], None],
    ) -> None:
        self.lab, self.cell, self.settings, self.say = lab, cell, settings, say
        self.gate = Gate(cell, settings.seed)
        self.entrants = [
            _Entrant(Key(name, cell.dtype, cell.device, cell.threads)) for name in variants
        ]

    def run(self) -> dict[str, Outcome]:
        """Outcome by variant. A variant's failure is its own; the others go on."""
        for process in range(self.settings.processes if self.settings.timed else 1):
            if process:
                for entrant in self.entrants:
                    self.lab.end(entrant.key)
            self._attempt("checking", self._prepare)
            if self.settings.timed:
                self._rounds(process)
            self._attempt("checking again", self._finish)
        return {entrant.key.variant: self._outcome(entrant) for entrant in self.entrants}

    @property
    def _running(self) -> list[_Entrant]:
        return [entrant for entrant in self.entrants if entrant.status == "ok"]

    def _attempt(self, what: str, action: Callable[[_Entrant], None]) -> None:
        for entrant in self._running:
            self.say(f"{what} {entrant.key.variant}")
            self._guarded(entrant, action)

    def _guarded(self, entrant: _Entrant, action: Callable[[_Entrant], None]) -> None:
        try:
            action(entrant)
        except WorkerError as error:
            entrant.fail(error.status, str(error), error.details)
        except registry.BrokenBackendError as error:
            entrant.fail("failed", str(error))
        if entrant.status != "ok" and entrant.interpreter is not None:
            self._release(entrant)

    def _release(self, entrant: _Entrant) -> None:
        assert entrant.interpreter is not None
        if not entrant.interpreter.alive():
            return
        try:
            self._call(entrant, "release")
        except WorkerError:
            self.lab.end(entrant.key)  # it could not even let go: a fresh one for the next cell

    def _call(self, entrant: _Entrant, operation: str, **arguments: Any) -> Any:
        assert entrant.interpreter is not None
        return entrant.interpreter.call(operation, self.lab.timeout, **arguments)

    def _ask(self, entrant: _Entrant) -> Callable[..., Any]:
        return partial(self._call, entrant)

    def _prepare(self, entrant: _Entrant) -> None:
        """Build, check against the oracle, warm up."""
        entrant.interpreter = self.lab.get(entrant.key, self.say)
        ask, started = self._ask(entrant), entrant.interpreter.started
        build_seconds = self.gate.build(ask)
        first_seconds, entrant.loss, found = self.gate.before(ask, entrant.key.variant)
        entrant.cold = record.ColdStart(
            start_seconds=started.start_seconds,
            import_seconds=started.import_seconds,
            build_seconds=build_seconds,
            first_call_seconds=first_seconds,
        )
        if entrant.judge(found):
            entrant.interpreter.survey()
            if self.settings.timed:
                ask("warm", phase=self.cell.phase, seconds=WARM_SECONDS, steps=WARM_STEPS)

    def _rounds(self, process: int) -> None:
        """Rounds until the time is used up and there are enough; then one record a variant."""
        rng = np.random.default_rng((self.settings.seed, process))
        budget_seconds = self.settings.max_seconds * len(self._running)
        least = max(LEAST_ROUNDS, self.settings.min_rounds)
        begin, number = perf_counter(), 0
        while self._running and (number < least or perf_counter() - begin < budget_seconds):
            number += 1
            self.say(f"round {number} of at least {least}")
            order = rng.permutation(len(self._running))
            for position, entrant in enumerate([self._running[i] for i in order]):
                self._guarded(entrant, partial(self._block, position=position))
        for entrant in self._running:
            self._guarded(entrant, self._record)

    def _block(self, entrant: _Entrant, position: int) -> None:
        taken = self._call(
            entrant,
            "block",
            phase=self.cell.phase,
            hot_steps=HOT_STEPS,
            hot_seconds=HOT_SECONDS,
            timed_steps=TIMED_STEPS,
            timed_seconds=max(TIMED_SECONDS, self.settings.timed_seconds),
        )
        seconds = np.frombuffer(taken, np.float64)
        entrant.values.append(float(np.median(seconds)))
        entrant.positions.append(position)
        entrant.raw.append(seconds)
        entrant.block_steps = len(seconds)

    def _record(self, entrant: _Entrant) -> None:
        """Check what the last timed step gave, ask what ran, and keep the rounds."""
        ask = self._ask(entrant)
        # Before anything else is asked of it: a model may use its buffers again.
        found = self.gate.last(ask)
        if found is not None:
            entrant.judge(found)
        about = ask("about")
        entrant.path = about["path"]
        assert entrant.cold is not None
        room = RAW_STEPS // self.settings.processes
        entrant.processes.append(
            record.Rounds(
                seconds=tuple(entrant.values),
                position=tuple(entrant.positions),
                step_seconds=_kept(entrant.raw, room, self.settings.seed),
                steps=sum(map(len, entrant.raw)),
                cold=entrant.cold,
                effective_threads=about["threads"],
                cores_busy=about["busy"],
                peak_device_bytes=about["peak_device_bytes"],
            )
        )
        entrant.values, entrant.positions, entrant.raw = [], [], []

    def _finish(self, entrant: _Entrant) -> None:
        """Something not seen before, and whether sync waits; then let go."""
        ask = self._ask(entrant)
        steps = HOT_STEPS + entrant.block_steps
        if entrant.judge(self.gate.after(ask, entrant.key.variant, steps)) and self.settings.timed:
            cheat = self.gate.cheats(ask, float(np.median(entrant.processes[-1].seconds)))
            if cheat is not None:
                entrant.fail("disagrees", cheat)
        if entrant.status == "ok":
            self._release(entrant)

    def _outcome(self, entrant: _Entrant) -> Outcome:
        cell, ok = self.cell, entrant.status == "ok"
        versions: Mapping[str, str] = {}
        if entrant.interpreter is not None:
            versions = entrant.interpreter.started.versions
        measurement = record.Measurement(
            **described(cell),
            variant=entrant.key.variant,
            status=entrant.status,
            reason=provenance.without_paths(entrant.reason),
            versions=dict(versions),
            path=entrant.path,
            loss=entrant.loss,
            agreement=agreement.joined(entrant.checks) if entrant.checks else None,
            # What a variant took to compute something else is no number.
            processes=tuple(entrant.processes) if ok else (),
        )
        return Outcome(measurement, entrant.details)


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

"""One cell from start to end: build, check, rounds, check again, record.

Every variant is built, checked and warmed up in its own interpreter, then takes part in the rounds
(`bench.rounds`), and is checked again (`bench.gate`). Beside the variants run a control, which is
the first of them once more, and the cell's floor (`bench.floor`): neither is a contender.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np
from msgspec.structs import replace

from backends import registry
from bench import flops, record, state
from bench.entrant import Entrant, Outcome
from bench.gate import Gate
from bench.grid import Cell
from bench.interpreter import Key, WorkerError
from bench.lab import Lab
from bench.local import LocalLab
from bench.rounds import LEAST_ROUNDS, NARROW, TIMED_SECONDS, Block, Rounds, Side

WARM_STEPS, WARM_SECONDS = 3, 0.2
# A GPU is warm when its clock stands: so far apart at most, and so long to get there.
STEADY_MHZ, STEADY_SECONDS, LOOKS = 0.02, 10.0, 3
RAW_STEPS = 10_000  # kept of a variant and cell; beyond, a seeded sample
CONTROL, FLOOR = 1, 2  # Key.copy of their interpreters


@dataclass(frozen=True)
class Settings:
    """How a cell is measured. `max_seconds` a variant, hot and timed steps together."""

    max_seconds: float = 1.0
    min_rounds: int = LEAST_ROUNDS
    timed_seconds: float = TIMED_SECONDS
    processes: int = 1
    seed: int = 0
    timed: bool = True  # False: the agreement gate alone
    narrow: float | None = NARROW  # half the width of an interval at which rounds may end
    beside: bool = True  # a control and the floor run along
    serial: bool = False  # in this process, one variant after the other


def keys(cell: Cell, variants: Sequence[str]) -> set[Key]:
    """Every interpreter that a cell may need: one a variant, the control's, the floor's."""
    own = [Key(name, cell.dtype, cell.device, cell.threads) for name in variants]
    return {*own, *(dataclasses.replace(key, copy=CONTROL) for key in own), _floor_key(cell)}


def _floor_key(cell: Cell) -> Key:
    return Key("numpy", cell.dtype, "cpu", cell.threads, FLOOR)


def has_floor(cell: Cell) -> bool:
    """Can its products be run by numpy: on the CPU, in an arithmetic that BLAS has."""
    return cell.device == "cpu" and cell.dtype in ("float32", "float64")


class CellRun:
    """Measures one cell; `run` is the whole of it."""

    def __init__(
        self,
        lab: Lab | LocalLab,
        cell: Cell,
        variants: Sequence[str],
        settings: Settings,
        say: Callable[[str], None],
    ) -> None:
        self.lab, self.cell, self.settings, self.say = lab, cell, settings, say
        self.gate = Gate(cell, settings.seed)
        own = [Key(name, cell.dtype, cell.device, cell.threads) for name in variants]
        self.entrants = [Entrant(key) for key in own]
        if settings.timed and settings.beside:
            self.entrants.append(Entrant(dataclasses.replace(own[0], copy=CONTROL), "control"))
            if has_floor(cell):
                self.entrants.append(Entrant(_floor_key(cell), "floor"))
        self.races: list[record.RaceProcess] = []

    def run(self) -> dict[str, Outcome]:
        """Outcome by variant. A variant's failure is its own; the others go on."""
        for process in range(self.settings.processes if self.settings.timed else 1):
            begin = perf_counter()
            if self.settings.processes > 1:  # all of them fresh, the first too
                for entrant in self.entrants:
                    self.lab.end(entrant.key)
            self._attempt("checking", self._prepare, self._starting())
            if self.settings.timed and self._contenders:
                self._race(process, perf_counter() - begin)
            self._attempt("releasing", self._finish)
        return {
            entrant.key.variant: entrant.outcome(self.cell, self.settings.serial)
            for entrant in self.entrants
            if entrant.role == "variant"
        }

    def beside(self) -> list[record.Measurement | record.Race]:
        """What was measured beside the variants: the control, the floor, and the race itself."""
        serial = self.settings.serial
        others = [entrant for entrant in self.entrants if entrant.role != "variant"]
        extra = [entrant.outcome(self.cell, serial).measurement for entrant in others]
        if not self.races:
            return []
        cell = self.cell
        race = record.Race(
            cell=cell.id,
            threads=cell.threads,
            flops=flops.step_flops(cell.spec, cell.size.batch, cell.size.steps, cell.phase),
            processes=tuple(self.races),
        )
        return [*extra, race]

    @property
    def _running(self) -> list[Entrant]:
        return [entrant for entrant in self.entrants if entrant.status == "ok"]

    @property
    def _contenders(self) -> list[Entrant]:
        return [entrant for entrant in self._running if entrant.role == "variant"]

    def _starting(self) -> list[Entrant]:
        """Who starts first is drawn anew in each run, since it may matter.

        Not from the seed, which is the same in all runs. The control repeats one who has started.
        """
        drawn = np.random.default_rng()
        running = [self._running[index] for index in drawn.permutation(len(self._running))]
        return sorted(running, key=lambda entrant: entrant.role == "control")

    def _attempt(
        self, what: str, action: Callable[[Entrant], None], order: Sequence[Entrant] | None = None
    ) -> None:
        for entrant in order or self._running:
            self.say(f"{what} {entrant.label}")
            self._guarded(entrant, action)

    def _guarded(self, entrant: Entrant, action: Callable[[Entrant], None]) -> None:
        try:
            action(entrant)
        except WorkerError as error:
            entrant.fail(error.status, str(error), error.details)
        except registry.BrokenBackendError as error:
            entrant.fail("failed", str(error))
        if entrant.status != "ok" and entrant.interpreter is not None:
            self._release(entrant)

    def _release(self, entrant: Entrant) -> None:
        assert entrant.interpreter is not None
        if not entrant.interpreter.alive():
            return
        try:
            self._call(entrant, "release")
        except WorkerError:
            self.lab.end(entrant.key)  # it could not even let go: a fresh one for the next cell

    def _call(self, entrant: Entrant, operation: str, **arguments: Any) -> Any:
        assert entrant.interpreter is not None
        return entrant.interpreter.call(operation, self.lab.timeout, **arguments)

    def _ask(self, entrant: Entrant) -> Callable[..., Any]:
        return partial(self._call, entrant)

    def _prepare(self, entrant: Entrant) -> None:
        """Build, check against the oracle, warm up."""
        if entrant.role == "control" and not self._controlled(entrant):
            return
        entrant.interpreter = self.lab.get(entrant.key, self.say)
        ask, started = self._ask(entrant), entrant.interpreter.started
        if entrant.role == "floor":
            build_seconds = first_seconds = 0.0
            cell = self.cell
            size = {"batch": cell.size.batch, "steps": cell.size.steps, "dtype": cell.dtype}
            ask("build_floor", spec=dataclasses.asdict(cell.spec), **size)
        else:
            build_seconds = self.gate.build(ask)
            first_seconds, entrant.loss, found = self.gate.before(ask, entrant.key.variant)
            if not entrant.judge(found):
                return
        entrant.cold = record.ColdStart(
            start_seconds=started.start_seconds,
            import_seconds=started.import_seconds,
            build_seconds=build_seconds,
            first_call_seconds=first_seconds,
        )
        entrant.interpreter.survey()
        if self.settings.timed:
            self._warm(ask)
            block = Block(timed_seconds=max(TIMED_SECONDS, self.settings.timed_seconds))
            counts = entrant.role != "floor"
            entrant.side = Side(
                entrant.label,
                ask,
                self.cell.phase,
                block,
                counts=counts,
                cpu_seconds=entrant.interpreter.cpu_seconds,
            )

    def _controlled(self, control: Entrant) -> bool:
        """The control is the first variant still in the race; without any, there is none."""
        if not self._contenders:
            control.fail("skipped", "no variant is left that it could repeat")
            return False
        first = self._contenders[0].key
        if control.processes and control.key.variant != first.variant:
            control.fail("skipped", f"{control.key.variant}, which it repeated, is out of the race")
            return False
        control.key = dataclasses.replace(first, copy=CONTROL)
        return True

    def _warm(self, ask: Callable[..., Any]) -> None:
        """Warm steps; a GPU runs until its clock stands, or for as long where nobody tells it."""
        options = {"phase": self.cell.phase, "seconds": WARM_SECONDS, "steps": WARM_STEPS}
        ask("warm", **options)
        if self.cell.device == "cpu":
            return
        begin, clocks = perf_counter(), list[float]()
        while perf_counter() - begin < STEADY_SECONDS:
            ask("warm", **options)
            mhz = state.clocks(self.cell.device).mhz
            clocks += [] if mhz is None else [mhz]
            last = clocks[-LOOKS:]
            if len(last) == LOOKS and max(last) - min(last) <= STEADY_MHZ * max(last):
                break

    def _race(self, process: int, before_seconds: float) -> None:
        """The rounds; then one record an entry."""
        settings = self.settings
        by_side = {id(e.side): e for e in self._running}
        rounds = Rounds(
            running=lambda: [e.side for e in self._running if e.side is not None],
            attempt=lambda side, block: self._guarded(by_side[id(side)], lambda _: block()),
            device=self.cell.device,
            cores=self.lab.cores_of(self.cell.threads),
            say=self.say,
            narrow=settings.narrow,
        )
        race = rounds.run(
            np.random.default_rng((settings.seed, process)),
            least=max(LEAST_ROUNDS, settings.min_rounds),
            seconds=settings.max_seconds * len(self._running),
        )
        begin = perf_counter()
        for entrant in self._running:
            self._guarded(entrant, self._record)
        self._attempt("checking again", self._check_again)
        after_seconds = perf_counter() - begin
        self.races.append(replace(race, before_seconds=before_seconds, after_seconds=after_seconds))

    def _record(self, entrant: Entrant) -> None:
        """Check what the last timed step gave, ask what ran, and keep the rounds."""
        ask = self._ask(entrant)
        entrant.updates = ask("updates")
        # Before anything else is asked of it: a model may use its buffers again.
        found = self.gate.last(ask) if entrant.role == "variant" else None
        if found is not None:
            entrant.judge(found)
        room = RAW_STEPS // self.settings.processes
        entrant.keep(ask("about"), room, self.settings.seed)

    def _check_again(self, entrant: Entrant) -> None:
        """Something not seen before, and whether sync waits."""
        if entrant.role != "variant":
            return
        assert entrant.side is not None
        ask, seconds = self._ask(entrant), float(np.median(entrant.side.seconds))
        if entrant.judge(self.gate.after(ask, entrant.key.variant, entrant.updates)):
            cheat = self.gate.cheats(ask, seconds)
            if cheat is not None:
                entrant.fail("disagrees", cheat)

    def _finish(self, entrant: Entrant) -> None:
        """Where nothing was timed, something not seen before; then let go."""
        if not self.settings.timed and entrant.role == "variant":
            entrant.judge(self.gate.after(self._ask(entrant), entrant.key.variant, 0))
        if entrant.status == "ok":
            self._release(entrant)

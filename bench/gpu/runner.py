"""One run: each part in its process, within its time, and its record on disk as soon as it ends."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep

import msgspec

from bench.gpu import devices
from bench.gpu.judge import Verdict
from bench.gpu.parts import MINUTES, Part, Plan
from bench.gpu.process import PartProcess
from bench.gpu.records import Answer, PartRecord, Status
from bench.records import machine

POLL_SECONDS = 0.1
LEAST_SECONDS = 3.0  # left, for a part to begin
END_SECONDS = 12.0  # of a run, to end the part that is running and for its own last words
CORES_A_PART, MOST_SLOTS = 2, 8
REPLACED_SECONDS = 5.0  # of a part that is made to hang or to fail
LOG_LINES = 12  # of a part that is not good, in the record


def slots(cores: int) -> int:
    """How many parts that time nothing may run side by side."""
    return max(1, min(MOST_SLOTS, cores // CORES_A_PART))


@dataclass
class Runner:
    """Runs parts; `ended` is told of each record as it comes."""

    folder: Path
    minutes: float
    ended: Callable[[PartRecord], None]
    slots: int = field(default_factory=lambda: slots(len(machine.available_cores())))
    replaced: dict[str, str] = field(default_factory=dict)  # part -> "hang" or "fail"
    _begin: float = field(default_factory=monotonic)
    _running: dict[str, tuple[Part, PartProcess]] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Since the run began."""
        return monotonic() - self._begin

    def run(self, parts: Sequence[Part]) -> None:
        """All of them, in their order, those that are not `alone` side by side."""
        try:
            for part in parts:
                while not self._may_start(part):
                    self._wait()
                self._start(part)
            while self._running:
                self._wait()
        finally:
            for part, process in self._running.values():  # after an interrupt alone
                process.end()
                self._record(part, process.limit_seconds, "not reached", "the run was interrupted")
            self._running.clear()

    def _left(self) -> float:
        return 60.0 * self.minutes - END_SECONDS - self.seconds

    def _may_start(self, part: Part) -> bool:
        if part.skip or not self._running:
            return True
        beside = any(running.alone for running, _ in self._running.values())
        return not part.alone and not beside and len(self._running) < self.slots

    def _wait(self) -> None:
        """Record the parts that have ended; where none has, wait a little."""
        over = [name for name, (_, process) in self._running.items() if not process.running()]
        for name in over:
            self._finish(*self._running.pop(name))
        if not over:
            sleep(POLL_SECONDS)

    def _start(self, part: Part) -> None:
        limit = min(part.seconds * max(1.0, self.minutes / MINUTES), self._left())
        if part.skip:
            self._record(part, 0.0, "skipped", part.skip)
        elif limit < LEAST_SECONDS:
            self._record(part, 0.0, "not reached", "the time was used up before")
        else:
            command = part.command
            if part.name in self.replaced:
                command = ("-m", "bench.gpu", self.replaced[part.name])
                limit = min(limit, REPLACED_SECONDS)
            log = self.folder / f"{part.name}.log"
            self._running[part.name] = part, PartProcess(command, log, limit, part.variables)

    def _finish(self, part: Part, process: PartProcess) -> None:
        seconds, ended = process.seconds, process.end()
        try:
            verdict = part.judge(ended)
        except ValueError as error:  # records that cannot be read
            verdict = Verdict("failed", str(error))
        if process.timed_out:
            verdict = Verdict("timed out", f"ended after {seconds:.0f} s; {verdict.result}")
        last = tuple(ended.lines[-LOG_LINES:]) if verdict.status != "good" else ()
        found = PartRecord(
            name=part.name,
            proves=part.proves,
            status=verdict.status,
            seconds=round(seconds, 1),
            limit_seconds=round(process.limit_seconds, 1),
            result=verdict.result,
            log=process.log.name,
            last_lines=last,
        )
        self.ended(found)

    def _record(self, part: Part, limit: float, status: Status, result: str) -> None:
        """Of a part that gave no result."""
        self.ended(
            PartRecord(
                name=part.name,
                proves=part.proves,
                status=status,
                seconds=0.0,
                limit_seconds=round(limit, 1),
                result=result,
            )
        )


def run_all(
    plan: Plan, runner: Runner, only: Collection[str], answered: Callable[[list[Answer]], None]
) -> None:
    """First what is installed, then all parts, or those of `only`; `answered` is told what the
    variants find.
    """
    runner.run([plan.first()])
    file = plan.folder / devices.FILE
    answers = msgspec.json.decode(file.read_bytes(), type=list[Answer]) if file.exists() else []
    answered(answers)
    known = dataclasses.replace(plan, answers=answers)
    runner.run([part for part in known.parts() if not only or part.name in only])

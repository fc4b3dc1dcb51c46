"""One candidate of a workload, and its record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from msgspec.structs import replace

from bench.correctness import comparison
from bench.correctness.judged_answers import Judge
from bench.measurement.rounds import TimedModel
from bench.records import provenance, schema
from bench.records.workload import Workload
from bench.workers.process import Worker, WorkerKey


@dataclass(frozen=True)
class Outcome:
    """A measurement and, if something failed, its details."""

    measurement: schema.Measurement
    details: str = ""

    @property
    def light(self) -> Outcome:
        """The same without the raw step times, which are many."""
        processes = tuple(replace(each, step_seconds=()) for each in self.measurement.processes)
        return Outcome(replace(self.measurement, processes=processes), self.details)


@dataclass(frozen=True)
class Prepared:
    """A candidate that is built, checked and warmed up."""

    worker: Worker
    cold: schema.ColdStart
    model: TimedModel


@dataclass(eq=False)
class Candidate:
    """One candidate on its way through a workload."""

    key: WorkerKey
    role: schema.Role = "variant"
    versions: Mapping[str, str] = field(default_factory=dict)
    checks: list[schema.Agreement] = field(default_factory=list)
    processes: list[schema.ProcessRounds] = field(default_factory=list)
    status: schema.Status = "ok"
    reason: str = ""
    details: str = ""
    path: str = ""
    loss: float | None = None
    updates: int = 0  # made by the last block since it loaded its parameters
    looks: Judge | None = None  # of the answers during the rounds of the present process

    @property
    def label(self) -> str:
        names = {"control": "the control", "gemm baseline": "the GEMM baseline"}
        return names.get(self.role, self.key.variant)

    def fail(self, status: schema.Status, reason: str, details: str = "") -> None:
        self.status, self.reason, self.details = status, reason, details

    def judge(self, found: schema.Agreement) -> bool:
        self.checks.append(found)
        if found.failures:
            self.fail("disagrees", found.failures[0], "\n".join(found.failures))
        return not found.failures

    def keep(
        self,
        prepared: Prepared,
        about: Mapping[str, Any],
        room: int,
        seed: int,
        learned: schema.Learned | None = None,
    ) -> None:
        """Keep the rounds of a process, and what its worker reports (`Operations.about`).

        At most `room` step times are kept.
        """
        model = prepared.model
        self.path = about["path"]
        self.processes.append(
            schema.ProcessRounds(
                seconds=tuple(model.seconds),
                position=tuple(model.positions),
                step_seconds=_kept(model.raw, room, seed),
                steps=sum(map(len, model.raw)),
                cold=prepared.cold,
                effective_threads=about["threads"],
                cores_busy=about["busy"],
                page_faults=about["page_faults"],
                switches=about["switches"],
                looks=self.looks.count if self.looks else 0,
                by_steps=tuple(
                    schema.StepsOf(
                        steps=steps, first_call_seconds=first, seconds=model.seconds_at(number)
                    )
                    for number, (steps, first) in enumerate(
                        zip(model.steps, model.first_seconds, strict=True)
                    )
                ),
                step_times=_distribution(model.raw) if model.transfers else None,
                transfer_step_times=_distribution(model.with_transfers)
                if model.transfers
                else None,
                throughput_seconds=tuple(model.throughput_seconds),
                device_seconds=tuple(model.device_seconds),
                peak_host_bytes=about["peak_host_bytes"],
                held_host_bytes=about["held_host_bytes"],
                peak_device_bytes=about["peak_device_bytes"],
                learned=learned,
            )
        )

    def outcome(self, workload: Workload, serial: bool) -> Outcome:
        measurement = schema.Measurement(
            workload=workload,
            variant=self.key.variant,
            role=self.role,
            serial=serial,
            status=self.status,
            reason=provenance.without_paths(self.reason),
            versions=dict(self.versions),
            path=self.path,
            loss=self.loss,
            agreement=comparison.joined(self.checks) if self.checks else None,
            # The time of a variant that computes something else is not a result.
            processes=tuple(self.processes) if self.status == "ok" else (),
        )
        return Outcome(measurement, self.details)


def outcomes(
    candidates: Sequence[Candidate], workload: Workload, serial: bool
) -> dict[str, Outcome]:
    """Those of the variants, by name."""
    variants = [candidate for candidate in candidates if candidate.role == "variant"]
    return {each.key.variant: each.outcome(workload, serial) for each in variants}


def _distribution(raw: list[np.ndarray]) -> schema.StepTimes:
    """Of all steps of all rounds."""
    seconds = np.concatenate(raw)
    median, p90, p99 = np.quantile(seconds, (0.5, 0.9, 0.99), method="higher").tolist()
    return schema.StepTimes(
        steps=len(seconds),
        median_seconds=_short(median),
        p90_seconds=_short(p90),
        p99_seconds=_short(p99),
        worst_seconds=_short(seconds.max()),
    )


def _kept(raw: list[np.ndarray], room: int, seed: int) -> tuple[tuple[float, ...], ...]:
    """All step times by round; of more than `room`, a seeded sample in their order."""
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
    """Rounded to nanoseconds, finer than the clock's precision."""
    return round(float(seconds), 9)

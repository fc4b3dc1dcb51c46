"""Which workloads of two runs may be compared, and why others may not."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.compare.runs import RunData, Sample, WorkloadKey
from bench.records.workload import Workload

# Parts of the key that two runs may differ in throughout: as little as possible, tried in this
# order.
_DIFFERING = ("threads", "dtype", "device", "size", "cell")
_DROPPED = tuple(
    chosen for count in (1, 2, 3) for chosen in itertools.combinations(_DIFFERING, count)
)


@dataclass(frozen=True)
class Match:
    """Two runs, their workloads under common keys, and what differs all the same."""

    base: RunData
    other: RunData
    differences: tuple[str, ...]  # each is a reason not to compare, unless forced
    same_machine: bool
    alone: tuple[int, int]  # workloads that only the first has, and only the second


class IncomparableError(ValueError):
    """The runs are of different things; the message says which, and what to do."""


def match(base: RunData, other: RunData, *, force: bool = False) -> Match:
    """The workloads that both have. Raises IncomparableError where any of these differ: the
    machine, the model of a workload, dtypes or threads of runs that have nothing else in common;
    unless `force`.
    """
    differences = []
    for run in (base, other):
        if run.serial:
            raise IncomparableError(
                f"{run.name} holds times of --serial: taken one after the other in one process, "
                "they are never compared"
            )
    same_machine = base.machine == other.machine
    if not same_machine:
        differences.append(f"machine: {base.machine} / {other.machine}")
    common = _common(base, other)
    if not common:
        base, other, relaxed = _relaxed(base, other)
        differences += relaxed
        common = _common(base, other)
    differences += _models(base, other, common)
    if differences and not force:
        raise IncomparableError(
            f"{base.name} and {other.name} are not comparable: {'; '.join(differences)}. "
            "With --force they are compared all the same, and this is said"
        )
    alone = (len(base.workloads) - len(common), len(other.workloads) - len(common))
    return Match(base, other, tuple(differences), same_machine, alone)


def _common(base: RunData, other: RunData) -> list[WorkloadKey]:
    return [key for key in base.workloads if key in other.workloads]


def _models(base: RunData, other: RunData, common: Sequence[WorkloadKey]) -> list[str]:
    """Workloads of one key that hold another model: "...: hidden_size 64 / 128"."""
    found = []
    for key in common:
        here, there = (_workload(run.workloads[key]) for run in (base, other))
        if here is None or there is None:
            continue
        first, second = _facts(here), _facts(there)
        changed = [f"{name} {first[name]} / {second[name]}" for name in first
                   if first[name] != second[name]]  # fmt: skip
        found += [f"{key}: {', '.join(changed)}"] if changed else []
    return found


def _workload(samples: Mapping[str, Sample]) -> Workload | None:
    """That of the variants; None of foreign tests."""
    return next((s.workload for s in samples.values() if s.role == "variant"), None)


def _facts(workload: Workload) -> dict[str, Any]:
    """What has to be the same in both, by name."""
    numbers = {"batch": workload.batch, "steps": workload.steps}
    return {**numbers, **dataclasses.asdict(workload.spec)}


def _relaxed(base: RunData, other: RunData) -> tuple[RunData, RunData, list[str]]:
    """Both with keys that leave out what differs between all of their workloads.

    Raises IncomparableError where nothing is left that both have.
    """
    for dropped in _DROPPED:
        here, there = (_without(run, dropped) for run in (base, other))
        if here is not None and there is not None and _common(here, there):
            values = (f"{part}: {_values(base, part)} / {_values(other, part)}" for part in dropped)
            return here, there, list(values)
    names = [", ".join(map(str, list(run.workloads)[:3])) for run in (base, other)]
    raise IncomparableError(
        f"{base.name} and {other.name} have no workload in common: {names[0]} ... / {names[1]} "
        "...; expected runs of the same tasks, cells, sizes and phases"
    )


def _without(run: RunData, dropped: Sequence[str]) -> RunData | None:
    """The run under shorter keys; None where two of its workloads would have one key."""
    short = {key: replace(key, **dict.fromkeys(dropped)) for key in run.workloads}
    if len(set(short.values())) < len(short):
        return None
    return replace(
        run,
        workloads={short[key]: samples for key, samples in run.workloads.items()},
        disturbed={short[key]: run.disturbed.get(key, 0.0) for key in short},
    )


def _values(run: RunData, part: str) -> str:
    """All that the workloads of a run have of a part of their keys: "float32, float64"."""
    found = {getattr(key, part) for key in run.workloads if key.test is None}
    return ", ".join(sorted(map(str, found)))

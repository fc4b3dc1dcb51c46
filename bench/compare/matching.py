"""Which workloads of two runs may be compared, and why others may not."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.compare.runs import RunData, Sample, WorkloadKey
from bench.records.workload import Workload

# Parts of the key in which all workloads of two runs may differ. The first set that matches wins.
_DIFFERING = ("threads", "dtype", "device", "size", "cell")
_DROPPED = tuple(
    chosen for count in (1, 2, 3) for chosen in itertools.combinations(_DIFFERING, count)
)


@dataclass(frozen=True)
class Match:
    """Two runs, their workloads under common keys, and their other differences."""

    base: RunData
    other: RunData
    differences: tuple[str, ...]  # each forbids the comparison, unless forced
    same_machine: bool
    alone: tuple[int, int]  # number of workloads that only the first or only the second has


class IncomparableError(ValueError):
    """The runs measured different things; the message names them, and what to do."""


def match(base: RunData, other: RunData, *, force: bool = False) -> Match:
    """Match the workloads that both runs have.

    Unless `force`, raises IncomparableError if the machine or the model of a workload differs, or
    if only another dtype or number of threads makes the workloads match.
    """
    differences = []
    for run in (base, other):
        if run.serial:
            raise IncomparableError(
                f"{run.name} is a --serial run: its times were measured one after the other in one "
                "process and cannot be compared"
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
            "--force compares them anyway and reports these differences"
        )
    alone = (len(base.workloads) - len(common), len(other.workloads) - len(common))
    return Match(base, other, tuple(differences), same_machine, alone)


def _common(base: RunData, other: RunData) -> list[WorkloadKey]:
    return [key for key in base.workloads if key in other.workloads]


def _models(base: RunData, other: RunData, common: Sequence[WorkloadKey]) -> list[str]:
    """Workloads with the same key and different models: "...: hidden_size 64 / 128"."""
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
    """The workload of the variants; None for foreign tests."""
    return next((s.workload for s in samples.values() if s.role == "variant"), None)


def _facts(workload: Workload) -> dict[str, Any]:
    """The fields that must be equal in both runs, by name."""
    given = {"weights": workload.weights, "embedding": workload.embedding}
    data = workload.data
    return {
        "batch": workload.batch,
        "steps": workload.steps,
        "steps_vary": workload.steps_vary,
        "stateful": workload.stateful,
        **dataclasses.asdict(workload.spec),
        **dataclasses.asdict(workload.inputs),
        **{
            name: f"{file.name} {file.sha256[:8]}" if file else None for name, file in given.items()
        },
        "data": data.sha256[:8] if data else None,
        "reading of the data": data.reading if data else None,
        "optimizer": workload.optimizer.name if workload.optimizer else None,
    }


def _relaxed(base: RunData, other: RunData) -> tuple[RunData, RunData, list[str]]:
    """Both runs, with keys that omit the parts in which all their workloads differ.

    Raises IncomparableError if they still have no workload in common.
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
    """The run under shorter keys; None if two of its workloads would get the same key."""
    short = {key: replace(key, **dict.fromkeys(dropped)) for key in run.workloads}
    if len(set(short.values())) < len(short):
        return None
    return replace(
        run,
        workloads={short[key]: samples for key, samples in run.workloads.items()},
        disturbed={short[key]: run.disturbed.get(key, 0.0) for key in short},
    )


def _values(run: RunData, part: str) -> str:
    """The values of one part of the keys in a run: "float32, float64"."""
    found = {getattr(key, part) for key in run.workloads if key.test is None}
    return ", ".join(sorted(map(str, found)))

"""From the records of a run to its summary. Pure."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Iterable, Sequence

import msgspec

from bench.analysis import estimators, verdicts, workload_view
from bench.analysis.workload_view import WorkloadView
from bench.records.schema import Measurement, Run, WorkloadRecord
from bench.records.summary import Summary, WorkloadSummary, pairs
from bench.records.workload import Workload

EACH_CORE = -1  # threads of a workload on any machine
DIGITS = 4  # significant ones of what is kept


def summary(
    run: Run,
    measurements: Sequence[Measurement],
    records: Iterable[WorkloadRecord],
    *,
    record_bytes: int,
    planned: int | None = None,
) -> Summary:
    """The summary of a run whose records have `record_bytes`; `planned` workloads were asked for.

    The variants of a serial run were not timed beside each other: none of them has a time in it.
    """
    return Summary(
        name=run.name,
        node=run.node,
        started=run.started,
        project=run.project,
        commit=run.commit,
        machine=run.machine,
        versions=_versions(measurements),
        between_process=run.between_process,
        planned=planned,
        record_bytes=record_bytes,
        workloads=tuple(map(_workload, workload_view.views(run, measurements, records))),
    )


def _versions(measurements: Iterable[Measurement]) -> dict[str, str]:
    found: dict[str, dict[str, None]] = {}
    for m in measurements:
        for name, version in m.versions.items():
            found.setdefault(name, {})[version] = None
    return {name: ", ".join(versions) for name, versions in sorted(found.items())}


def on_any_machine(workload: Workload) -> Workload:
    """The workload without what belongs to a machine: its device, and one thread for each core."""
    asked = workload.threads if "threads" in workload.overridden else EACH_CORE
    return msgspec.structs.replace(workload, device="", threads=asked)


def _row(here: Workload) -> str:
    """What is computed; by which options it was asked for is a matter of its label."""
    computed = _given(msgspec.structs.replace(here, overridden=()))
    return hashlib.sha256(msgspec.json.encode(computed)).hexdigest()[:16]


def _given(value: object) -> object:
    """The fields that are not at their default: a version that adds one makes no other workload."""
    if isinstance(value, msgspec.Struct):
        defaults = {field.name: field.default for field in msgspec.structs.fields(value)}
    elif dataclasses.is_dataclass(value):
        defaults = {field.name: field.default for field in dataclasses.fields(value)}
    else:
        return value
    return {
        name: _given(getattr(value, name))
        for name, default in defaults.items()
        if getattr(value, name) != default
    }


def _workload(view: WorkloadView) -> WorkloadSummary:
    workload, here = view.workload, on_any_machine(view.workload)
    reference = view.candidates[view.fastest] if view.fastest and not view.serial else None
    # Those that were timed in the same rounds as the fastest one.
    ranked = [
        label
        for label in view.ranked
        if reference is not None and estimators.paired(view.candidates[label], reference)
    ]
    measured = [view.candidates[label] for label in ranked]
    found = [
        verdicts.compare(measured[a], measured[b], view.between_process)
        for a, b in pairs(len(measured))
    ]
    baseline = view.baseline
    return WorkloadSummary(
        title=f"{here.phase}[{here.task}-{here.spec.cell}-{here.label}-{here.dtype}]",
        row=_row(here),
        device=workload.device,
        variants=tuple(m.variant for m in measured),
        log_ratios=tuple(_short(each.log_ratio) for each in found),
        standard_errors=tuple(
            _short(each.standard_error) if math.isfinite(each.standard_error) else None
            for each in found
        ),
        degrees=tuple(_short(each.degrees) for each in found),
        processes=max((len(m.processes) for m in measured), default=1),
        disturbed=view.unclear,
        baseline_seconds=_short(estimators.median_seconds(baseline))
        if baseline is not None and baseline.processes
        else None,
        without_time={
            m.variant: _why(m, view) for label, m in view.candidates.items() if label not in ranked
        },
    )


def _why(m: Measurement, view: WorkloadView) -> str:
    found = workload_view.verdict(m)
    if found not in workload_view.FINE:
        return found
    return "serial" if view.serial else "in rounds of its own"


def _short(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")

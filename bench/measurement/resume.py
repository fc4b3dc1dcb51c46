"""What a run that is resumed has measured, and whether this run may go on with it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from bench.measurement.candidate import Outcome
from bench.measurement.case import Case
from bench.measurement.plan import Plan
from bench.records import schema, store
from bench.records.workload import Workload

_SAME_MEMORY = 0.01  # relative: a kernel keeps more or less of it for itself


class NotResumableError(ValueError):
    """The run and this one differ; the message says in what."""


@dataclass(frozen=True)
class Resumed:
    """The complete workloads of a run."""

    outcomes: Mapping[Case, Outcome] = field(default_factory=dict)
    versions: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # by variant
    damaged: tuple[str, ...] = ()  # lines that are left out, and measured again

    @property
    def workloads(self) -> set[Workload]:
        return {case.workload for case in self.outcomes}

    def expect_versions(self, variant: str, found: Mapping[str, str]) -> None:
        """Raise NotResumableError unless the variant has the versions of its measurements."""
        before = self.versions.get(variant, found)
        differ = [
            f"{name} {before.get(name, 'absent')}, now {found.get(name, 'absent')}"
            for name in sorted({*before, *found})
            if before.get(name) != found.get(name)
        ]
        if differ:
            raise NotResumableError(f"{variant} was measured with {'; '.join(differ)}")


def read(
    plan: Plan, folder: Path, machine: schema.Machine, project: str, commit: str | None
) -> Resumed:
    """What the run in `folder` has of `plan`. Its file stays as it is.

    Raises NotResumableError if the machine, the versions or the workloads differ, and ValueError if
    the records cannot be read.
    """
    file = folder / store.FILE
    if not file.exists() or not file.stat().st_size:
        return Resumed()  # it ended before its first workload
    run, measurements, about = store.read(file)
    here = {**msgspec.structs.asdict(machine), "rnnbench": project, "commit": commit}
    before = {**msgspec.structs.asdict(run.machine), "rnnbench": run.project, "commit": run.commit}
    differ = [*_differences(before, here), *_unplanned(plan, run, measurements)]
    if differ:
        raise NotResumableError("; ".join(differ))
    variants: dict[Case, schema.Measurement] = {
        Case(m.workload, m.variant): m for m in measurements if m.role == "variant"
    }
    ended = {record.workload for record in about}
    complete = {
        workload
        for workload, cases in plan.by_workload.items()
        if all(case in variants for case in cases)
        and (workload in ended or not any(variants[case].processes for case in cases))
    }
    return Resumed(
        outcomes={
            case: Outcome(found).light
            for case, found in variants.items()
            if case.workload in complete
        },
        versions={m.variant: m.versions for m in variants.values() if m.versions},
        damaged=run.damaged,
    )


def _differences(before: Mapping[str, object], here: Mapping[str, object]) -> Iterator[str]:
    """ "cores: 8 in the run, 4 here"."""
    for name, found in here.items():
        was = before[name]
        if name == "memory_bytes" and isinstance(was, int) and isinstance(found, int):
            if abs(was - found) > _SAME_MEMORY * was:
                yield f"memory: {was / 2**30:.1f} GiB in the run, {found / 2**30:.1f} GiB here"
        elif was != found:
            yield f"{name.replace('_', ' ')}: {_shown(was)} in the run, {_shown(found)} here"


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)


def _unplanned(
    plan: Plan, run: schema.Run, measurements: list[schema.Measurement]
) -> Iterator[str]:
    """What was measured otherwise than planned, or is not planned at all."""
    if run.serial != plan.settings.serial:
        yield "--serial: " + ("only in the run" if run.serial else "only here")
    planned = {*plan.all_cases}
    by_id = {case.workload.id: case.workload for case in planned}
    for m in measurements:
        if m.role != "variant":
            continue
        if Case(m.workload, m.variant) not in planned:
            what = _other_data(m.workload, planned) or _specs(
                m.workload, by_id.get(m.workload.id), m.variant
            )
            yield f"{what}; its options were: {run.command}"
            return
        found = plan.settings.finds_processes
        if m.processes and not found and len(m.processes) != plan.settings.processes:
            count = plan.settings.processes
            yield f"--processes: {len(m.processes)} in the run, {count} here"
            return


def _other_data(was: Workload, planned: Collection[Case]) -> str:
    """ "the content of reviews.tsv has changed ..."; empty unless another file is read for it."""
    here = [case.workload.data for case in planned if case.workload.task == was.task]
    found = {data.sha256: data for data in here if data is not None}
    if was.data is None or was.data.sha256 in found:
        return ""
    for data in found.values():
        if data.name == was.data.name:
            hashes = f"sha256 {was.data.sha256[:8]} in the run, {data.sha256[:8]} here"
            return f"the content of {data.name} has changed: {hashes}"
    return ""


def _specs(was: Workload, here: Workload | None, variant: str) -> str:
    """What these options ask for in place of a workload that was measured."""
    if here is None or here == was:
        return f"{was.id} was measured with {variant}, and these options do not ask for that"
    pairs = msgspec.structs.asdict(was), msgspec.structs.asdict(here)
    names = [name for name in pairs[0] if pairs[0][name] != pairs[1][name]]
    return f"{was.id} differs in {', '.join(names)}"

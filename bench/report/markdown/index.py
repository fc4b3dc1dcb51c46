"""The index of reports as one object of text, which its template formats. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from bench.analysis import machines, text
from bench.analysis.workload_view import FINE, NOT_RUN, verdict
from bench.records.schema import Measurement, Run
from bench.records.workload import Workload

HEAD = """# Reports

One folder per run, the newest first. `measurements.jsonl` in each is the source of this page."""

COLUMNS = (
    *("run", "date", "machine", "tasks", "phases", "dtypes", "workloads", "failures"),
    "variants",
)


@dataclass(frozen=True)
class IndexView:
    """All that the template of the index gets; the tables may be empty."""

    head: str
    machines: str
    compared: bool  # whether machines.md lies beside it
    runs: str
    unreadable: str


def index_view(
    runs: Sequence[tuple[Run, Sequence[Measurement]]],
    unreadable: Sequence[tuple[str, str]] = (),
    *,
    compared: bool = False,
) -> IndexView:
    """The newest run first. `unreadable` holds (folder, reason) of records that cannot be read;
    `compared` is whether a table over machines lies beside the index.
    """
    newest = sorted(runs, key=lambda of: of[0].started, reverse=True)
    rows = [_row(run, measurements) for run, measurements in newest]
    bad = [[text.escape(folder), text.escape(why)] for folder, why in unreadable]
    return IndexView(
        head=HEAD,
        machines=_machines(newest),
        compared=compared,
        runs=text.table(COLUMNS, rows, right=(6,)) if rows else "",
        unreadable=text.table(("folder", "reason"), bad) if bad else "",
    )


def _machines(runs: Sequence[tuple[Run, Sequence[Measurement]]]) -> str:
    """A row for each kind of machine: how many runs and workloads, and the newest run."""
    kinds: dict[str, list[tuple[Run, set[Workload]]]] = {}
    for run, measurements in runs:
        of_devices: dict[str, set[Workload]] = {}
        for m in measurements:
            if m.processes and m.role == "variant":
                of_devices.setdefault(m.workload.device, set()).add(m.workload)
        for device, workloads in of_devices.items():
            kinds.setdefault(machines.kind(run.machine, device), []).append((run, workloads))
    rows = [
        (
            text.escape(kind),
            str(len(found)),
            str(len(set[Workload]().union(*(workloads for _, workloads in found)))),
            text.date(found[0][0].started),
        )
        for kind, found in kinds.items()
    ]
    return text.table(("machine", "runs", "workloads", "newest"), rows, (1, 2)) if rows else ""


def _row(run: Run, measurements: Sequence[Measurement]) -> tuple[str, ...]:
    variants = [m for m in measurements if m.role == "variant"]
    return (
        f"[{text.escape(run.name)}]({quote(run.name, safe='')}/report.md)",
        text.date(run.started),
        ", ".join((text.escape(run.machine.cpu), text.plural(run.machine.cores, "core"))),
        text.listing(m.workload.task for m in variants),
        text.listing(m.workload.phase for m in variants),
        text.listing(m.workload.dtype for m in variants),
        str(len({m.workload for m in variants})),
        _failures(variants, len(run.damaged)),
        text.listing(m.variant for m in variants),
    )


def _failures(measurements: Sequence[Measurement], damaged: int) -> str:
    """ "1 disagrees (torch), 2 crashed (jax, keras-jax)", or "none"; and damaged lines."""
    groups: dict[str, list[str]] = {}
    for m in measurements:
        if (status := verdict(m)) not in (*FINE, *NOT_RUN):
            groups.setdefault(status, []).append(m.variant)
    parts = [f"{len(who)} {status} ({text.listing(who)})" for status, who in groups.items()]
    parts += [f"{text.plural(damaged, 'damaged line')} left out"] if damaged else []
    return ", ".join(parts) or "none"

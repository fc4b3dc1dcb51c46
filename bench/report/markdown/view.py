"""A report as one object of text and plain values, which the template formats. Pure.

All its text is escaped already.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.analysis import changing_steps as of_changing_steps
from bench.analysis import learning as of_learning
from bench.analysis import lengths as of_lengths
from bench.analysis import outliers, scaling, text, verdicts
from bench.analysis.workload_view import NOT_RUN, WorkloadView, verdict
from bench.records.schema import Measurement, Run
from bench.report.figures.figure import Figure, Section
from bench.report.markdown import (
    changing_steps,
    conditions,
    learning,
    lengths,
    machine,
    models,
    overview,
    selftest,
    sentences,
    streams,
    sweeps,
    tables,
)

MOST_NAMED = 3  # workloads that a refusal lists by title; of more, only the count is given


@dataclass(frozen=True)
class Picture:
    """A figure of the page."""

    alt: str
    path: str


@dataclass(frozen=True)
class DeviceView:
    """The overview of one device."""

    device: str
    table: str
    undecided: bool  # the table has a "?"
    common: str  # what all rows have in common
    cells: str  # the cells whose name differs from their words, in words
    sentences: str


@dataclass(frozen=True)
class LengthsView:
    """A workload with lengths: its heading, its table, and what it shows."""

    title: str
    table: str
    sentences: str


@dataclass(frozen=True)
class ChangingStepsView:
    """A workload whose T varies: its heading, and its two tables."""

    title: str
    table: str
    costs: str


@dataclass(frozen=True)
class WorkloadSection:
    """All about one workload."""

    title: str
    model: str
    times: str  # empty if no variant ran
    more: tuple[str, ...]  # tables and sentences


@dataclass(frozen=True)
class ReportView:
    """All that the template of a report is given."""

    name: str
    started: str
    command: str  # one line, not escaped: it is printed in a code block
    project: str
    commit: str  # empty outside a checkout
    serial: bool
    warnings: tuple[str, ...]
    quiet: str  # one line: the machine and its noise
    agreement: str  # one line: how many measurements agree
    answer_figures: tuple[Picture, ...]
    measured: str  # a table: models and batches
    devices: tuple[DeviceView, ...]
    left_out: int  # workloads that the overview does not show
    overview_figures: tuple[Picture, ...]
    sweeps: tuple[sweeps.SweepView, ...]
    sweep_figures: tuple[Picture, ...]
    lengths: tuple[LengthsView, ...]
    changing_steps: tuple[ChangingStepsView, ...]
    learning: tuple[learning.LearningView, ...]
    learning_figures: tuple[Picture, ...]
    streams: tuple[streams.StreamView, ...]
    more_figures: tuple[Picture, ...]
    machine: machine.MachineView
    threads: str
    resumed: str  # when; empty if it was made in one go
    busy: str  # background load before the run, in cores; empty if unknown
    between_process: str
    counts: str
    variants: str  # a table: versions and threads
    selftest: str  # empty if none was made
    models: str
    workloads: tuple[WorkloadSection, ...]
    not_run: str  # a table of what was refused or skipped
    phases: frozenset[str]
    compared: str  # the kinds of tensors that were compared
    margin: str
    unpaired_margin: str
    fence: str
    most_disturbed: str


def report_view(
    run: Run,
    measurements: Sequence[Measurement],
    views: Sequence[WorkloadView],
    figures: Sequence[Figure],
) -> ReportView:
    """`views` and `figures` are those of `measurements`."""
    first = scaling.first_look(views)
    variants = [m for m in measurements if m.role == "variant"]
    return ReportView(
        name=text.escape(run.name),
        started=text.date(run.started),
        command=text.plain(run.command),
        project=text.escape(run.project),
        commit=text.escape(run.commit or ""),
        serial=run.serial,
        warnings=tuple(conditions.warnings(run, views)),
        quiet=conditions.machine_line(run, views),
        agreement=sentences.agreement(variants),
        answer_figures=_pictures(figures, "answer"),
        measured=models.measured(first),
        devices=tuple(map(_device, overview.by_device(first).values())),
        left_out=len(views) - len(first),
        overview_figures=_pictures(figures, "overview"),
        sweeps=tuple(map(sweeps.view, scaling.find(views))),
        sweep_figures=_pictures(figures, "sweeps"),
        lengths=tuple(
            LengthsView(lengths.title(each), lengths.table(each), lengths.sentences(each))
            for each in of_lengths.find(views)
        ),
        changing_steps=tuple(
            ChangingStepsView(
                changing_steps.title(each), changing_steps.table(each), changing_steps.costs(each)
            )
            for each in of_changing_steps.find(views)
        ),
        learning=tuple(map(learning.view, of_learning.find(views))),
        learning_figures=_pictures(figures, "learning"),
        streams=streams.sections(views),
        more_figures=_pictures(figures, "more"),
        machine=machine.view(run, {view.workload.dtype for view in views}),
        threads=", ".join(str(count or "default") for count in run.threads),
        resumed=", ".join(map(text.date, run.resumed)),
        busy="" if run.cores_busy_before is None else f"{run.cores_busy_before:.2f}",
        between_process=conditions.between_process_in_words(run.between_process),
        counts=_counts(variants),
        variants=_variants(variants),
        selftest=selftest.section(run.selftest) if run.selftest else "",
        models=models.tables(views),
        workloads=tuple(map(_workload, views)),
        not_run=_not_run(views),
        phases=frozenset(m.workload.phase for m in variants),
        compared=text.listing(
            sorted({kind for m in variants if m.agreement for kind in m.agreement.kinds})
        ),
        margin=text.share(verdicts.LEAST_MARGIN),
        unpaired_margin=text.share(verdicts.UNPAIRED_MARGIN),
        fence=f"{outliers.FENCE:g}",
        most_disturbed=text.share(verdicts.MOST_DISTURBED),
    )


def _device(views: Sequence[WorkloadView]) -> DeviceView:
    return DeviceView(
        device=text.escape(views[0].workload.device),
        table=overview.table(views),
        undecided=overview.undecided(views),
        common=overview.common(views),
        cells=overview.cells_named(views),
        sentences=overview.lines(views),
    )


def _pictures(figures: Iterable[Figure], section: Section) -> tuple[Picture, ...]:
    return tuple(Picture(f.alt, f.path) for f in figures if f.section == section)


def _workload(view: WorkloadView) -> WorkloadSection:
    more = (
        conditions.references(view),
        tables.beside(view),
        tables.unranked(view),
        tables.agreement(view),
        sentences.dropout(view),
        sentences.denormal(view),
        tables.cold_start(view),
        sentences.with_cold_start(view),
        conditions.around_rounds(view),
    )
    return WorkloadSection(
        title=view.title,
        model=tables.model_in_words(view.workload),
        times=tables.times(view) if view.order else "",
        more=tuple(filter(None, more)),
    )


def _counts(measurements: Sequence[Measurement]) -> str:
    """ "12 measurements: 9 timed and in agreement, 2 refused, 1 crashed"."""
    words = {"ok": "timed and in agreement", "agrees": "in agreement but not timed"}
    counts = Counter(map(verdict, measurements))
    parts = (f"{count} {words.get(found, found)}" for found, count in counts.items())
    return f"{text.plural(len(measurements), 'measurement')}: {', '.join(parts)}"


def _variants(measurements: Sequence[Measurement]) -> str:
    """Versions and threads of each variant that ran."""
    rows = []
    for variant in dict.fromkeys(m.variant for m in measurements if m.status not in NOT_RUN):
        mine = [m for m in measurements if m.variant == variant]
        threads = (
            f"{m.workload.threads or 'default'} requested; found {process.effective_threads}"
            for m in mine
            for process in m.processes
        )
        versions = (f"{name} {number}" for m in mine for name, number in m.versions.items())
        row = [text.escape(variant), text.listing(versions), text.listing(threads, "; ")]
        rows += [row] if any(row[1:]) else []
    head = ("variant", "versions", "threads")
    return text.table(head, rows) if rows else ""


def _not_run(views: Sequence[WorkloadView]) -> str:
    """Each reason for a refusal or a skip, with the variants and workloads it applies to."""
    groups: dict[tuple[str, str], dict[str, list[str]]] = {}
    for view in views:
        for label, m in view.candidates.items():
            if m.status in NOT_RUN:
                variants = groups.setdefault((m.status, m.reason), {})
                variants.setdefault(label, []).append(view.title)
    rows = []
    for (status, reason), variants in groups.items():
        places = {label: _where(titles, len(views)) for label, titles in variants.items()}
        where = "; ".join(f"{label}: {place}" for label, place in places.items())
        if len(set(map(tuple, variants.values()))) == 1:
            where = next(iter(places.values()))
        rows.append([", ".join(variants), status, text.escape(reason) or "not recorded", where])
    return text.table(("variant", "status", "reason", "workloads"), rows) if rows else ""


def _where(titles: Sequence[str], workloads: int) -> str:
    """The workloads by title, or only their count."""
    if len(titles) == workloads > 1:
        return "all workloads"
    if len(titles) <= MOST_NAMED:
        return ", ".join(titles)
    return text.plural(len(titles), "workload")

"""Records to markdown. Pure: no clock, no environment, no machine; the same records, the same text.

The words stand in the templates beside this file; every value reaches them escaped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import jinja2

from bench import verdicts
from bench.record import Measurement, Race, Run
from bench.report import cells as views
from bench.report import (
    conditions,
    crossings,
    figures,
    models,
    outliers,
    overview,
    plots,
    sweeps,
    tables,
    text,
)
from bench.report.cells import FINE, NOT_RUN, Cell

PHASES = ("forward", "bptt", "train_step")  # those that the template has words for
INDEX_HEAD = """# Reports

One folder a run, the newest first. This page is made from the `measurements.jsonl` in each."""
CELLS_NAMED = 3  # a reason for more cells than this says how many there are

_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    autoescape=False,  # the text is markdown: `text.escape` does it, for HTML too
)
_TEMPLATES.filters.update(md=text.escape, plain=text.plain)


@dataclass(frozen=True)
class IndexRow:
    """One run in the index of reports."""

    started: str
    entries: tuple[str, ...]


def render(run: Run, measurements: Sequence[Measurement], races: Sequence[Race] = ()) -> str:
    """The markdown of report.md. It names the figures of `plots.of_run`, which lie beside it."""
    cells = views.cells(run, measurements, races)
    return render_cells(run, measurements, cells, plots.of_run(run, cells))


def render_cells(
    run: Run,
    measurements: Sequence[Measurement],
    cells: Sequence[Cell],
    drawn: Sequence[figures.Figure],
) -> str:
    """`render`, where the cells and figures of the measurements are there already."""
    first = sweeps.base_cells(cells)
    variants = [m for m in measurements if m.role == "variant"]
    return _TEMPLATES.get_template("report.md.jinja").render(
        run=run,
        date=text.date(run.started),
        timed={m.phase for m in variants if m.phase in PHASES},
        busy=None if run.cores_busy_before is None else f"{run.cores_busy_before:.2f}",
        warnings=conditions.warnings(run, cells),
        facts=overview.facts(run, variants, cells),
        cores=text.plural(run.machine.cores, "core"),
        memory=conditions.memory(run.machine),
        gpus=[text.escape(gpu) for gpu in run.machine.gpus],
        threads=", ".join(map(str, run.threads)),
        counts=_counts(variants),
        devices=overview.by_device(first),
        left_out=len(cells) - len(first),
        overview=overview,
        drawn=drawn,
        variants=_variants(variants),
        cells=cells,
        sweeps=sweeps.find(cells),
        sweeps_of=sweeps,
        tables=tables,
        conditions=conditions,
        crossings=crossings,
        models=models.tables(cells),
        selftest=conditions.selftest(run.selftest),
        offset=conditions.offset_in_words(run.offset),
        margin=text.share(verdicts.LEAST_MARGIN),
        fence=f"{outliers.FENCE:g}",
        not_run=_not_run(cells),
        compared=text.listing(
            sorted({kind for m in variants if m.agreement for kind in m.agreement.kinds})
        ),
    )


def render_index(
    runs: Sequence[tuple[Run, list[Measurement]]],
    unreadable: Sequence[tuple[str, str]] = (),
) -> str:
    """The markdown of reports/README.md, newest run first.

    `unreadable` holds (folder, why) of those whose records cannot be read.
    """
    rows = sorted((index_row(*run) for run in runs), key=lambda r: r.started, reverse=True)
    head = ("run", "date", "machine", "tasks", "phases", "dtypes", "cells", "not right", "variants")
    bad = [[text.escape(folder), text.escape(why)] for folder, why in unreadable]
    return _TEMPLATES.get_template("index.md.jinja").render(
        head=INDEX_HEAD,
        runs=text.table(head, [row.entries for row in rows], right=(6,)) if rows else "",
        unreadable=text.table(("folder", "why it cannot be read"), bad) if bad else "",
    )


def index_row(run: Run, measurements: Sequence[Measurement]) -> IndexRow:
    """The line of one run in the index."""
    entries = (
        f"[{text.escape(run.name)}]({quote(run.name, safe='')}/report.md)",
        text.date(run.started),
        ", ".join((text.escape(run.machine.cpu), text.plural(run.machine.cores, "core"))),
        text.listing(m.task for m in measurements),
        text.listing(m.phase for m in measurements),
        text.listing(m.dtype for m in measurements),
        str(len({(m.cell, m.threads) for m in measurements})),
        _not_right(measurements),
        text.listing(m.variant for m in measurements),
    )
    return IndexRow(started=run.started, entries=entries)


def _variants(measurements: Sequence[Measurement]) -> str:
    """What each variant that was run ran on, and the threads it was found to use."""
    rows = []
    for variant in dict.fromkeys(m.variant for m in measurements if m.status not in NOT_RUN):
        mine = [m for m in measurements if m.variant == variant]
        threads = (
            f"asked {m.threads}: {process.effective_threads}"
            for m in mine
            for process in m.processes
        )
        versions = (f"{name} {number}" for m in mine for name, number in m.versions.items())
        row = [text.escape(variant), text.listing(versions), text.listing(threads, "; ")]
        rows += [row] if any(row[1:]) else []
    head = ("variant", "versions", "threads as read back")
    return text.table(head, rows) if rows else ""


def _not_run(cells: Sequence[Cell]) -> str:
    """Every reason of a refusal or a skip once, with the variants and cells it holds for."""
    groups: dict[tuple[str, str], dict[str, list[str]]] = {}
    for cell in cells:
        for label, m in cell.entries.items():
            if m.status in NOT_RUN:
                variants = groups.setdefault((m.status, m.reason), {})
                variants.setdefault(label, []).append(cell.title)
    rows = []
    for (status, reason), variants in groups.items():
        places = {label: _where(titles, len(cells)) for label, titles in variants.items()}
        where = "; ".join(f"{label}: {place}" for label, place in places.items())
        if len(set(map(tuple, variants.values()))) == 1:
            where = next(iter(places.values()))
        rows.append([", ".join(variants), status, text.escape(reason) or "not recorded", where])
    return text.table(("variant", "is", "why", "in"), rows) if rows else ""


def _where(titles: Sequence[str], cells: int) -> str:
    """The cells by their titles, or how many they are."""
    if len(titles) == cells > 1:
        return "all cells"
    return ", ".join(titles) if len(titles) <= CELLS_NAMED else text.plural(len(titles), "cell")


def _counts(measurements: Sequence[Measurement]) -> str:
    """ "12 measurements: 9 timed and in agreement, 2 refused, 1 crashed"."""
    words = {"ok": "timed and in agreement", "agrees": "in agreement but not timed"}
    counts = Counter(map(views.verdict, measurements))
    parts = (f"{count} {words.get(verdict, verdict)}" for verdict, count in counts.items())
    return f"{text.plural(len(measurements), 'measurement')}: {', '.join(parts)}"


def _not_right(measurements: Sequence[Measurement]) -> str:
    """ "1 disagrees (torch), 2 crashed (jax, keras-jax)"; "none" where all is well."""
    groups: dict[str, list[str]] = {}
    for m in measurements:
        if (status := views.verdict(m)) not in (*FINE, *NOT_RUN):
            groups.setdefault(status, []).append(m.variant)
    parts = (f"{len(who)} {status} ({text.listing(who)})" for status, who in groups.items())
    return ", ".join(parts) or "none"

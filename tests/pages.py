"""The pages that reports are, and reading them."""

from __future__ import annotations

from collections.abc import Sequence

from bench.analysis.workload_view import views
from bench.records.schema import Measurement, Run, WorkloadRecord
from bench.report.figures import plots
from bench.report.markdown import render
from bench.report.markdown.index import index_view
from bench.report.markdown.view import report_view


def report(
    run: Run, measurements: Sequence[Measurement], records: Sequence[WorkloadRecord] = ()
) -> str:
    """The markdown of a report."""
    found = views(run, measurements, records)
    return render.render_report(report_view(run, measurements, found, plots.of_run(run, found)))


def index(
    runs: Sequence[tuple[Run, Sequence[Measurement]]], unreadable: Sequence[tuple[str, str]] = ()
) -> str:
    """The markdown of an index."""
    return render.render_index(index_view(runs, unreadable))


def rows(markdown: str, first: str) -> list[list[str]]:
    """Columns of the table lines that start with `first`."""
    return [
        [column.strip() for column in line.strip("|").split(" | ")]
        for line in markdown.splitlines()
        if line.startswith(f"| {first} ")
    ]

"""The workloads and figures of records."""

from __future__ import annotations

from record_samples import FULL_RUN, Records, parted

from bench.analysis.workload_view import WorkloadView, views
from bench.records.schema import Run
from bench.report.figures import plots
from bench.report.figures.figure import Figure


def views_of(records: Records, run: Run = FULL_RUN) -> list[WorkloadView]:
    return views(run, *parted(records))


def figures_of(records: Records, run: Run = FULL_RUN) -> dict[str, Figure]:
    return {figure.file: figure for figure in plots.of_run(run, views_of(records, run))}

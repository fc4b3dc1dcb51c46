"""The cells and figures of records."""

from __future__ import annotations

from record_samples import (
    FULL_RUN,
    parted,
)

from bench.record import Measurement, Race, Run
from bench.report import plots
from bench.report.cells import Cell, cells
from bench.report.figures import Figure


def cells_of(records: list[Measurement | Race], run: Run = FULL_RUN) -> list[Cell]:
    return cells(run, *parted(records))


def figures_of(records: list[Measurement | Race], run: Run = FULL_RUN) -> dict[str, Figure]:
    return {figure.file: figure for figure in plots.of_run(run, cells_of(records, run))}

"""`rnnbench report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.console import line, wrong_use
from bench.config import validation


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN", help="Folders of runs, with measurements.jsonl."),
    ],
    form: Annotated[
        str,
        typer.Option(
            "--format", help="md, csv, or html: all runs on one page to explore, in one file."
        ),
    ] = "md",
) -> None:
    """Make the report of a run again, and the index of all runs beside it.

    Both are made from the records alone. The page of several runs is written beside the first.
    """
    from bench.report.write import FORMATS, write_index, write_page, write_report  # not for others

    try:
        validation.one_of("format", form, FORMATS)
        if form == "html":
            written = [write_page(runs)]
        else:
            written = [write_report(run, form) for run in runs]
        indexes = [write_index(parent) for parent in {run.resolve().parent for run in runs}]
    except FileNotFoundError as error:
        folder = Path(error.filename).parent if error.filename else runs[0]
        wrong_use(
            f"{folder} holds no measurements.jsonl; expected the folder of a run, as in reports/"
        )
    except (OSError, ValueError, ModuleNotFoundError) as error:
        wrong_use(str(error))
    for path in written:
        line(f"report: {path}")
    if None in indexes:
        line("The README.md beside the run is no index of runs, and stays as it is.")

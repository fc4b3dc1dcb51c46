"""`rnnbench report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.console import line, wrong_use
from bench.config import validation


def report(
    run: Annotated[Path, typer.Argument(help="The folder of a run, with measurements.jsonl.")],
    form: Annotated[
        str, typer.Option("--format", help="md, html or csv. html is one file with all in it.")
    ] = "md",
) -> None:
    """Make the report of a run again, and the index of all runs beside it.

    Both are made from the records alone.
    """
    from bench.report.write import FORMATS, write_index, write_report  # not for other commands

    try:
        validation.one_of("format", form, FORMATS)
        written, index = write_report(run, form), write_index(run.resolve().parent)
    except FileNotFoundError:
        wrong_use(
            f"{run} holds no measurements.jsonl; expected the folder of a run, as in reports/"
        )
    except (OSError, ValueError) as error:
        wrong_use(str(error))
    line(f"report: {written}")
    if index is None:
        line("The README.md beside the run is no index of runs, and stays as it is.")

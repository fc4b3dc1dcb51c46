"""`rnnbench report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.console import line, wrong_use


def report(
    run: Annotated[Path, typer.Argument(help="a folder with measurements.jsonl")],
    form: Annotated[
        str, typer.Option("--format", help="md, html or csv; html is one file with all in it")
    ] = "md",
) -> None:
    """Make a run's report again, and the index beside it, from the records alone."""
    from bench.report.write import write_index, write_report  # which no other command needs

    try:
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

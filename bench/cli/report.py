"""`rnnbench report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.analysis import text
from bench.analysis.text import plain
from bench.cli.console import line, wrong_use
from bench.config import validation

if TYPE_CHECKING:
    from bench.analysis.machines import Machines


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
    machines: Annotated[
        bool,
        typer.Option(
            "--machines", help="One table over the kinds of machine of these runs: machines.md."
        ),
    ] = False,
) -> None:
    """Make the report of a run again, and the index of all runs beside it.

    Both are made from the records alone. The page of several runs is written beside the first.
    """
    # Here, so that the other commands start without what reports need.
    from bench.report.write import FORMATS, write_index, write_page, write_report

    try:
        validation.one_of("format", form, FORMATS)
        if machines:
            if form != "md":
                raise ValueError(f"--machines is a page in md; expected no --format={form}")
            written = [_machines(runs)]
        elif form == "html":
            written = [write_page(runs)]
        else:
            written = [write_report(run, form) for run in runs]
        parents = {run.resolve().parent for run in (runs[:1] if machines else runs)}
        indexes = [write_index(parent) for parent in parents]
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


def _machines(runs: list[Path]) -> Path:
    """The table over machines, beside the first run; prints where the machines disagree."""
    from bench.report.write import summary, write_machines

    path, table = write_machines([*map(summary, runs)], runs[0].resolve().parent)
    show_machines(table)
    return path


def show_machines(table: Machines) -> None:
    """Print what the table has first: disagreements, and what is left out."""
    from bench.analysis.machines import label

    for row in table.disagreements:
        firsts = (f"{', '.join(of.first)} on {kind}" for kind, of in row.answers.items())
        line(plain(f"machines disagree: {row.title}: {'; '.join(firsts)}"))
    for each in table.left_out:
        line(plain(f"left out: {each.node}: {each.why}"))
    shown = [row for row in table.rows if row.answers]
    nodes = {label(summary) for found in table.kinds.values() for summary in found}
    line(
        f"{text.plural(len(shown), 'workload')} on {text.plural(len(nodes), 'node')} of "
        f"{text.plural(len(table.kinds), 'kind')} of machine"
    )

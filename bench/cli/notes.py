"""`rnnbench notes`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli import console
from bench.cli.console import line, show, wrong_use
from bench.config import validation
from bench.notes import page
from bench.notes.experiments import EXPERIMENTS, SEEDS


def notes(
    names: Annotated[
        list[str] | None,
        typer.Argument(help=f"Of {', '.join(EXPERIMENTS)}. Default: those that are quick."),
    ] = None,
    seeds: Annotated[
        int, typer.Option(min=2, max=1000, help="Initialisations of each net.")
    ] = SEEDS,
    write: Annotated[
        Path | None, typer.Option(help="A folder for the page notes.md and its figures, of all.")
    ] = None,
) -> None:
    """Run the experiments of the study notes, with their printed numbers beside ours.

    Only numpy computes. The quick ones take about half a minute on one core, together;
    `multiplication` takes a quarter of an hour.
    """
    try:
        chosen = [validation.one_of("NAME", name, tuple(EXPERIMENTS)) for name in names or ()]
    except ValueError as error:
        wrong_use(str(error).removeprefix("--"))
    if write is not None and chosen:
        wrong_use("--write makes the page of all experiments; expected no NAME beside it")
    founds = {}
    quick = [name for name, each in EXPERIMENTS.items() if write is not None or not each.long]
    for name in dict.fromkeys(chosen or quick):
        with console.console.status(name) as status:
            found = EXPERIMENTS[name].run(seeds, lambda words: status.update(words))
        head, *rows = page.table(found)
        title = EXPERIMENTS[name].title
        line(f"{title} ({found.seeds} seeds: the median, the smallest, the largest)")
        shown = console.table(*head)
        for row in rows:
            shown.add_row(*row)
        show(shown)
        for text in found.texts:
            line(f"{text.whose}: {text.words!r}")
        line()
        founds[name] = found
    if write is not None:
        try:
            line(f"page: {page.write(founds, write)}")
        except OSError as error:
            wrong_use(f"--write {str(write)!r} cannot be written: {error.strerror}")

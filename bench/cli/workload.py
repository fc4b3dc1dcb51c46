"""`rnnbench workload`."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from bench.cli.console import line, wrong_use
from bench.config import grid, options, validation, workload_file

EXAMPLE = files("bench.cli") / "templates" / "workload.toml"


def workload(
    file: Annotated[Path | None, typer.Argument(help="A workload file to check.")] = None,
    example: Annotated[bool, typer.Option(help="Print a workload file with comments.")] = False,
) -> None:
    """Check a workload file, or print one to start from.

    `rnnbench run FILE.toml` measures what it describes; with `--dry-run` it shows the models.
    """
    if example == (file is not None):
        wrong_use("expected either a workload file or --example")
    if file is None:
        typer.echo(EXAMPLE.read_text(encoding="utf-8"), nl=False)
        return
    try:
        found = workload_file.read(file)
        validation.whole_number("processes", found.of_run.get("processes", "1"))
        named = validation.split("backend", found.of_run.get("backend"))
        validation.backends([] if named == options.EVERYTHING else named)
        requests = [options.request(each, {}) for each in found.workloads]
        for request in requests:
            for text in grid.left_out(request):
                line(text)
            for workload in grid.workloads(request):
                facts = [f"{name} {fact}" for name, fact in workload.facts.items()]
                line(f"{workload.id}: {', '.join([*facts, *workload.besides])}")
    except ValueError as error:
        wrong_use(str(error))

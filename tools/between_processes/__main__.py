"""The command line: `measure` and `evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tools.between_processes import evaluate as evaluating
from tools.between_processes import measure as measuring
from tools.between_processes import recorded
from tools.between_processes.recorded import FILE

app = typer.Typer(add_completion=False)


@app.command()
def measure(
    file: Annotated[Path, typer.Option(help="where the lines go")] = FILE,
    minutes: Annotated[float, typer.Option(help="begin no set later")] = 60.0,
    quick: Annotated[bool, typer.Option(help="one small set of each variant, to try it")] = False,
) -> None:
    """Record processes."""
    series = measuring.SERIES
    if quick:
        series = tuple(
            measuring.Series(one.variant, 1, min(1, one.of_arms), 1, 1) for one in series
        )
    measuring.measure(file, minutes, series)


@app.command()
def evaluate(file: Annotated[Path, typer.Option(help="what was recorded")] = FILE) -> None:
    """Print what the recorded processes come to."""
    head, processes = recorded.read(file)
    here = head.machine
    print(f"{here.cpu}, {here.cores} cores, {here.system}; {head.started}")
    print(", ".join(f"{name} {version}" for name, version in head.versions.items()))
    print(f"huge pages: {head.large_pages}")
    for name, what in head.arms.items():
        print(f"{name}: {what}")
    for line in evaluating.lines(processes):
        print(line)


if __name__ == "__main__":
    app()

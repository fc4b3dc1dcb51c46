"""`rnnbench doctor`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from bench.analysis import text
from bench.cli.console import console, line, wrapped
from bench.config.options import default_reports
from bench.doctor.examine import examine
from bench.doctor.finding import Finding

MARKS = {"spoils": "✗", "note": "!", "fine": "✓"}


def doctor(
    reports: Annotated[
        Path | None, typer.Option(help="Where reports would go. Default: as for `rnnbench run`.")
    ] = None,
) -> None:
    """Look for what would spoil a measurement on this machine, and what to do about it.

    Exit status 1 if something would.
    """
    with console.status("looking at this machine"):
        found = [*examine(reports or default_reports(Path.cwd()))]
    width = console.width if console.is_terminal else 100_000
    for printed in lines(found, width):
        line(printed)
    if any(one.state == "spoils" for one in found):
        raise typer.Exit(1)


def lines(found: Sequence[Finding], width: int) -> Iterator[str]:
    """What spoils a measurement first, then the notes, then what is fine; then how many."""
    for state, mark in MARKS.items():
        for one in found:
            if one.state == state:
                yield from wrapped(f"{one.about}: {one.found}", width, f"{mark} ", "  ")
                yield from wrapped(one.do, width, "    ", "    ")
    counts = {state: sum(one.state == state for one in found) for state in MARKS}
    notes = text.plural(counts["note"], "note")
    if counts["spoils"]:
        yield f"{text.plural(counts['spoils'], 'thing')} here would spoil a measurement; {notes}."
    else:
        yield f"Nothing here would spoil a measurement; {notes}."

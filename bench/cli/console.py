"""What the commands share: the terminal, tables on it, and the end of a command used wrongly."""

from __future__ import annotations

from typing import NoReturn

import typer
from rich.console import Console
from rich.table import Table

console = Console(highlight=False, emoji=False)
errors = Console(highlight=False, emoji=False, stderr=True)


def line(text: str = "", on: Console = console) -> None:
    """Print one line that is never wrapped: it may hold a command to copy."""
    on.print(text, soft_wrap=True, markup=False)


def wrong_use(message: str, on: Console = console) -> NoReturn:
    """Say what was expected, and end with exit status 2."""
    line(f"rnnbench: {message}", on)
    raise typer.Exit(2)


def table(*headings: str) -> Table:
    """A table without a frame, whose long values go on in a further line."""
    made = Table(box=None, pad_edge=False)
    for heading in headings:
        made.add_column(heading, overflow="fold")
    return made

"""What the commands share: the terminal, tables on it, and the end of a command used wrongly."""

from __future__ import annotations

import io
import itertools
import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from bench.analysis.text import plain

console = Console(highlight=False, emoji=False)
errors = Console(highlight=False, emoji=False, stderr=True)

GAP = 2  # columns of the terminal between two columns of a table


class _Pipe(io.FileIO):
    """A file descriptor whose reader may leave: what is written afterwards goes nowhere."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            return memoryview(data).nbytes


def outlive_readers() -> None:
    """Let a command end as it would have ended, although `| head` has read enough of it."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None or stream.isatty():
            continue
        buffer = io.BufferedWriter(_Pipe(stream.fileno(), "wb", closefd=False))
        lasting = io.TextIOWrapper(
            buffer, stream.encoding, stream.errors, line_buffering=stream.line_buffering
        )
        setattr(sys, name, lasting)


def line(text: str = "", on: Console = console) -> None:
    """Print one line that is never wrapped: it may hold a command to copy."""
    on.print(text, soft_wrap=True, markup=False)


def wrong_use(message: str, on: Console = console) -> NoReturn:
    """Say what was expected, and end with exit status 2."""
    line(f"rnnbench: {plain(message)}", on)
    raise typer.Exit(2)


@dataclass
class Table:
    """A table without a frame. No value is ever cut, or broken inside a word."""

    headings: tuple[str, ...]
    right: frozenset[int] = frozenset()  # the columns that are aligned on the right
    rows: list[tuple[str, ...]] = field(default_factory=list)

    def add_row(self, *values: str) -> None:
        self.rows.append(values)


def table(*headings: str, right: Sequence[int] = ()) -> Table:
    return Table(headings, frozenset(right))


def show(found: Table, on: Console = console) -> None:
    """Print a table: in a pipe one line a row; on a terminal as wide as that is.

    Values of several words go on in a further line where the terminal is narrow. Where it is too
    narrow for the words, each row becomes a paragraph.
    """
    columns = list(zip(found.headings, *found.rows, strict=True))
    widths = [max(map(cell_len, column)) for column in columns]
    if on.is_terminal:
        words = [max(map(_longest_word, column)) for column in columns]
        if not _narrow(widths, words, on.width):
            _print_paragraphs(found, on)
            return
    _print_columns(found, widths, on)


def _longest_word(value: str) -> int:
    return max(map(cell_len, value.split()), default=0)


def _narrow(widths: list[int], least: Sequence[int], most: int) -> bool:
    """Take from the widest columns until all fit into `most`; False where they cannot."""
    excess = sum(widths) + GAP * (len(widths) - 1) - most
    for _ in range(excess):
        free = [number for number, width in enumerate(widths) if width > least[number]]
        if not free:
            return False
        widths[max(free, key=widths.__getitem__)] -= 1
    return True


def _print_columns(found: Table, widths: Sequence[int], on: Console) -> None:
    for row in (found.headings, *found.rows):
        values = zip(row, widths, strict=True)
        wraps = [Text(value).wrap(on, width) for value, width in values]
        for parts in itertools.zip_longest(*wraps, fillvalue=Text()):
            line((" " * GAP).join(_aligned(parts, widths, found.right)).rstrip(), on)


def _aligned(parts: Sequence[Text], widths: Sequence[int], right: frozenset[int]) -> Iterator[str]:
    for number, (part, width) in enumerate(zip(parts, widths, strict=True)):
        words = part.plain.rstrip()
        space = " " * (width - cell_len(words))
        yield space + words if number in right else words + space


def _print_paragraphs(found: Table, on: Console) -> None:
    for row in found.rows:
        for printed in _paragraph(found.headings, row, on.width):
            line(printed, on)


def _paragraph(headings: Sequence[str], row: Sequence[str], width: int) -> Iterator[str]:
    """The first value, and below it every other that is not empty behind its heading."""
    yield row[0] or "-"
    for heading, value in zip(headings[1:], row[1:], strict=True):
        if value:
            yield from wrapped(f"{heading}: {value}", width, "  ", "    ")


def wrapped(words: str, width: int, first: str = "", others: str = "") -> list[str]:
    """Lines of at most `width`, broken at spaces alone; `first` and `others` stand before them."""
    return textwrap.wrap(
        words,
        width,
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    )

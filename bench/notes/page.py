"""What an experiment found: as lines for a terminal, as markdown, and as a figure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.notes.experiments import EXPERIMENTS
from bench.notes.found import Found, Row, median_and_ends
from bench.report.figures import style
from bench.report.figures.draw import svg

PAGE, FOLDER = "notes.md", "notes"
HEAD = """\
# The notes' own experiments

This project began with five study notes on recurrent nets. Their nets are trained again here, by
the numpy backend, with the initialisation of the framework that each note uses. The notes give no
seed, so a printed number is one draw; ours are the median of several seeds, with the smallest and
the largest. A printed number outside of that range is marked.

`rnnbench notes --write docs` makes this page.
"""


def cell(values: tuple[float, ...]) -> str:
    """ "1.64 (1.58 to 1.70)"."""
    median, low, high = (_short(value) for value in median_and_ends(values))
    return f"{median} ({low} to {high})"


def _short(value: float) -> str:
    return f"{value:.1e}" if 0 < abs(value) < 1e-3 else f"{value:.4g}"


def printed(row: Row) -> str:
    """The number of the note, and where it lies among ours."""
    if row.printed is None:
        return "-"
    mark = "" if row.inside else " (outside)"
    return f"{_short(row.printed)}{mark}"


def table(found: Found) -> list[tuple[str, ...]]:
    """The head and the rows: what, the note, and each of our series."""
    series = list(found.rows[0].ours)
    noted = any(row.printed is not None for row in found.rows)
    head = ("", *(["the note"] if noted else []), *series)
    return [
        head,
        *(
            (
                row.what,
                *([printed(row)] if noted else []),
                *(cell(row.ours[name]) for name in series),
            )
            for row in found.rows
        ),
    ]


def markdown(found: Found) -> Iterator[str]:
    """The section of an experiment."""
    experiment = EXPERIMENTS[found.name]
    yield f"## {experiment.title}\n\n{_filled(experiment.about)}\n"
    yield f"    rnnbench notes {found.name} --seeds={found.seeds}\n"
    if found.figure is not None:
        yield f"![{found.figure.alt}]({FOLDER}/{found.figure.file})\n"
    head, *rows = table(found)
    yield (
        "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)) + "\n"
    )
    if found.texts:
        width = max(len(text.whose) for text in found.texts)
        lines = [f"{text.whose.ljust(width)}  {text.words}" for text in found.texts]
        yield "```text\n" + "\n".join(lines) + "\n```\n"
    yield f"{_filled(experiment.seen)}\n"


def _filled(words: str) -> str:
    return textwrap.fill(words, 108, break_on_hyphens=False)


def write(founds: Mapping[str, Found], folder: Path) -> Path:
    """The page of all of them, with their figures in a folder beside it."""
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    for found in founds.values():
        if found.figure is not None:
            drawn = svg(found.figure, style.of_report([found.figure]))
            (folder / FOLDER / found.figure.file).write_bytes(drawn)
    sections = ["\n".join(markdown(found)) for found in founds.values()]
    (folder / PAGE).write_text("\n".join([HEAD, *sections]), encoding="utf-8")
    return folder / PAGE

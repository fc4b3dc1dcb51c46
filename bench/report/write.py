"""Reports and their index onto disk, from the records that lie there."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec.structs import replace

from bench import record
from bench.report import draw, figures, html, plots, rows, style
from bench.report.cells import cells
from bench.report.render import INDEX_HEAD, index_row, render_cells, render_index

RECORDS = "measurements.jsonl"

FORMATS = ("md", "html", "csv")


def write_report(folder: Path, form: str = "md") -> Path:
    """Write `folder`/report.md with its figures, or report.html or report.csv; give its path.

    Raises FileNotFoundError without records, ValueError for another format or records that cannot
    be read.
    """
    if form not in FORMATS:
        raise ValueError(f"format {form!r} is unknown; expected one of {', '.join(FORMATS)}")
    run, measurements, races = record.read_all(folder / RECORDS)
    if form == "csv":
        return _write(folder / "report.csv", rows.csv(run, measurements, races))
    found = cells(run, measurements, races)
    drawn = plots.of_run(run, found)
    looks = style.of_report(drawn)
    pictures = {figure.path: draw.svg(figure, looks) for figure in drawn}
    markdown = render_cells(run, measurements, found, drawn)
    if form == "html":
        return _write(folder / "report.html", html.page(run, markdown, pictures))
    _write_figures(folder / figures.FOLDER, pictures)
    return _write(folder / "report.md", markdown)


def _write_figures(folder: Path, pictures: dict[str, bytes]) -> None:
    """Only those of this report stay in `folder`; without any, there is none."""
    wanted = {Path(path).name: content for path, content in pictures.items()}
    for stale in folder.glob("*.svg"):
        if stale.name not in wanted:
            stale.unlink()
    if wanted:
        folder.mkdir(exist_ok=True)
    for name, content in wanted.items():
        _write(folder / name, content.decode())


def write_index(reports: Path) -> Path | None:
    """Write `reports`/README.md, which lists every sub-folder with records; give its path.

    None where a README.md stands there that is no such index: it is somebody's, and stays.
    """
    index = reports / "README.md"
    if index.exists() and not index.read_bytes().startswith(INDEX_HEAD.encode()):
        return None
    runs, unreadable = [], []
    for file in sorted(reports.glob(f"*/{RECORDS}")):
        if not file.stat().st_size:
            continue  # a run that ended before its first cell
        try:
            run, measurements = record.read(file)
            run = replace(run, name=file.parent.name)  # a renamed folder is linked as it is now
            index_row(run, measurements)
        except (OSError, ValueError, KeyError) as error:  # the index names it with this reason
            unreadable.append((file.parent.name, f"{type(error).__name__}: {error}"))
        else:
            runs.append((run, measurements))
    return _write(index, render_index(runs, unreadable))


def _write(file: Path, content: str) -> Path:
    """All of it or nothing: a reader never sees half a report."""
    draft = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        draft.write_text(content, encoding="utf-8", newline="\n")
        os.replace(draft, file)
    finally:
        draft.unlink(missing_ok=True)
    return file

"""Writes reports and their index, from the records on disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from bench.analysis import workload_view
from bench.records import store
from bench.records.store import write_whole
from bench.report import csv
from bench.report.figures import draw, figure, plots, style
from bench.report.html import page
from bench.report.markdown import index
from bench.report.markdown.render import render_index, render_report
from bench.report.markdown.view import report_view

FORMATS = ("md", "html", "csv")


def write_report(folder: Path, form: str = "md") -> Path:
    """Write `folder`/report.md with its figures, or report.html or report.csv; return its path.

    Raises FileNotFoundError if there are no records, and ValueError for another format or for
    records that cannot be read.
    """
    if form not in FORMATS:
        raise ValueError(f"format {form!r} is unknown; expected one of {', '.join(FORMATS)}")
    run, measurements, records = store.read(folder / store.FILE)
    if form == "csv":
        return _write(folder / "report.csv", csv.csv(run, measurements, records))
    if form == "html":
        return write_page([folder])
    views = workload_view.views(run, measurements, records)
    figures = plots.of_run(run, views)
    styles = style.of_report(figures)
    pictures = {figure.path: draw.svg(figure, styles) for figure in figures}
    markdown = render_report(report_view(run, measurements, views, figures))
    _write_figures(folder / figure.FOLDER, pictures)
    return _write(folder / "report.md", markdown)


def write_page(folders: Sequence[Path]) -> Path:
    """Write one page of all these runs, and return its path: report.html.

    It lies in the folder of the only run, or beside the folder of the first of several. Raises what
    `write_report` does, and ModuleNotFoundError where the packages that draw are missing.
    """
    content = page.page([store.read(folder / store.FILE) for folder in folders])
    first = folders[0] if len(folders) == 1 else folders[0].resolve().parent
    return _write(first / "report.html", content)


def _write_figures(folder: Path, pictures: dict[str, bytes]) -> None:
    """Write the figures into `folder`, and delete all others there."""
    wanted = {Path(path).name: content for path, content in pictures.items()}
    if wanted:
        folder.mkdir(exist_ok=True)
    for name, content in wanted.items():
        write_whole(folder / name, content)
    for stale in folder.glob("*.svg"):
        if stale.name not in wanted:
            stale.unlink()


def write_index(reports: Path) -> Path | None:
    """Write `reports`/README.md, which lists every sub-folder with records; return its path.

    Returns None if there is a README.md that is not such an index: the user's file stays.
    """
    page = reports / "README.md"
    if page.exists() and not page.read_bytes().startswith(index.HEAD.encode()):
        return None
    runs, unreadable = [], []
    for file in sorted(reports.glob(f"*/{store.FILE}")):
        if not file.stat().st_size:
            continue  # a run that ended before its first workload
        try:
            run, measurements, _ = store.read(file)
        except (OSError, ValueError) as error:  # the index shows the reason
            unreadable.append((file.parent.name, f"{type(error).__name__}: {error}"))
        else:  # a renamed folder is linked by its present name
            runs.append((replace(run, name=file.parent.name), measurements))
    return _write(page, render_index(index.index_view(runs, unreadable)))


def _write(file: Path, content: str) -> Path:
    return write_whole(file, content.encode())

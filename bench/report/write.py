"""Writes reports and their index, from the records on disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from bench.analysis import machines, sisters, summaries, workload_view
from bench.analysis.machines import LeftOut, Machines
from bench.records import store
from bench.records import summary as of_run
from bench.records.store import write_whole
from bench.records.summary import Summary
from bench.report import csv
from bench.report.figures import draw, figure, plots, style
from bench.report.html import page
from bench.report.markdown import index
from bench.report.markdown.machines import machines_view
from bench.report.markdown.render import render_index, render_machines, render_report
from bench.report.markdown.view import report_view

MACHINES = "machines.md"
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


def write_summary(folder: Path, planned: int) -> Path:
    """Write the summary of a run, of which `planned` workloads were asked for; return its path."""
    return of_run.write(folder, _summarised(folder, planned))


def summary(folder: Path) -> Summary:
    """The summary of a run: its file, or made from the records. Raises what `write_report` does."""
    return of_run.read(folder) or _summarised(folder, None)


def _summarised(folder: Path, planned: int | None) -> Summary:
    file = folder / store.FILE
    size = file.stat().st_size
    return summaries.summary(*store.read(file), record_bytes=size, planned=planned)


def write_machines(
    runs: Sequence[Summary], folder: Path, left_out: Sequence[LeftOut] = ()
) -> tuple[Path, Machines]:
    """Write `folder`/machines.md, one table over the machines of these runs.

    Runs whose GEMM baseline is off are named and left out, as those of `left_out` are.
    """
    off = sisters.off(runs)
    kept = [run for number, run in enumerate(runs) if number not in off]
    table = machines.table(kept, [*left_out, *off.values()])
    return _write(folder / MACHINES, render_machines(machines_view(table))), table


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
    compared = (reports / MACHINES).exists()
    return _write(page, render_index(index.index_view(runs, unreadable, compared=compared)))


def _write(file: Path, content: str) -> Path:
    return write_whole(file, content.encode())

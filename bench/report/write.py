"""Reports and their index onto disk, from the records that lie there."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec.structs import replace

from bench import record
from bench.report.render import index_row, render, render_index

RECORDS = "measurements.jsonl"


def write_report(folder: Path) -> Path:
    """Write `folder`/report.md from its records, and give its path.

    Raises FileNotFoundError without records, ValueError where they cannot be read.
    """
    return _write(folder / "report.md", render(*record.read(folder / RECORDS)))


def write_index(reports: Path) -> Path:
    """Write `reports`/README.md, which lists every sub-folder with records; give its path."""
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
    return _write(reports / "README.md", render_index(runs, unreadable))


def _write(file: Path, content: str) -> Path:
    """All of it or nothing: a reader never sees half a report."""
    draft = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        draft.write_text(content, encoding="utf-8", newline="\n")
        os.replace(draft, file)
    finally:
        draft.unlink(missing_ok=True)
    return file

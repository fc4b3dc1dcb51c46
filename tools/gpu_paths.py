"""Writes the table of docs/gpu.md from the committed runs of `rnnbench gpu`.

    python -m tools.gpu_paths reports docs/gpu.md

makes the lines between BEGIN and END anew, and leaves the others as they are.
"""

from __future__ import annotations

import sys
from pathlib import Path

from bench.gpu import pages, records
from bench.gpu.parts import Plan

BEGIN, END = "<!-- the table begins -->", "<!-- the table ends -->"


def table(reports: Path) -> str:
    """The table as it is to stand in the page."""
    plan = Plan(Path("reports"), "cuda:0")
    parts = [(part.name, part.proves) for part in (plan.first(), *plan.parts())]
    return pages.paths(parts, list(records.on_a_gpu(reports)))


def of_page(page: str) -> str:
    """The table that stands in the page."""
    return page.partition(BEGIN)[2].partition(END)[0].strip()


def with_table(page: str, made: str) -> str:
    """The page with another table."""
    before, after = page.partition(BEGIN)[0], page.partition(END)[2]
    return f"{before}{BEGIN}\n\n{made.strip()}\n\n{END}{after}"


def main(reports: str, page: str) -> None:
    """Write `page` again."""
    text = Path(page).read_text(encoding="utf-8")
    Path(page).write_text(with_table(text, table(Path(reports))), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])

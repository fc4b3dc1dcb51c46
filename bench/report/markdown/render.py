"""Views to markdown. Pure: the same view gives the same text.

The words are in the templates beside this file. A template gets one object of text and plain
values, and calls nothing.
"""

from __future__ import annotations

from pathlib import Path

import jinja2

from bench.report.markdown.index import IndexView
from bench.report.markdown.machines import MachinesView
from bench.report.markdown.view import ReportView

_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    autoescape=False,  # the text is markdown, and escaped for HTML too
)


def render_report(view: ReportView) -> str:
    """The markdown of report.md, which links its figures."""
    return _TEMPLATES.get_template("report.md.jinja").render(report=view)


def render_index(view: IndexView) -> str:
    """The markdown of reports/README.md."""
    return _TEMPLATES.get_template("index.md.jinja").render(index=view)


def render_machines(view: MachinesView) -> str:
    """The markdown of machines.md."""
    return _TEMPLATES.get_template("machines.md.jinja").render(machines=view)

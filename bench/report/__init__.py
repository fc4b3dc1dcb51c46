"""Reports: pure functions of records. Nothing here measures."""

from bench.report.render import render, render_index
from bench.report.write import write_index, write_report

__all__ = ["render", "render_index", "write_index", "write_report"]

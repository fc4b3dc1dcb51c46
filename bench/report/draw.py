"""Pictures of `figures`: SVG by matplotlib, readable on light and on dark pages.

The same figure and the same matplotlib give the same bytes: a fixed salt for ids, and no date.
matplotlib is imported within functions alone: a run and `rnnbench list` need none of it.
"""

from __future__ import annotations

import io
import textwrap
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

import numpy as np

from bench.report import panels, style
from bench.report.figures import Figure, Panel
from bench.report.style import INK, SETTINGS, Looks, shown

# All in inches. Narrow: on a phone a figure is made smaller by a third, not by a half.
WIDTH, RIGHT = 5.2, 0.2
ROW = 0.19  # of a panel of dots, a series
CURVES = 2.0  # height of a panel of curves
HEAD = 0.24  # of the figure
TITLE = 0.13  # of a panel, a line
NUMBERS = 0.24  # below a panel, of its axis
NAME = 0.14  # of its axis
LETTER = 0.073  # width, of the title of a panel
LEGEND, LEGEND_COLUMNS = 0.2, 4
HANDLE, LEGEND_LETTER = 0.48, 0.064  # of a column of the legend: its line, and a letter

STYLE = """<style>
svg { color: #1f2328; background: #ffffff; }
@media (prefers-color-scheme: dark) { svg { color: #d7dde3; background: #0d1117; } }
</style>"""


@dataclass(frozen=True)
class _Layout:
    """Where the panels are, in inches."""

    figure: Figure

    @property
    def panels(self) -> list[Panel]:
        return [panel for row in self.figure.rows for panel in row if panel]

    @property
    def curves(self) -> bool:
        return any(panel.kind == "lines" for panel in self.panels)

    @property
    def left(self) -> float:
        """Room for the names of the rows, or for the numbers of curves."""
        longest = max(len(label) for label in self.figure.labels)
        return 0.5 if self.curves else 0.15 + 0.07 * longest

    @property
    def width(self) -> float:
        """Of a panel."""
        return (WIDTH - self.left - RIGHT) / len(self.figure.rows[0])

    def title(self, panel: Panel) -> str:
        """Broken into lines that fit above the panel."""
        letters = max(12, int(self.width / LETTER) - 1)
        return "\n".join(textwrap.wrap(panel.title, letters)[:3])

    @property
    def heights(self) -> list[float]:
        """Of the rows of panels."""
        return [max(map(_height, row)) for row in self.figure.rows]

    @property
    def above(self) -> float:
        """A panel: the lines of its title."""
        return 0.06 + TITLE * max(1 + self.title(panel).count("\n") for panel in self.panels)

    @property
    def below(self) -> float:
        """A panel: its numbers, and the name of its axis."""
        return NUMBERS + (NAME if any(panel.x_name for panel in self.panels) else 0.0)

    @property
    def legend(self) -> float:
        return LEGEND * -(-len(self.figure.labels) // self.columns) + 0.12 if self.curves else 0.0

    @property
    def columns(self) -> int:
        """Of the legend: as many as there is room for."""
        lengths = list(map(len, self.figure.labels))
        for count in range(min(LEGEND_COLUMNS, len(lengths)), 1, -1):
            longest = [max(column) for column in np.array_split(lengths, count)]
            if HANDLE * count + LEGEND_LETTER * sum(longest) <= WIDTH:
                return count
        return 1

    @property
    def between(self) -> float:
        """One row of panels and the next."""
        return self.below + self.above + 0.06

    @property
    def height(self) -> float:
        rows = self.heights
        inside = sum(rows) + self.between * (len(rows) - 1)
        return HEAD + self.above + inside + self.below + self.legend

    def grid(self, canvas: Any) -> Any:
        rows, height = self.heights, self.height
        return canvas.add_gridspec(
            *(len(rows), len(self.figure.rows[0])),
            height_ratios=rows,
            left=self.left / WIDTH,
            right=1 - RIGHT / WIDTH,
            top=1 - (HEAD + self.above) / height,
            bottom=(self.below + self.legend) / height,
            hspace=self.between / (sum(rows) / len(rows)),
            wspace=(0.5 if self.curves else 0.14) / self.width,
        )


def _height(panel: Panel | None) -> float:
    if panel is None:
        return 0.5
    return CURVES if panel.kind == "lines" else ROW * max(2, len(panel.series))


def svg(figure: Figure, looks: Looks) -> bytes:
    """The picture; `looks` are those of the whole report, so that a variant has one everywhere."""
    import matplotlib as mpl

    content = io.BytesIO()
    with mpl.rc_context():
        mpl.rcdefaults()  # whatever a matplotlibrc says here
        mpl.rcParams.update(SETTINGS)
        drawn = canvas(figure, looks)
        drawn.savefig(content, format="svg", transparent=True, metadata={"Date": None})
    return _themed(content.getvalue().decode(), figure.title).encode()


def canvas(figure: Figure, looks: Looks) -> Any:
    """All of it on a figure of matplotlib's, which is to be used under SETTINGS."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure as Canvas

    layout, looks = _Layout(figure), style.of_figure(figure, looks)
    drawn = Canvas(figsize=(WIDTH, layout.height))
    FigureCanvasSVG(drawn)
    grid = layout.grid(drawn)
    for i, row in enumerate(figure.rows):
        for j, panel in enumerate(row):
            if panel is not None:
                axes = drawn.add_subplot(grid[i, j])
                _panel(axes, panel, looks, first=not any(row[:j]), columns=len(row))
                axes.set_title(shown(layout.title(panel)), loc="left")
    top = 1 - 0.06 / layout.height
    drawn.text(0.06 / WIDTH, top, shown(figure.head), va="top", fontsize=9)
    if layout.curves:
        _legend(drawn, layout, looks)
    return drawn


def _panel(axes: Any, panel: Panel, looks: Looks, *, first: bool, columns: int) -> None:
    draw = panels.lines if panel.kind == "lines" else panels.dots
    draw(axes, panel, looks, first, 6 - columns)
    axes.grid(color=INK, alpha=0.13, linewidth=0.5)
    axes.set_xlabel(shown(panel.x_name), labelpad=1.5)


def _legend(canvas: Any, layout: _Layout, looks: Looks) -> None:
    from matplotlib.lines import Line2D

    handles = {}
    for label in layout.figure.labels:
        colour, marker, dashes = looks[label]
        handles[label] = Line2D(
            *([], []), color=colour, linestyle=dashes, marker=marker, label=shown(label)
        )
    canvas.legend(
        handles=list(handles.values()),
        loc="lower center",
        ncols=layout.columns,
        frameon=False,
        handlelength=2.6,
        fontsize=7.5,
        columnspacing=1.2,
        borderaxespad=0.1,
        labelspacing=0.35,
    )


def _themed(drawing: str, title: str) -> str:
    """The drawing in the colours of the page it is on, with a title for who cannot see it."""
    drawing = drawing.replace(INK, "currentColor")
    head, start, rest = drawing.partition("<defs>")
    return f"{head}<title>{escape(title)}</title>\n{STYLE}\n{start}{rest}"

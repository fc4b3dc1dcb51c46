"""Figures as SVG by matplotlib, readable on light and on dark pages.

The same figure and the same matplotlib give the same bytes: ids have a fixed salt, and no date is
written. Only functions import matplotlib, because a run and `rnnbench list` do not need it.
"""

from __future__ import annotations

import io
import textwrap
from typing import Any
from xml.sax.saxutils import escape

from bench.report.figures import panels, style
from bench.report.figures.figure import Axis, Figure, Panel
from bench.report.figures.style import INK, SETTINGS, Styles, shown

# All in inches. A figure fills the column of text of a code host, which is 830 to 900 pixels wide.
WIDTH = 9.2
ROW = {"dots": 0.215, "strip": 0.29}  # height of a row
CURVES = 2.5  # height of a panel of curves
LETTER = 0.082  # width of a letter in a panel's title
HEAD_LETTER = 0.074  # and in the head of a figure
TITLE_LINES = 3  # at most
LEGEND_COLUMNS = 5  # at most
NUMBERS = {"x": {1: 9, 2: 6, 3: 5}, "y": {1: 6, 2: 6, 3: 6}}  # on an axis, by columns of panels

THEME = """<style>
svg { color: #1f2328; background: #ffffff; }
@media (prefers-color-scheme: dark) { svg { color: #d7dde3; background: #0d1117; } }
</style>"""


def svg(figure: Figure, styles: Styles) -> bytes:
    """The figure; `styles` are those of the whole report, so a variant looks alike in all."""
    import matplotlib as mpl

    content = io.BytesIO()
    with mpl.rc_context():
        mpl.rcdefaults()  # ignore the matplotlibrc of this machine
        mpl.rcParams.update(SETTINGS)
        picture = canvas(figure, styles)
        picture.savefig(content, format="svg", transparent=True, metadata={"Date": None})
    return _themed(content.getvalue().decode(), figure.title).encode()


def canvas(figure: Figure, styles: Styles) -> Any:
    """The figure as one of matplotlib's; call it under SETTINGS.

    The heights of the panels are fixed; matplotlib's layout finds the space around them.
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure as Canvas

    styles = style.of_figure(figure, styles)
    heights = [max(map(_height, row)) for row in figure.rows]
    picture = Canvas(figsize=(WIDTH, sum(heights) + 1.0), layout="constrained")
    FigureCanvasSVG(picture)
    head = "\n".join(textwrap.wrap(figure.head, int((WIDTH - 0.2) / HEAD_LETTER)))
    picture.suptitle(shown(head), x=0.007, ha="left", fontsize=10)
    grid = picture.add_gridspec(len(heights), len(figure.rows[0]), height_ratios=heights)
    placed: list[tuple[int, Any, Panel]] = []
    for i, row in enumerate(figure.rows):
        for j, panel in enumerate(row):
            if panel is not None:
                axes = picture.add_subplot(grid[i, j])
                _panel(axes, panel, styles, figure, (i, j))
                placed.append((i, axes, panel))
    if any(panel.kind != "dots" for _, _, panel in placed):
        _legend(picture, figure, styles)
    layout: Any = picture.get_layout_engine()
    layout.execute(picture)
    for _, axes, panel in placed:
        axes.set_title(shown(_title(panel, _inches(axes).width)), loc="left")
    layout.execute(picture)
    found = {i: _inches(axes).height for i, axes, _ in placed}
    picture.set_figheight(picture.get_figheight() + sum(heights) - sum(found.values()))
    return picture


def _height(panel: Panel | None) -> float:
    if panel is None:
        return 0.5
    if panel.kind == "lines":
        return CURVES
    return ROW[panel.kind] * max(2, len(panel.rows or panel.series))


def _inches(axes: Any) -> Any:
    """The box of the axes without their labels."""
    return axes.get_window_extent().transformed(axes.figure.dpi_scale_trans.inverted())


def _title(panel: Panel, width: float) -> str:
    """The title, in lines that fit above the panel."""
    return "\n".join(textwrap.wrap(panel.title, max(12, int(width / LETTER)))[:TITLE_LINES])


def _panel(axes: Any, panel: Panel, styles: Styles, figure: Figure, place: tuple[int, int]) -> None:
    """Draw a panel at (row, column), and name an axis where its row or column begins or ends."""
    i, j = place
    columns = len(figure.rows[0])
    panels.DRAW[panel.kind](axes, panel, styles, not any(figure.rows[i][:j]))
    for name in ("x", "y"):
        axis = panel.x if name == "x" else panel.y
        if axis is not None:
            panels.scale(axes, name, axis, _ends(figure, name, axis), NUMBERS[name][columns])
    axes.grid(color=INK, alpha=0.13, linewidth=0.5)
    below = [other.x.name for row in figure.rows[i + 1 :] if (other := row[j]) is not None]
    if panel.x.name not in below:
        axes.set_xlabel(shown(panel.x.words), labelpad=2)
    before = [other.y for other in figure.rows[i][:j] if other is not None]
    if panel.y is not None and panel.y not in before:
        axes.set_ylabel(shown(panel.y.words), labelpad=3)


def _ends(figure: Figure, name: str, axis: Axis) -> panels.Ends:
    """The same for all axes of a figure that show the same."""
    found: list[float] = []
    for panel in (panel for row in figure.rows for panel in row if panel is not None):
        other = panel.x if name == "x" else panel.y
        if other is not None and other.name == axis.name:
            found += panels.values(panel, name)
    return panels.ends(axis, found)


def _legend(canvas: Any, figure: Figure, styles: Styles) -> None:
    """Draw the legend below the panels, in as many columns as fit."""
    from matplotlib.lines import Line2D

    drawn = any(panel.kind == "lines" for row in figure.rows for panel in row if panel)
    handles = []
    for label in figure.labels:
        colour, marker, dashes = styles[label] if drawn else (*styles[label][:2], "")
        handles.append(
            Line2D([], [], color=colour, linestyle=dashes, marker=marker, label=shown(label))
        )
    legend = None
    for columns in range(min(LEGEND_COLUMNS, len(handles)), 0, -1):
        if legend is not None:
            legend.remove()
        legend = canvas.legend(
            handles=handles,
            loc="outside lower center",
            ncols=columns,
            frameon=False,
            handlelength=2.6,
            fontsize=8.5,
            columnspacing=1.2,
            borderaxespad=0.1,
            labelspacing=0.35,
        )
        if legend.get_window_extent().width <= canvas.bbox.width:
            return


def _themed(drawing: str, title: str) -> str:
    """The drawing in the colours of its page, with a title for screen readers."""
    drawing = drawing.replace(INK, "currentColor")
    head, start, rest = drawing.partition("<defs>")
    return f"{head}<title>{escape(title)}</title>\n{THEME}\n{start}{rest}"

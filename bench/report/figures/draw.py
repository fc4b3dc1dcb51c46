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
from bench.report.figures.figure import Figure, Panel
from bench.report.figures.style import INK, SETTINGS, Styles, shown

# All in inches. Figures are narrow, so that a phone shrinks them by a third and not by a half.
WIDTH = 5.2
ROW = 0.19  # height of a series in a panel of dots
CURVES = 2.0  # height of a panel of curves
LETTER = 0.073  # width of a letter in a panel's title
TITLE_LINES = 3  # at most
LEGEND_COLUMNS = 4  # at most

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
    picture.suptitle(shown(figure.head), x=0.012, ha="left", fontsize=9)
    grid = picture.add_gridspec(len(heights), len(figure.rows[0]), height_ratios=heights)
    placed: list[tuple[int, Any, Panel]] = []
    for i, row in enumerate(figure.rows):
        for j, panel in enumerate(row):
            if panel is not None:
                axes = picture.add_subplot(grid[i, j])
                _panel(axes, panel, styles, first=not any(row[:j]), columns=len(row))
                placed.append((i, axes, panel))
    if any(panel.kind == "lines" for _, _, panel in placed):
        _legend(picture, figure.labels, styles)
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
    return CURVES if panel.kind == "lines" else ROW * max(2, len(panel.series))


def _inches(axes: Any) -> Any:
    """The box of the axes without their labels."""
    return axes.get_window_extent().transformed(axes.figure.dpi_scale_trans.inverted())


def _title(panel: Panel, width: float) -> str:
    """The title, in lines that fit above the panel."""
    return "\n".join(textwrap.wrap(panel.title, max(12, int(width / LETTER)))[:TITLE_LINES])


def _panel(axes: Any, panel: Panel, styles: Styles, *, first: bool, columns: int) -> None:
    draw = panels.lines if panel.kind == "lines" else panels.dots
    draw(axes, panel, styles, first, 6 - columns)
    axes.grid(color=INK, alpha=0.13, linewidth=0.5)
    axes.set_xlabel(shown(panel.x_name), labelpad=1.5)


def _legend(canvas: Any, labels: list[str], styles: Styles) -> None:
    """Draw the legend below the panels, in as many columns as fit."""
    from matplotlib.lines import Line2D

    handles = []
    for label in labels:
        colour, marker, dashes = styles[label]
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
            fontsize=7.5,
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

"""Draws one panel of a figure onto matplotlib's axes: dots with intervals, curves, or a strip."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from bench.analysis import text
from bench.report.figures.figure import Axis, Panel, Series
from bench.report.figures.style import INK, Styles, shown

Ends = tuple[float, float]
MARK_LETTER = 0.08  # inches
LANES = 0.62  # of a strip: the share of a row over which the variants are laid


def dots(axes: Any, panel: Panel, styles: Styles, first: bool) -> None:
    """One row per series: its marker, its interval as a bar, or both."""
    rows = list(reversed(range(len(panel.series))))
    for row, series in zip(rows, panel.series, strict=True):
        colour, marker, _ = styles[series.label]
        if series.low:
            ends = (series.low[0], series.high[0])
            axes.plot(ends, (row, row), "-|", color=colour, linewidth=1.8, markersize=7.5)
        if series.x:
            axes.plot(series.x[0], row, marker, color=colour, clip_on=False, zorder=3)
        elif not series.low:
            axes.annotate(
                *(shown(series.note), (1.0, row) if panel.x.at_one else (0.0, row)),
                xycoords="data" if panel.x.at_one else axes.get_yaxis_transform(),
                xytext=(5, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
            )
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_yticks(rows, [shown(s.label) for s in panel.series] if first else None)
    axes.tick_params(axis="y", length=0, labelleft=first)


def strip(axes: Any, panel: Panel, styles: Styles, first: bool) -> None:
    """One row per workload, and in it every variant in a lane of its own; the first rank filled."""
    count, lanes = len(panel.rows), len(panel.series)
    for lane, series in enumerate(panel.series):
        colour, marker, _ = styles[series.label]
        moved = LANES * (lane / (lanes - 1) - 0.5) if lanes > 1 else 0.0
        for x, y, low, high, strong in zip(
            *(series.x, series.y, series.low, series.high, series.strong), strict=True
        ):
            row = y + moved
            axes.plot((low, high), (row, row), color=colour, linewidth=0.9, alpha=0.6)
            fill = "full" if strong else "none"
            axes.plot(x, row, marker, color=colour, fillstyle=fill, clip_on=False, zorder=3)
    for row in range(0, count, 2):
        axes.axhspan(row - 0.5, row + 0.5, color=INK, alpha=0.05, linewidth=0, zorder=0)
    axes.set_ylim(count - 0.5, -0.5)
    axes.set_yticks(range(count), list(map(shown, panel.rows)))
    right = axes.secondary_yaxis("right")
    right.set_yticks(range(count), list(map(shown, panel.beside)))
    right.spines["right"].set_visible(False)
    for labelled in (axes, right):
        labelled.tick_params(axis="y", length=0)


def lines(axes: Any, panel: Panel, styles: Styles, first: bool) -> None:
    """Curves, with their intervals, and circles on their labelled points."""
    for series in panel.series:
        colour, marker, dashes = styles[series.label]
        axes.plot(
            *(series.x, series.y),
            color=colour,
            linestyle=dashes,
            marker=marker,
            markevery=max(1, len(series.x) // 4),
            alpha=1.0 if series.variant else 0.75,
        )
        if series.low:
            axes.vlines(series.x, series.low, series.high, color=colour, linewidth=1.1, alpha=0.7)
    for mark in panel.marks:
        axes.plot([mark.x], [mark.y], "o", color=INK, markersize=8, fillstyle="none", zorder=4)
    letters = max(12, int(axes.bbox.width / axes.figure.dpi / MARK_LETTER))
    words = [line for mark in panel.marks for line in textwrap.wrap(mark.words, letters)]
    # At the upper left, where growing curves leave room.
    place = {"transform": axes.transAxes, "va": "top", "fontsize": 8, "zorder": 5}
    axes.text(0.03, 0.98, shown("\n".join(words)), linespacing=1.5, **place)


DRAW = {"dots": dots, "lines": lines, "strip": strip}


def values(panel: Panel, name: str) -> list[float]:
    """All values of a panel along "x" or "y"."""
    along = "y" if panel.kind == "lines" else "x"  # of the intervals
    found: list[float] = []
    for series in panel.series:
        found += getattr(series, name)
        found += _intervals(series) if name == along else []
    axis = panel.x if name == "x" else panel.y
    return found + ([1.0] if axis is not None and axis.at_one else [])


def _intervals(series: Series) -> list[float]:
    return [*series.low, *series.high]


def ends(axis: Axis, found: Sequence[float]) -> Ends:
    """The ends of an axis that holds all values; never a very narrow one."""
    if not axis.log:
        return 0.0, 1.05 * max(found, default=1.0) or 1.0
    positive = [value for value in found if value > 0]
    low, high = min(positive, default=1.0) / 1.08, max(positive, default=1.0) * 1.08
    return low, max(high, low * 1.5)


def scale(axes: Any, name: str, axis: Axis, between: Ends, most: int) -> None:
    """Give "x" or "y" its scale, ends and numbers, at most `most` of them."""
    from matplotlib.ticker import NullLocator

    getattr(axes, f"set_{name}scale")("log" if axis.log else "linear")
    getattr(axes, f"set_{name}lim")(*between)
    found = _numbers(axis, between, most)
    drawn = getattr(axes, f"{name}axis")
    drawn.set_ticks(found, [_number(value, axis) for value in found])
    drawn.set_minor_locator(NullLocator())
    if axis.at_one:
        line = axes.axvline if name == "x" else axes.axhline
        line(1.0, color=INK, linewidth=0.7, alpha=0.6, zorder=0)


def _numbers(axis: Axis, between: Ends, most: int) -> Sequence[float]:
    """Its own numbers if they are few, else up to `most` round ones."""
    if 0 < len(axis.ticks) <= most:
        return axis.ticks
    if axis.log:
        return ticks(*between, most)
    from matplotlib.ticker import MaxNLocator

    return _within(MaxNLocator(most - 1, steps=[1, 2, 5, 10]), *between)


def _number(value: float, axis: Axis) -> str:
    if axis.seconds:
        number, _, unit = text.duration(value).partition(" ")
        return f"{float(number):,g} {unit}"
    if 1000 <= value < 1e6:
        return f"{value:,.0f}"
    return f"{value:.3g}".replace("e+0", "e").replace("e-0", "e-")


def ticks(low: float, high: float, most: int) -> list[float]:
    """Two to `most` round numbers for a logarithmic axis from `low` to `high`."""
    from matplotlib.ticker import LogLocator, MaxNLocator

    for subs in ((1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
        found = _within(LogLocator(subs=subs, numticks=most), low, high)
        if 2 <= len(found) <= most:
            return found
    return _within(MaxNLocator(most - 1, steps=[1, 2, 5, 10]), low, high)


def _within(locator: Any, low: float, high: float) -> list[float]:
    """The locator's numbers inside the axis: it gives one more beyond each end."""
    return [value for value in locator.tick_values(low, high) if low <= value <= high]

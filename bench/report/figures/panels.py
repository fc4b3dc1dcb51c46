"""Draws one panel of a figure onto matplotlib's axes: dots with intervals, or curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.report.figures.figure import Panel
from bench.report.figures.style import INK, Styles, shown


def dots(axes: Any, panel: Panel, styles: Styles, first: bool, most: int) -> None:
    """One row per series, with its interval as a bar; at most `most` numbers on the axis."""
    rows = list(reversed(range(len(panel.series))))
    for row, series in zip(rows, panel.series, strict=True):
        colour, marker, _ = styles[series.label]
        if series.low:
            ends = (series.low[0], series.high[0])
            axes.plot(ends, (row, row), "-|", color=colour, linewidth=1.6, markersize=6.5)
        if series.x:
            axes.plot(series.x[0], row, marker, color=colour, clip_on=False, zorder=3)
        else:
            axes.annotate(
                *(shown(series.note), (1.0, row) if panel.at_one else (0.0, row)),
                xycoords="data" if panel.at_one else axes.get_yaxis_transform(),
                xytext=(5, 0),
                textcoords="offset points",
                va="center",
                fontsize=7,
            )
    axes.set_xscale("log")
    axes.set_xlim(*_ends_of_dots(panel))
    _numbers(axes, "x", most)
    if panel.at_one:
        axes.axvline(1.0, color=INK, linewidth=0.6, alpha=0.6, zorder=0)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_yticks(rows, [shown(s.label) for s in panel.series] if first else None)
    axes.tick_params(axis="y", length=0, labelleft=first)


def _ends_of_dots(panel: Panel) -> tuple[float, float]:
    """The ends of an axis that holds all values, and 1 if it is marked; never very narrow."""
    values = [value for s in panel.series for value in (*s.x, *s.low, *s.high)]
    values += [1.0] if panel.at_one or not values else []
    low, high = min(values) / 1.08, max(values) * 1.08
    return low, max(high, low * 1.5)


def lines(axes: Any, panel: Panel, styles: Styles, first: bool, most: int) -> None:
    """Curves, with circles on their labelled points."""
    from matplotlib.ticker import MaxNLocator

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
    _named(axes, panel)
    axes.set_yscale("log", nonpositive="mask")
    _numbers(axes, "y", 6)
    if panel.x_log:
        axes.set_xscale("log", nonpositive="mask")
        _numbers(axes, "x", most, panel.x_ticks)
    else:
        axes.set_xticks(_within(MaxNLocator(most - 1, integer=True), *axes.get_xlim()))


def _named(axes: Any, panel: Panel) -> None:
    """Write the labels of the marks at the upper left, where growing curves leave room."""
    for number, mark in enumerate(panel.marks):
        axes.plot([mark.x], [mark.y], "o", color=INK, markersize=7, fillstyle="none", zorder=4)
        axes.text(
            *(0.03, 0.98 - 0.09 * number, shown(mark.words)),
            transform=axes.transAxes,
            va="top",
            fontsize=7,
            zorder=5,
        )


def _numbers(axes: Any, name: str, most: int, own: Sequence[float] = ()) -> None:
    """Label a logarithmic axis with its `own` numbers if few, else with up to `most` round ones."""
    from matplotlib.ticker import NullLocator

    low, high = getattr(axes, f"get_{name}lim")()
    found = own if 0 < len(own) <= most else ticks(low, high, most)
    axis = getattr(axes, f"{name}axis")
    axis.set_ticks(found, list(map(_number, found)))
    axis.set_minor_locator(NullLocator())


def _number(value: float) -> str:
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

"""One panel of a figure onto matplotlib's axes: dots with intervals, or curves."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from bench.report.figures import Panel, Series
from bench.report.style import INK, Looks, shown


def dots(axes: Any, panel: Panel, looks: Looks, first: bool, most: int) -> None:
    """A row a series, from top to bottom, its interval a bar; at most `most` numbers below."""
    rows = list(reversed(range(len(panel.series))))
    for row, series in zip(rows, panel.series, strict=True):
        colour, marker, _ = looks[series.label]
        if series.low:
            ends = (series.low[0], series.high[0])
            axes.plot(ends, (row, row), "-|", color=colour, linewidth=1.6, markersize=6.5)
        axes.plot(series.x, [row] * len(series.x), marker, color=colour, clip_on=False, zorder=3)
        if not series.x:
            axes.annotate(
                *(shown(series.note), (1.0, row) if panel.at_one else (0.0, row)),
                xycoords="data" if panel.at_one else axes.get_yaxis_transform(),
                xytext=(5, 0),
                textcoords="offset points",
                va="center",
                fontsize=7,
            )
    _x_of_dots(axes, panel, most)
    if panel.at_one:
        axes.axvline(1.0, color=INK, linewidth=0.6, alpha=0.6, zorder=0)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_yticks(rows, [shown(s.label) for s in panel.series] if first else None)
    axes.tick_params(axis="y", length=0, labelleft=first)


def _x_of_dots(axes: Any, panel: Panel, most: int) -> None:
    """A logarithmic axis that holds all values, and 1 where it is marked."""
    values = [value for s in panel.series for value in (*s.x, *s.low, *s.high)]
    values += [1.0] if panel.at_one or not values else []
    low, high = min(values) / 1.08, max(values) * 1.08
    scale(axes, "x", low, max(high, low * 1.5), most)


def lines(axes: Any, panel: Panel, looks: Looks, first: bool, most: int) -> None:
    """Curves, and circles on those of their points that have a name."""
    for series in panel.series:
        colour, marker, dashes = looks[series.label]
        axes.plot(
            *(series.x, series.y),
            color=colour,
            linestyle=dashes,
            marker=marker,
            markevery=max(1, len(series.x) // 4),
            alpha=1.0 if series.variant else 0.75,
        )
    _named(axes, panel)
    low, high = _ends(panel.series, "x", above=0.0 if panel.x_log else -math.inf)
    if panel.x_log:
        scale(axes, "x", low / 1.15, high * 1.15, most, panel.x_ticks)
    else:
        axes.set_xlim(low - 0.02 * (high - low), high + 0.02 * (high - low) + 1e-9)
        step = next(s for s in _steps() if (high - low) / s < most)
        axes.set_xticks([step * n for n in range(math.ceil(low / step), int(high / step) + 1)])
    low, high = _ends(panel.series, "y", above=0.0)
    scale(axes, "y", low / 1.15, high * 1.15, 6)


def _steps() -> Iterator[float]:
    """1, 2, 5, 10, 20, ..."""
    return (m * 10.0**d for d in range(12) for m in (1, 2, 5))


def _named(axes: Any, panel: Panel) -> None:
    """The words stand at the upper left, where curves that grow leave room."""
    for number, mark in enumerate(panel.marks):
        axes.plot([mark.x], [mark.y], "o", color=INK, markersize=7, fillstyle="none", zorder=4)
        axes.text(
            *(0.03, 0.98 - 0.09 * number, shown(mark.words)),
            transform=axes.transAxes,
            va="top",
            fontsize=7,
            zorder=5,
        )


def _ends(series: Sequence[Series], name: str, *, above: float) -> tuple[float, float]:
    """The least and the most of what an axis can show."""
    values = [value for s in series for value in getattr(s, name) if value > above] or [1.0]
    return min(values), max(values)


def scale(
    axes: Any, name: str, low: float, high: float, most: int, own: Sequence[float] = ()
) -> None:
    """A logarithmic axis from `low` to `high` with its `own` numbers or `most` round ones on it."""
    from matplotlib.ticker import NullLocator

    getattr(axes, f"set_{name}scale")("log")
    getattr(axes, f"set_{name}lim")(low, high)
    axis = getattr(axes, f"{name}axis")
    found = list(own) if 0 < len(own) <= most else ticks(low, high, most)
    axis.set_ticks(found, [_number(value) for value in found])
    axis.set_minor_locator(NullLocator())


def _number(value: float) -> str:
    return f"{value:,.0f}" if 1000 <= value < 1e6 else f"{value:.3g}".replace("e+0", "e")


def ticks(low: float, high: float, most: int) -> list[float]:
    """At most `most` round numbers from `low` to `high`, evenly spread on a logarithmic axis."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found: list[float] = []
    for steps in (
        (1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0),
        (1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 7.0),
        (1.0, 1.5, 2.0, 3.0, 5.0, 7.0),
        (1.0, 2.0, 5.0),
        (1.0, 3.0),
        (1.0,),
    ):
        found = [m * 10.0**d for d in decades for m in steps if low <= m * 10.0**d <= high]
        if len(found) <= most:
            return found
    return found[:: -(-len(found) // most)]

"""The charts of a sweep: along T, B or H. Pure."""

from __future__ import annotations

from typing import Any

import altair as alt

from bench.analysis import scaling
from bench.report.html import encodings as of


def _along(axis: str) -> alt.X:
    title = f"{axis}, {scaling.AXES[axis]} (logarithmic)"
    numbers = alt.Axis(values=alt.ExprRef("values"), format=",~r", labelOverlap=True, grid=False)
    return alt.X("at:Q", scale=alt.Scale(type="log", nice=False), title=title, axis=numbers)


def _line(axis: str, y: alt.Y) -> alt.Chart:
    drawn: alt.Chart = of.rows().mark_line(strokeWidth=2)
    colour, dash = of.colour(), of.dash()
    return drawn.encode(x=_along(axis), y=y, color=colour, strokeDash=dash, detail="variant:N")


def _point(axis: str, y: alt.Y, tooltip: Any) -> alt.Chart:
    drawn: alt.Chart = of.rows().mark_point(filled=True, size=70, opacity=1)
    about = {"color": of.colour(), "shape": of.shape(), "tooltip": tooltip}
    return drawn.encode(x=_along(axis), y=y, **about)


def _layered(*charts: alt.Chart) -> of.Layers:
    """With the numbers on the axis as a parameter of the page."""
    layered: of.Layers = alt.layer(*charts).add_params(alt.param("values", value=[]))
    return layered


def times(axis: str) -> of.Layers:
    """Step time along an axis, with the GEMM baseline."""
    hover = of.tooltip(
        variant="variant",
        at=axis,
        seconds_text="median step",
        ratio_text="ratio to the fastest",
        interval="95 % interval",
    )
    y = alt.Y(
        "seconds:Q",
        scale=alt.Scale(type="log", nice=False, padding=6),
        title="median step (logarithmic)",
        axis=of.few("y", labelExpr=of.duration("datum.value")),
    )
    chart: of.Layers = _layered(_line(axis, y), _point(axis, y, hover))
    return chart.properties(width="container", height=320)


def ratios(axis: str) -> of.Layers:
    """The ratio to the fastest of each point, with its interval."""
    scale = alt.Scale(type="log", nice=False, padding=6)
    title = "ratio to the fastest (logarithmic)"
    y = alt.Y("ratio:Q", scale=scale, title=title, axis=of.few("y"))
    interval = (
        of.rows()
        .transform_filter("isValid(datum.ratio_high)")
        .mark_rule(strokeWidth=1.5, opacity=0.7)
        .encode(
            x=_along(axis),
            y=alt.Y("ratio_low:Q", scale=scale, title=title),
            y2="ratio_high:Q",
            color=of.colour(),
        )
    )
    chart: of.Layers = _layered(_line(axis, y), interval, _point(axis, y, of.of_ratio()))
    return chart.properties(width="container", height=260)

"""The charts of a sweep: along T, B or H. Pure."""

from __future__ import annotations

import altair as alt

from bench.analysis import scaling
from bench.report.html import encodings as of


def _along(axis: str) -> alt.X:
    title = f"{axis}, {scaling.AXES[axis]} (logarithmic)"
    numbers = alt.Axis(values=alt.ExprRef("values"), format=",~r", labelOverlap=True, grid=False)
    return alt.X("at:Q", scale=alt.Scale(type="log", nice=False), title=title, axis=numbers)


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
    line = (
        of.rows()
        .mark_line(strokeWidth=2)
        .encode(
            x=_along(axis),
            y=y,
            color=of.colour(),
            strokeDash=of.dash(),
            detail="variant:N",
        )
    )
    point = (
        of.rows()
        .mark_point(filled=True, size=70, opacity=1)
        .encode(x=_along(axis), y=y, color=of.colour(), shape=of.shape(), tooltip=hover)
    )
    chart: of.Layers = alt.layer(line, point).add_params(alt.param("values", value=[]))
    return chart.properties(width="container", height=320)


def ratios(axis: str) -> of.Layers:
    """The ratio to the fastest of each point, with its interval."""
    scale = alt.Scale(type="log", nice=False, padding=6)
    title = "ratio to the fastest (logarithmic)"
    y = alt.Y("ratio:Q", scale=scale, title=title, axis=of.few("y"))
    line = (
        of.rows()
        .mark_line(strokeWidth=2)
        .encode(
            x=_along(axis),
            y=y,
            color=of.colour(),
            strokeDash=of.dash(),
            detail="variant:N",
        )
    )
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
    point = (
        of.rows()
        .mark_point(filled=True, size=70, opacity=1)
        .encode(x=_along(axis), y=y, color=of.colour(), shape=of.shape(), tooltip=of.of_ratio())
    )
    chart: of.Layers = alt.layer(line, interval, point).add_params(alt.param("values", value=[]))
    return chart.properties(width="container", height=260)

"""The charts of a page, as Vega-Lite without data: the page fills in the rows. Pure.

A row comes with the `colour`, `shape` and `dash` of its variant, and with its numbers as text.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import altair as alt
import vl_convert

from bench.analysis import scaling
from bench.report.html import along, learned
from bench.report.html import encodings as of

POINTS = 40  # of a line of total time
MEBIBYTE = 2**20

COLD_PARTS = {
    "start_seconds": "interpreter",
    "import_seconds": "import",
    "build_seconds": "build",
    "first_call_seconds": "first call",
}


def charts() -> dict[str, dict[str, Any]]:
    """Each chart by its name; the data sets that it needs are named in it."""
    found = {
        "ratios": _ratios(),
        "totals": _totals(),
        "cold": _cold(),
        "memory": _memory(),
        "targets": learned.targets(),
        "losses": learned.losses(),
        **{f"times_{axis}": along.times(axis) for axis in scaling.AXES},
        **{f"ratios_{axis}": along.ratios(axis) for axis in scaling.AXES},
    }
    return {name: chart.to_dict(validate=True) for name, chart in found.items()}


@cache
def library() -> str:
    """The code that draws them: Vega, Vega-Lite and Vega-Embed, of the version of these charts."""
    major, minor, _ = alt.SCHEMA_VERSION.removeprefix("v").split(".")
    code: str = vl_convert.javascript_bundle(
        "globalThis.vegaEmbed = vegaEmbed;", f"{major}.{minor}"
    )
    return code


def _ratios() -> of.Layers:
    """The ratio of each variant with its interval; a word for a variant without one."""
    scale = alt.Scale(type="log", nice=False, padding=10)
    title = "ratio to the fastest (logarithmic)"
    x = alt.X("ratio:Q", scale=scale, title=title, axis=of.few("x"))
    # The line at 1, and two numbers that the axis always spans.
    one = (
        of.rows("span")
        .mark_rule()
        .encode(
            x=alt.X("at:Q", title=title),
            opacity=alt.condition("datum.at == 1", alt.value(0.6), alt.value(0)),
        )
    )
    interval = (
        of.rows()
        .transform_filter("isValid(datum.ratio_high)")
        .mark_rule(strokeWidth=2)
        .encode(
            x=alt.X("ratio_low:Q", scale=scale, title=title),
            x2="ratio_high:Q",
            y=of.variants(),
            color=of.colour(),
            tooltip=of.of_ratio(),
        )
    )
    point = (
        of.rows()
        .mark_point(filled=True, size=90, opacity=1)
        .encode(x=x, y=of.variants(), color=of.colour(), shape=of.shape(), tooltip=of.of_ratio())
    )
    word = (
        of.rows("words")
        .mark_text(align="left", dx=8)
        .encode(x=alt.XDatum(1), y=of.variants(), text="word:N", tooltip=of.of_ratio())
    )
    chart: of.Layers = alt.layer(one, interval, point, word)
    return chart.properties(width="container", height=alt.Step(of.ROW_HEIGHT), autosize=of.ROWS)


def _totals() -> of.Layers:
    """Seconds since the start of the interpreter against steps; a ring where the lead changes."""
    x = alt.X(
        "steps:Q",
        scale=alt.Scale(type="log", nice=False),
        title="steps (logarithmic)",
        axis=of.few("x"),
    )
    y = alt.Y(
        "total:Q",
        scale=alt.Scale(type="log", nice=False),
        title="total time (logarithmic)",
        axis=of.few("y", labelExpr=of.duration("datum.value")),
    )
    hover = of.tooltip(
        variant="variant",
        steps_text="steps",
        total_text="total time",
        cold_seconds_text="cold start",
        seconds_text="median step",
    )
    base = (
        of.rows()
        .transform_calculate(number=f"sequence({POINTS + 1})")
        .transform_flatten(["number"])
        .transform_calculate(steps=f"round(pow(datum.reach, datum.number / {POINTS}))")
        .transform_calculate(
            total="datum.cold_seconds + (datum.steps - 1) * datum.seconds",
            steps_text="format(datum.steps, ',')",
        )
        .transform_calculate(total_text=of.duration("datum.total", ".3"))
    )
    line = base.mark_line(strokeWidth=2).encode(
        x=x,
        y=y,
        color=of.colour(),
        strokeDash=of.dash(),
        detail="variant:N",
    )
    marker = (
        base.transform_filter("datum.number % 8 == 0")
        .mark_point(filled=True, size=45, opacity=1)
        .encode(x=x, y=y, color=of.colour(), shape=of.shape(), tooltip=hover)
    )
    ring = (
        of.rows("overtakes")
        .mark_point(style="ring", size=160, strokeWidth=1.5)
        .encode(x=x, y=y, tooltip=of.tooltip(text="with the cold start"))
    )
    chart: of.Layers = alt.layer(line, marker, ring)
    return chart.properties(width="container", height=300)


def _cold() -> alt.Chart:
    """The parts of the time before the first warm step."""
    parts = alt.Scale(domain=list(COLD_PARTS.values()), range=[0.3, 1.0])
    words = ", ".join(f"{name}: '{title}'" for name, title in COLD_PARTS.items())
    chart: alt.Chart = (
        of.rows()
        .transform_fold(list(COLD_PARTS), as_=["name", "part_seconds"])
        .transform_calculate(
            part=f"({{{words}}})[datum.name]",
            part_text="datum[datum.name + '_text']",
            order=f"indexof({list(COLD_PARTS)}, datum.name)",
        )
        .mark_bar(height=14)
        .encode(
            x=alt.X(
                "part_seconds:Q",
                stack="zero",
                title="time before the first warm step",
                axis=alt.Axis(
                    labelExpr=of.duration("datum.value"), labelOverlap="greedy", tickCount=8
                ),
            ),
            y=of.variants(),
            color=of.colour(),
            opacity=alt.Opacity(
                "part:N",
                scale=parts,
                sort=list(COLD_PARTS.values()),
                legend=alt.Legend(orient="top", title=None, columns=2, symbolType="square"),
            ),
            order="order:Q",
            tooltip=of.tooltip(
                variant="variant", part="part", part_text="time", cold_seconds_text="total"
            ),
        )
        .properties(width="container", height=alt.Step(of.ROW_HEIGHT), autosize=of.ROWS)
    )
    return chart


def _memory() -> of.Layers:
    """Bars from zero; the pale end is what earlier workloads of the process may have left."""
    title = "memory (MiB)"
    hover = of.tooltip(variant="variant", memory="memory")
    rows = of.rows().transform_calculate(
        least=f"datum.least_bytes / {MEBIBYTE}", most=f"datum.most_bytes / {MEBIBYTE}"
    )
    sure = rows.mark_bar(height=14).encode(
        x=alt.X("least:Q", title=title, axis=alt.Axis(tickCount=8)),
        y=of.variants(),
        color=of.colour(),
        tooltip=hover,
    )
    perhaps = rows.mark_bar(height=14, opacity=0.35).encode(
        x=alt.X("least:Q", title=title),
        x2="most:Q",
        y=of.variants(),
        color=of.colour(),
        tooltip=hover,
    )
    chart: of.Layers = alt.layer(sure, perhaps)
    return chart.properties(width="container", height=alt.Step(of.ROW_HEIGHT), autosize=of.ROWS)

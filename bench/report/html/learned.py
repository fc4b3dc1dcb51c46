"""The charts of nets that learned. Pure."""

from __future__ import annotations

import altair as alt

from bench.report.html import encodings as of

PARTS = {"cold_seconds": "cold start", "update_seconds": "updates"}


def targets() -> of.Layers:
    """Seconds to the target: the cold start, then the updates; a word where it was not reached."""
    words = ", ".join(f"{name}: '{title}'" for name, title in PARTS.items())
    title = "time to the target"
    hover = of.tooltip(
        variant="variant",
        seconds_to_target_text="to the target",
        cold_seconds_text="cold start",
        update_seconds_text="updates took",
        updates_text="updates",
    )
    bars = (
        of.rows()
        .transform_fold(list(PARTS), as_=["name", "part_seconds"])
        .transform_calculate(
            part=f"({{{words}}})[datum.name]", order=f"indexof({list(PARTS)}, datum.name)"
        )
        .mark_bar(height=14)
        .encode(
            x=alt.X(
                "part_seconds:Q",
                stack="zero",
                title=title,
                axis=alt.Axis(
                    labelExpr=of.duration("datum.value"), labelOverlap="greedy", tickCount=8
                ),
            ),
            y=of.variants(),
            color=of.colour(),
            opacity=alt.Opacity(
                "part:N",
                scale=alt.Scale(domain=list(PARTS.values()), range=[0.35, 1.0]),
                sort=list(PARTS.values()),
                legend=alt.Legend(orient="top", title=None, symbolType="square"),
            ),
            order="order:Q",
            tooltip=hover,
        )
    )
    missed = (
        of.rows("words")
        .mark_text(align="left", dx=8)
        .encode(x=alt.XDatum(0), y=of.variants(), text="seconds_to_target_text:N", tooltip=hover)
    )
    chart: of.Layers = alt.layer(bars, missed)
    return chart.properties(width="container", height=alt.Step(of.ROW_HEIGHT), autosize=of.ROWS)


def losses() -> of.Layers:
    """The loss of the scored sequences against updates."""
    x = alt.X("at:Q", title="updates", axis=alt.Axis(format=",d", tickMinStep=1, tickCount=10))
    y = alt.Y(
        "loss:Q",
        scale=alt.Scale(type="log", nice=False, padding=6),
        title="scored loss (logarithmic)",
        axis=of.few("y", labelExpr="format(datum.value, '~g')"),
    )
    line = (
        of.rows()
        .mark_line(strokeWidth=2)
        .encode(x=x, y=y, color=of.colour(), strokeDash=of.dash(), detail="variant:N")
    )
    point = (
        of.rows()
        .mark_point(filled=True, size=45, opacity=1)
        .encode(
            x=x,
            y=y,
            color=of.colour(),
            shape=of.shape(),
            tooltip=of.tooltip(variant="variant", at="updates", loss_text="loss"),
        )
    )
    chart: of.Layers = alt.layer(line, point)
    return chart.properties(width="container", height=260)

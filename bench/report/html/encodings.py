"""What the charts have in common: rows, variants, axes, hovering. Pure."""

from __future__ import annotations

from typing import Any

import altair as alt

Layers = alt.LayerChart | alt.FacetChart

ROW_HEIGHT = 26  # pixels of a variant
ROWS = alt.AutoSizeParams(type="fit-x", contains="padding")  # as high as there are rows


def rows(name: str = "rows") -> alt.Chart:
    return alt.Chart(alt.NamedData(name))


def variants() -> alt.Y:
    """A row per variant, in the order of the data."""
    return alt.Y(
        "variant:N",
        sort=alt.EncodingSortField("place", op="min"),
        title=None,
        axis=alt.Axis(labelLimit=130, ticks=False),
    )


def colour() -> alt.Color:
    return alt.Color("colour:N", scale=None)


def dash() -> alt.StrokeDash:
    return alt.StrokeDash("dash:N", scale=None)


def shape() -> alt.Shape:
    return alt.Shape("shape:N", scale=None)


def tooltip(**fields: str) -> list[alt.Tooltip]:
    return [alt.Tooltip(f"{field}:N", title=title) for field, title in fields.items()]


def of_ratio() -> list[alt.Tooltip]:
    return tooltip(
        variant="variant",
        seconds_text="median step",
        ratio_text="ratio to the fastest",
        interval="95 % interval",
        word="verdict",
        agreement="agreement",
        path="path",
        reason="reason",
    )


def duration(value: str, digits: str = "") -> str:
    """An expression that gives seconds as text, in the unit that suits them."""
    return (
        f"{value} == 0 ? '0' : {value} < 0.0009995 ? format({value} * 1e6, '{digits}~r') + ' µs' : "
        f"{value} < 0.9995 ? format({value} * 1e3, '{digits}~r') + ' ms' : "
        f"format({value}, ',{digits}~r') + ' s'"
    )


def few(channel: str, **more: Any) -> alt.Axis:
    """A logarithmic axis; a long one has lines at 1, 2 and 5 times a power of ten alone."""
    digit = "round(datum.value / pow(10, floor(log(datum.value) / LN10 + 1e-9)))"
    ends = f"domain('{channel}')"
    few = f"({ends}[1] / {ends}[0] < 12 || indexof([1, 2, 5], {digit}) >= 0)"
    label = more.pop("labelExpr", "format(datum.value, ',~r')")
    shown = {"condition": {"test": few, "value": 0.7}, "value": 0}
    return alt.Axis(
        labelExpr=f"{few} ? {label} : ''",
        labelOverlap="greedy",
        gridOpacity=shown,
        tickOpacity=shown,
        **more,
    )

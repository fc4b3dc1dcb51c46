"""Sweeps as values for a page: their points are workloads of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from bench.analysis import scaling, text
from bench.analysis.scaling import Sweep
from bench.analysis.workload_view import WorkloadView
from bench.report.figures.figure import BASELINE
from bench.report.html.choices import choice
from bench.report.html.rows import names
from bench.report.markdown import sweeps

MOST_STRETCHES = 6  # that a sentence lists; the table has every point


def curves(run: str, views: Sequence[WorkloadView], first: int) -> Iterator[dict[str, Any]]:
    """Every sweep of the workloads; `first` is the number of the first of them on the page."""
    place = {id(view): first + number for number, view in enumerate(views)}
    found = [sweep for sweep in scaling.find(views) if sweep.labels]
    for sweep in found:
        yield {
            "choice": choice(run, sweep.views[0].workload, _label(sweep, found)),
            "axis": sweep.axis,
            "title": text.plain(sweeps.title(sweep).replace("\\", "")),
            "values": sweep.values,
            "points": [place[id(view)] for view in sweep.views],
            "growth": _growths(sweep),
            "lead": lead(sweep),
        }


def _label(sweep: Sweep, others: Sequence[Sweep]) -> str:
    """ "curve over T", with the sizes and options in which sweeps over that axis differ."""
    same = [other for other in others if _place(other) == _place(sweep)]
    sizes = [
        f"{letter} {value}"
        for letter, value in sweep.fixed.items()
        if len({other.fixed[letter] for other in same}) > 1
    ]
    words = [text.plain(word, 24) for word in sweep.words]
    return ", ".join([f"curve over {sweep.axis}", *sizes, *words])


def _place(sweep: Sweep) -> tuple[object, ...]:
    w = sweep.views[0].workload
    return (sweep.axis, w.task, w.spec.cell, w.phase, w.device, w.dtype, w.threads)


def _growths(sweep: Sweep) -> dict[str, str]:
    """The exponent of each curve by the name of its variant, as text."""
    called = {label: name for view in sweep.views for label, name in names(view).items()}
    fits = {called[label]: scaling.growth(sweep.points(label)) for label in sweep.labels}
    fits[BASELINE] = scaling.growth(sweep.baseline())
    return {name: str(fit) for name, fit in fits.items() if fit is not None}


def lead(sweep: Sweep) -> str:
    """Whether the first rank changes along the axis, in one or two sentences."""
    axis = sweep.axis
    firsts = [_first(view) for view in sweep.views]
    decided = [first for first in firsts if first]
    if not decided:
        return "No point of this curve has a rank."
    stretches = _stretches(sweep.values, firsts)
    where = "; ".join(
        f"{axis} {low}{f' to {high}' if high != low else ''}: {text.joined(first) or 'undecided'}"
        for low, high, first in stretches
    )
    where = f" First rank at {where}." if len(stretches) <= MOST_STRETCHES else ""
    always = [name for name in decided[0] if all(name in first for first in decided)]
    if not always:
        return f"The lead changes with {axis}.{where}"
    verb = "has" if len(always) == 1 else "have"
    return (
        f"The lead does not change with {axis} as far as is certain: {text.joined(always)} {verb} "
        f"the first rank at every decided point.{where}"
    )


def _first(view: WorkloadView) -> tuple[str, ...]:
    """Who shares the first rank, in the order of the records."""
    return tuple(name for label, name in names(view).items() if label in view.first)


def _stretches(
    values: Sequence[int], firsts: Sequence[tuple[str, ...]]
) -> list[tuple[int, int, tuple[str, ...]]]:
    """Neighbouring values with the same first rank, from the lowest to the highest of them."""
    found: list[tuple[int, int, tuple[str, ...]]] = []
    for value, first in zip(values, firsts, strict=True):
        if found and found[-1][2] == first:
            found[-1] = (found[-1][0], value, first)
        else:
            found.append((value, value, first))
    return found

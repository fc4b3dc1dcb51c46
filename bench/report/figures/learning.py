"""Figures of nets that learned: their losses, where these part, and the seconds to the target."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.analysis import text
from bench.analysis.learning import Learning, find
from bench.analysis.workload_view import WorkloadView
from bench.report.figures.figure import (
    Axis,
    Figure,
    Panel,
    Series,
    names,
    place,
    series_of,
    title_of,
)

MOST = 12  # workloads
REFERENCE = "float32 reference"
ORACLE = "numpy, float64"
UPDATES = Axis("updates", log=False)
LOSS, ERROR = Axis("loss"), Axis("relative error")
TIME = Axis("time", seconds=True)


def figures(views: Sequence[WorkloadView]) -> list[Figure]:
    """One figure for each workload."""
    found = []
    for number, learning in enumerate(find(views)[:MOST], 1):
        workload = learning.view.workload
        where = place(workload.task, workload.device)
        panels = [_losses(learning), _held_out(learning), _errors(learning), _seconds(learning)]
        found.append(
            Figure(
                f"learning-{number}.svg",
                f"{where}: {title_of(learning.view)}, learning",
                f"{where}: loss against updates while each variant learns, held-out loss, the "
                "relative error of the losses, and the seconds to the target",
                "learning",
                tuple((panel,) for panel in panels if panel is not None),
            )
        )
    return found


def _losses(learning: Learning) -> Panel | None:
    called = names(learning.view)
    series = [
        _line(called[label], enumerate(learning.learned(label).losses, 1))
        for label in learning.labels
    ]
    if learning.lesson.losses:
        series.append(_line(ORACLE, enumerate(learning.lesson.losses, 1), variant=False))
    return _lines("loss of each update, on its own batch", LOSS, series)


def _held_out(learning: Learning) -> Panel | None:
    called = names(learning.view)
    series = [
        _line(called[label], ((s.updates, s.loss) for s in learning.learned(label).scores))
        for label in learning.labels
    ]
    lesson = learning.lesson
    words = "the same batch, scored" if lesson.single else f"{lesson.scored:,} held-out sequences"
    return _lines(f"loss of {words}", LOSS, series)


def _errors(learning: Learning) -> Panel | None:
    called, every = names(learning.view), learning.lesson.every

    def at(errors: Sequence[float]) -> Iterable[tuple[int, float]]:
        return (((number + 1) * every, error) for number, error in enumerate(errors))

    series = [_line(called[label], at(learning.learned(label).errors)) for label in learning.labels]
    series.append(_line(REFERENCE, at(learning.lesson.reference_errors), variant=False))
    return _lines("relative error of the losses against the oracle's", ERROR, series)


def _lines(title: str, y: Axis, series: Sequence[Series | None]) -> Panel | None:
    drawn = tuple(each for each in series if each is not None)
    return Panel(title, "lines", drawn, UPDATES, y) if drawn else None


def _line(
    name: str, points: Iterable[tuple[float, float]], *, variant: bool = True
) -> Series | None:
    """None if fewer than two points are above 0, as a logarithmic axis needs them."""
    shown = [(float(x), y) for x, y in points if y > 0]
    return series_of(name, shown, variant=variant) if len(shown) > 1 else None


def _seconds(learning: Learning) -> Panel | None:
    called = names(learning.view)
    series = []
    for label in learning.labels:
        total = learning.seconds_to_target(label)
        if total is None:
            series.append(Series(called[label], (), (), note="not reached"))
        else:
            series.append(Series(called[label], (total,), ()))
    words = f"seconds to {text.plain(learning.lesson.metric, 16)} {learning.lesson.threshold:g}"
    title = f"{words}, cold start included"
    return Panel(title, "dots", tuple(series), TIME) if series else None

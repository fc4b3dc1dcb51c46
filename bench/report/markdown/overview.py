"""The first screen: which variant is fastest for what, by how much, how certain. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from bench.analysis import text
from bench.analysis.workload_view import FINE, NOT_RUN, WorkloadView, cell_in_words, verdict
from bench.report.markdown import sentences

TERMINAL = 168  # columns of a table; variants beyond them go into a further table


def by_device(views: Sequence[WorkloadView]) -> dict[str, list[WorkloadView]]:
    found: dict[str, list[WorkloadView]] = {}
    for view in views:
        found.setdefault(view.workload.device, []).append(view)
    return found


def by_task(views: Sequence[WorkloadView]) -> dict[str, list[WorkloadView]]:
    """Tasks in the order of the records; within a task, sorted by cell, then phase."""
    found: dict[str, list[WorkloadView]] = {}
    for view in views:
        found.setdefault(view.workload.task, []).append(view)
    for group in found.values():
        cells = list(dict.fromkeys(view.workload.spec.cell for view in group))
        group.sort(key=lambda view: cells.index(view.workload.spec.cell))
    return found


def lines(views: Sequence[WorkloadView]) -> str:
    """A list of the tasks, with a sentence about each of their workloads."""
    found = []
    for task, group in by_task(views).items():
        first, *more = sentences.of_task(group)
        if more:
            found += [f"- {text.escape(task)}", *(f"  - {line}" for line in (first, *more))]
        else:
            found.append(f"- {text.escape(task)}, {first}")
    return "\n".join(found)


def table(views: Sequence[WorkloadView]) -> str:
    """Rows are workloads, columns are variants, values are ratios to the fastest.

    Variants that do not fit into TERMINAL columns go into a further table with the same rows.
    """
    views = [view for group in by_task(views).values() for view in group]
    left = [["workload", *map(_row_title, views)], ["fastest", *map(_step, views)]]
    tables = [list(left)]
    for label in dict.fromkeys(label for view in views for label in view.candidates):
        column = [label, *(shown(view, label) for view in views)]
        beside = [*tables[-1], column]
        if sum(map(text.column_width, beside)) > TERMINAL and len(beside) > len(left) + 1:
            tables.append(list(left))
        tables[-1].append(column)
    return "\n\n".join(
        text.table(head, rows, right=range(1, len(head)))
        for head, *rows in (list(zip(*columns, strict=True)) for columns in tables)
    )


def _row_title(view: WorkloadView) -> str:
    workload = view.workload
    net = f"{text.escape(workload.task)} {text.escape(workload.spec.cell)}"
    return ", ".join([net, *view.also, text.escape(workload.phase)])


def _step(view: WorkloadView) -> str:
    """The median step of the fastest variant."""
    best = view.fastest
    return text.duration(view.seconds[best]) if best else ""


def shown(view: WorkloadView, label: str) -> str:
    """ "1.43 ±4 % #2": ratio to the fastest, its interval, its rank; or why there is none.

    "?" stands for an undecided rank: background load disturbed too many blocks.
    """
    if label not in view.candidates:
        return ""
    m = view.candidates[label]
    if label not in view.ranked:
        word = verdict(m)
        return word if word in (*FINE, *NOT_RUN) else f"✗ {word}"
    if view.serial:
        return text.duration(view.seconds[label])
    if label == view.fastest:
        if len(view.ranked) == 1:
            return "alone"
        return "1.00 ?" if view.unclear else "**1.00** #1"
    found = view.comparisons.get(label)
    if found is None:
        return "unpaired"
    estimate = found.estimate
    ratio = f"{text.ratio(estimate.ratio)} {text.plus_minus(estimate.half_width)}"
    if view.unclear:
        return f"{ratio} ?"
    rank = view.ranks.get(label)
    return ratio if rank is None else f"{ratio} #{rank}"


def undecided(views: Sequence[WorkloadView]) -> bool:
    """Does the table show a "?"."""
    return any(view.unclear and len(view.ranked) > 1 for view in views)


def common(views: Sequence[WorkloadView]) -> str:
    """What all rows of a table have in common: "float32, 2 threads"."""
    dtypes = {view.workload.dtype for view in views}
    threads = {view.workload.threads for view in views}
    parts = [text.escape(dtypes.pop())] if len(dtypes) == 1 else []
    parts += [text.threads(threads.pop())] if len(threads) == 1 else []
    return ", ".join(parts)


def cells_named(views: Sequence[WorkloadView]) -> str:
    """ "rnn_tanh is the vanilla RNN (tanh)", for cells whose name differs from their words."""
    found = {view.workload.spec.cell: cell_in_words(view.workload) for view in views}
    return ", ".join(
        f"{text.escape(name)} is the {words}"
        for name, words in found.items()
        if name.casefold() != words.casefold()
    )

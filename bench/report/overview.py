"""The first screen: who is fastest for what, by how much, how sure, and do they agree. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from bench.record import Measurement, Run
from bench.report import conditions, sentences, text
from bench.report.cells import FINE, NOT_RUN, Cell, kind, verdict

TERMINAL = 168  # columns of a table, beyond which it goes on in a further one


def by_device(cells: Sequence[Cell]) -> dict[str, list[Cell]]:
    found: dict[str, list[Cell]] = {}
    for cell in cells:
        found.setdefault(cell.any.device, []).append(cell)
    return found


def by_task(cells: Sequence[Cell]) -> dict[str, list[Cell]]:
    """Tasks in the order of the records; within one, kinds of cells before phases."""
    found: dict[str, list[Cell]] = {}
    for cell in cells:
        found.setdefault(cell.any.task, []).append(cell)
    for group in found.values():
        kinds = list(dict.fromkeys(kind(cell.any) for cell in group))
        group.sort(key=lambda cell: kinds.index(kind(cell.any)))
    return found


def lines(cells: Sequence[Cell]) -> str:
    """A list: a task, and what is known of each of its cells."""
    found = []
    for task, group in by_task(cells).items():
        told = sentences.of_task(group)
        if len(told) == 1:
            found.append(f"- {text.escape(task)}, {told[0]}")
        else:
            found += [f"- {text.escape(task)}", *(f"  - {line}" for line in told)]
    return "\n".join(found)


def table(cells: Sequence[Cell]) -> str:
    """Rows are cells, columns are variants, entries are ratios to the fastest.

    More variants than fit beside each other go on in a further table of the same rows.
    """
    cells = [cell for group in by_task(cells).values() for cell in group]
    left = [["cell", *map(_row_title, cells)], ["fastest", *map(_step, cells)]]
    tables = [list(left)]
    for label in dict.fromkeys(label for cell in cells for label in cell.entries):
        column = [label, *(entry(cell, label) for cell in cells)]
        beside = [*tables[-1], column]
        if sum(map(text.column_width, beside)) > TERMINAL and len(beside) > len(left) + 1:
            tables.append(list(left))
        tables[-1].append(column)
    return "\n\n".join(
        text.table(head, rows, right=range(1, len(head)))
        for head, *rows in (list(zip(*columns, strict=True)) for columns in tables)
    )


def _row_title(cell: Cell) -> str:
    m = cell.any
    return ", ".join([f"{text.escape(m.task)} {text.escape(m.spec['cell'])}", *cell.also]) + (
        f", {text.escape(m.phase)}"
    )


def _step(cell: Cell) -> str:
    """The median step of the fastest, which is bold in its row."""
    best = cell.fastest
    return text.duration(cell.seconds[best]) if best else ""


def entry(cell: Cell, label: str) -> str:
    """ "1.43 ±4 % #2": ratio to the fastest, its interval, its rank; or why there is none.

    "?" instead of a rank where others kept the machine too busy to tell.
    """
    if label not in cell.entries:
        return ""
    m = cell.entries[label]
    if label not in cell.ranked:
        word = verdict(m)
        return word if word in (*FINE, *NOT_RUN) else f"✗ {word}"
    if cell.serial:
        return text.duration(cell.seconds[label])
    if label == cell.fastest:
        if len(cell.ranked) == 1:
            return "alone"
        return "1.00 ?" if cell.unclear else "**1.00** #1"
    found = cell.comparisons.get(label)
    if found is None:
        return "unpaired"
    estimate = found.estimate
    shown = f"{text.ratio(estimate.ratio)} {text.plus_minus(estimate.half_width)}"
    if cell.unclear:
        return f"{shown} ?"
    rank = cell.ranks.get(label)
    return shown if rank is None else f"{shown} #{rank}"


def undecided(cells: Sequence[Cell]) -> bool:
    """Does an entry of their table show "?"."""
    return any(cell.unclear and len(cell.ranked) > 1 for cell in cells)


def facts(run: Run, measurements: Sequence[Measurement], cells: Sequence[Cell]) -> str:
    """Two lines: the machine and its noise; do they agree."""
    return f"{conditions.machine_line(run, cells)}\n\n{sentences.agreement(measurements)}"


def common(cells: Sequence[Cell]) -> str:
    """What all cells of a table share and no row says: "float32, 2 threads"."""
    dtypes = {cell.any.dtype for cell in cells}
    threads = {cell.any.threads for cell in cells}
    parts = [text.escape(dtypes.pop())] if len(dtypes) == 1 else []
    parts += [text.plural(threads.pop(), "thread")] if len(threads) == 1 else []
    return ", ".join(parts)


def kinds_named(cells: Sequence[Cell]) -> str:
    """ "rnn_tanh is the vanilla RNN (tanh)", for those whose name is not the same in words."""
    found = {str(cell.any.spec["cell"]): kind(cell.any) for cell in cells}
    return ", ".join(
        f"{text.escape(name)} is the {words}"
        for name, words in found.items()
        if name.casefold() != words.casefold()
    )

"""What the verdicts say, in plain words, and nothing beyond it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bench.record import Measurement
from bench.report import tables, text
from bench.report.cells import NOT_RUN, Cell, kind, verdict

CELLS_TOLD = 8  # of one task and phase; more of them are counted


def of_task(cells: Sequence[Cell]) -> list[str]:
    """One line a cell of one task; where these are many, one line a phase that counts them."""
    by_phase: dict[str, list[Cell]] = {}
    for cell in cells:
        by_phase.setdefault(cell.any.phase, []).append(cell)
    lines = []
    for phase, group in by_phase.items():
        if len(group) > CELLS_TOLD:
            lines.append(f"{text.escape(phase)}: {_counted(group)}")
        else:
            lines += [f"{_where(cell)}: {of_cell(cell)}" for cell in group]
    return lines


def _where(cell: Cell) -> str:
    return ", ".join([text.escape(cell.any.phase), kind(cell.any), *cell.also])


def of_cell(cell: Cell) -> str:
    """Who is fastest, by how much, and how sure that is."""
    best = cell.fastest
    if best is None:
        return "no variant has a time."
    step = text.duration(cell.seconds[best])
    if cell.serial:
        return f"{text.plural(len(cell.ranked), 'variant')} timed, not compared."
    if len(cell.ranked) == 1:
        return f"{best} alone has a time, {step} a step."
    if cell.unclear:
        return "undecided: others kept the machine busy while it was measured."
    if not cell.comparisons:
        return f"{best} takes {step} a step; nothing else was timed in the same rounds."
    return f"{_first(cell, best, step)}{_next(cell, best)}"


def _first(cell: Cell, best: str, step: str) -> str:
    others = [label for label in cell.first if label != best]
    if not others:
        return f"**{best}** is fastest, {step} a step"
    same = [label for label in others if cell.comparisons[label].verdict == "same"]
    faster = [label for label in others if cell.comparisons[label].verdict == "faster"]
    unclear = [label for label in others if label not in (*same, *faster)]
    parts = [f"**{best}** has the lowest median, {step} a step"]
    if same:
        most = max(cell.comparisons[label].estimate.margin for label in same)
        names = text.joined([f"**{label}**" for label in same])
        verb = "takes" if len(same) == 1 else "take"
        parts.append(f"{names} {verb} the same time (within {text.plus_minus(most)[1:]})")
    if unclear:
        told = [f"**{label}** ({_ratio(cell, label)})" for label in unclear]
        verb = "is" if len(unclear) == 1 else "are"
        parts.append(f"{text.joined(told)} {verb} not told apart from it")
    if faster:
        told = [f"**{label}** ({_ratio(cell, label)})" for label in faster]
        verb = "is" if len(faster) == 1 else "are"
        parts.append(f"{text.joined(told)} {verb} faster than it round by round")
    return "; ".join(parts)


def _next(cell: Cell, best: str) -> str:
    """ "; next is jax, 1.25 (1.08 to 1.44) times as long." Who shares that rank is named too."""
    later = [label for label in cell.order if cell.ranks.get(label, 0) > 1]
    if not later:
        return "."
    second = [label for label in later if cell.ranks[label] == cell.ranks[later[0]]]
    second.sort(key=lambda label: cell.seconds[label])
    found = cell.comparisons[second[0]].estimate
    ratio = f"{text.ratio(found.ratio)} ({text.interval(*found.interval)}) times as long"
    if len(second) == 1:
        return f"; next is {second[0]}, {ratio}."
    share = "shares its rank" if len(second) == 2 else "share its rank"
    return f"; next is {second[0]}, {ratio}, and {text.joined(second[1:])} {share}."


def _ratio(cell: Cell, label: str) -> str:
    """ "1.02, 0.84 to 1.23"."""
    found = cell.comparisons[label].estimate
    return f"{text.ratio(found.ratio)}, {text.interval(*found.interval)}"


def _counted(cells: Sequence[Cell]) -> str:
    """In how many cells each is first, alone or shared."""
    only = Counter(cell.ranked[0] for cell in cells if len(cell.ranked) == 1)
    total, cells = len(cells), [cell for cell in cells if len(cell.ranked) != 1]
    alone = Counter(cell.first[0] for cell in cells if len(cell.first) == 1)
    shared = Counter(label for cell in cells if len(cell.first) > 1 for label in cell.first)
    told = []
    for label in sorted({*alone, *shared}, key=lambda n: (-alone[n], -shared[n], n)):
        parts = [f"is first in {alone[label]}"] if alone[label] else []
        parts += [f"shares the first rank in {shared[label]}"] if shared[label] else []
        told.append(f"**{label}** {' and '.join(parts)}")
    told += [f"**{label}** alone has a time in {count}" for label, count in only.items()]
    without = sum(not cell.first for cell in cells)
    told += [f"{without} have no rank"] if without else []
    return f"of {text.plural(total, 'cell')}, {'; '.join(told)}."


def agreement(measurements: Sequence[Measurement]) -> str:
    """Do they agree: how many do, and each that does not by its tensor."""
    variants = [m for m in measurements if m.role == "variant" and m.status not in NOT_RUN]
    good = [m for m in variants if verdict(m) in ("ok", "agrees")]
    tensors = sum(m.agreement.tensors for m in good if m.agreement)
    wrong = [m for m in variants if tables.disagrees(m)]
    told = [
        f"{len(good)} of {len(variants)} agree with the float64 oracle in all {tensors:,} tensors"
    ]
    if not good:
        told = ["None was found to agree with the float64 oracle"]
    told += [
        f"**{text.escape(m.variant)} {tables.disagreement(m)}**, in {text.escape(m.cell)}"
        for m in wrong[:CELLS_TOLD]
    ]
    if len(wrong) > CELLS_TOLD:
        told.append(f"{len(wrong) - CELLS_TOLD} more disagree")
    return f"{'; '.join(told)}." if variants else "No variant ran, so nothing was compared."

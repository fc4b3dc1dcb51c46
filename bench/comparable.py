"""Which cells of two runs may be compared, and why others may not."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bench.sides import Key, Sample, Side

_PARTS = ("task", "kind", "size", "device", "dtype")
_CELL = re.compile(r"(?P<phase>\w+)\[" + "-".join(f"(?P<{p}>[^-]+)" for p in _PARTS) + r"\]")
# What two runs may differ in throughout: as little as possible, tried in this order.
_DIFFERING = ("threads", "dtype", "device", "size", "kind")
_DROPPED = tuple(
    chosen for count in (1, 2, 3) for chosen in itertools.combinations(_DIFFERING, count)
)


@dataclass(frozen=True)
class Match:
    """Two runs, their cells under common keys, and what differs all the same."""

    base: Side
    other: Side
    differences: tuple[str, ...]  # each is a reason not to compare, unless told so
    same_machine: bool
    alone: tuple[int, int]  # cells that only the first has, and only the second


class IncomparableError(ValueError):
    """The runs are of different things; the message says which, and what to do."""


def match(base: Side, other: Side, *, force: bool = False) -> Match:
    """The cells that both have. Raises IncomparableError where any of these differ: the machine,
    the spec of a cell, dtypes or threads of runs that have nothing else in common; unless `force`.
    """
    differences = []
    for side in (base, other):
        if side.serial:
            raise IncomparableError(
                f"{side.name} holds times of --serial: taken one after the other in one process, "
                "they are never compared"
            )
    same_machine = base.machine == other.machine
    if not same_machine:
        differences.append(f"machine: {base.machine} / {other.machine}")
    common = [key for key in base.cells if key in other.cells]
    if not common:
        base, other, relaxed = _relaxed(base, other)
        differences += relaxed
        common = [key for key in base.cells if key in other.cells]
    differences += _specs(base, other, common)
    if differences and not force:
        raise IncomparableError(
            f"{base.name} and {other.name} are not comparable: {'; '.join(differences)}. "
            "With --force they are compared all the same, and this is said"
        )
    alone = (len(base.cells.keys() - other.cells), len(other.cells.keys() - base.cells))
    return Match(base, other, tuple(differences), same_machine, alone)


def _specs(base: Side, other: Side, common: list[Key]) -> list[str]:
    """Cells of one name that hold another model."""
    found = []
    for key in common:
        here, there = _facts(base.cells[key]), _facts(other.cells[key])
        if here and there and here != there:
            found.append(f"{key.cell}: {_difference(here, there)}")
    return found


def _facts(entries: Mapping[str, Sample]) -> Mapping[str, Any]:
    return next((s.facts for s in entries.values() if s.variant), {})


def _difference(here: Mapping[str, Any], there: Mapping[str, Any]) -> str:
    """ "hidden_size 64 / 128", each field that differs."""
    flat_here, flat_there = (
        {**{k: v for k, v in facts.items() if k != "spec"}, **facts.get("spec", {})}
        for facts in (here, there)
    )
    names = [n for n in flat_here | flat_there if flat_here.get(n) != flat_there.get(n)]
    return ", ".join(f"{n} {flat_here.get(n)} / {flat_there.get(n)}" for n in names)


def _relaxed(base: Side, other: Side) -> tuple[Side, Side, list[str]]:
    """Both with keys that leave out what differs between all of their cells.

    Raises IncomparableError where nothing is left that both have.
    """
    for dropped in _DROPPED:
        sides = [_without(side, dropped) for side in (base, other)]
        if all(side is not None for side in sides):
            here, there = (side for side in sides if side is not None)
            if set(here.cells) & set(there.cells):
                pairs = (
                    f"{what}: {_values(base, what)} / {_values(other, what)}" for what in dropped
                )
                return here, there, list(pairs)
    names = [", ".join(key.cell for key in list(side.cells)[:3]) for side in (base, other)]
    raise IncomparableError(
        f"{base.name} and {other.name} have no cell in common: {names[0]} ... / {names[1]} ...; "
        "expected runs of the same tasks, cells, sizes and phases"
    )


def _without(side: Side, dropped: tuple[str, ...]) -> Side | None:
    """The side under shorter keys; None where two of its cells would have one key."""
    cells: dict[Key, Mapping[str, Sample]] = {}
    disturbed = {}
    for key, entries in side.cells.items():
        short = _short(key, dropped)
        if short in cells:
            return None
        cells[short] = entries
        disturbed[short] = side.disturbed.get(key, 0.0)
    return replace(side, cells=cells, disturbed=disturbed)


def _short(key: Key, dropped: tuple[str, ...]) -> Key:
    cell = key.cell
    if (found := _CELL.fullmatch(cell)) is not None:
        parts = [found[part] for part in _PARTS if part not in dropped]
        cell = f"{found['phase']}[{'-'.join(parts)}]"
    return Key(cell, None if "threads" in dropped else key.threads)


def _values(side: Side, what: str) -> str:
    if what == "threads":
        return ", ".join(sorted({str(key.threads) for key in side.cells}))
    cells = (_CELL.fullmatch(key.cell) for key in side.cells)
    return ", ".join(sorted({found[what] for found in cells if found}))

"""A comparison of two runs in words, and what of it is a failure. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

from bench.comparable import Match
from bench.compare import Change, Result
from bench.report import text
from bench.sides import Side
from bench.verdicts import Comparison

APART = 0.05  # log ratio of the floor's change to the variants', from which on it is told
MOST_ROWS = 60  # of cells that did not change; those that did are always shown


def failures(pair: Match, result: Result, limit: float) -> list[str]:
    """Each significant slow-down of `limit` or more; each variant that lost its time."""
    found = [
        f"{text.plain(change.base.name)} takes {_words(change.judged)} times as long in "
        f"{text.plain(cell)}"
        for cell, change in _placed(pair, result)
        if _slower(change.judged, limit)
    ]
    found += [
        f"{text.plain(name)} takes {_words(judged)} times as long over all its cells"
        for name, judged in result.variants.items()
        if _slower(judged, limit)
    ]
    return found + [f"{line} there" for line in _lost(pair)]


def _slower(judged: Comparison, limit: float) -> bool:
    return judged.verdict == "slower" and judged.estimate.ratio >= 1 + limit


def _lost(pair: Match) -> list[str]:
    """Variants that have a time in the base run, were asked for in the other and have none."""
    return [
        f"{text.plain(name)} has no time in {text.plain(key.cell)} of {text.plain(pair.other.name)}"
        for key, entries in pair.base.cells.items()
        for name, sample in entries.items()
        if sample.variant and sample.ranked
        if name in (there := pair.other.cells.get(key, {})) and not there[name].ranked
    ]


def _words(judged: Comparison) -> str:
    """ "1.10 (1.05 to 1.15)"."""
    return f"{text.ratio(judged.estimate.ratio)} ({text.interval(*judged.estimate.interval)})"


def _placed(pair: Match, result: Result) -> list[tuple[str, Change]]:
    """(cell, change); the results are in the order of the base run's cells."""
    places = {id(s): key for key, entries in pair.base.cells.items() for s in entries.values()}
    keys = [places[id(change.base)] for change in result.changes]
    several = len({key.threads for key in keys}) > 1
    return [
        (f"{key.cell}, {key.threads} threads" if several else key.cell, change)
        for key, change in zip(keys, result.changes, strict=True)
    ]


def render(pair: Match, result: Result) -> str:
    """The comparison as markdown that reads well in a terminal."""
    base, other = pair.base, pair.other
    parts = [f"## {text.escape(other.name)} beside {text.escape(base.name)}", _runs(base, other)]
    parts += [f"> Not the same, compared because of --force: {text.escape(difference)}."
              for difference in pair.differences]  # fmt: skip
    parts += [_machine(result), _variants(result), _cells(pair, result), _versions(result)]
    parts += [f"{text.escape(line)}." for line in _lost(pair)]
    parts += [_alone(pair)]
    return "\n\n".join([*filter(None, parts), _summary(result)]) + "\n"


def _alone(pair: Match) -> str:
    """The cells that there is nothing beside."""
    told = [
        f"{text.plural(count, 'cell')} of {text.escape(side.name)}"
        for count, side in zip(pair.alone, (pair.base, pair.other), strict=True)
        if count
    ]
    return f"Left out, for they are in one of the runs alone: {text.joined(told)}." if told else ""


def _runs(base: Side, other: Side) -> str:
    rows = [
        list(map(text.escape, (side.name, side.started, side.commit, side.machine)))
        for side in (base, other)
    ]
    return text.table(("run", "started", "commit", "machine"), rows)


def _machine(result: Result) -> str:
    """How the machine itself stood in the two runs."""
    alone = [change for change in result.changes if not change.yardsticks]
    beside = [change for change in result.changes if change.yardsticks]
    told = []
    if len(alone) < len(result.changes):
        taken_out = [c.seconds_ratio / c.judged.estimate.ratio for c in beside]
        told.append(
            f"What is the same program in both took {_range(taken_out)} times as long in the "
            "second: that is the machine, and is taken out of every change below."
        )
        floors = list(result.floors.values())
        if floors and abs(math.log(median(floors) / median(taken_out))) > APART:
            told.append(
                f"The bare matrix products took {_range(floors)} times as long, which is not the "
                "same. So either the machine changed for most programs and not for these, or most "
                "variants changed together; a change that all of them share is not seen below."
            )
    if alone:
        told.append(
            f"{text.plural(len(alone), 'time')} stand alone, with too little beside them that is "
            "the same in both runs: compared as they are, with the interval that runs at other "
            "times ask for."
        )
    return " ".join(told)


def _range(ratios: Sequence[float]) -> str:
    """The median and, of several, the ends: "1.02 (0.97 to 1.10)"."""
    ends = f" ({text.interval(min(ratios), max(ratios))})" if len(ratios) > 1 else ""
    return f"{text.ratio(median(ratios))}{ends}"


def _variants(result: Result) -> str:
    if not result.variants:
        return ""
    counts = {
        name: sum(change.base.name == name for change in result.changes) for name in result.variants
    }
    rows = [
        [text.escape(name), str(counts[name]), *_judged(judged)]
        for name, judged in result.variants.items()
    ]
    head = ("over all cells", "cells", "times as long", "95 % interval", "verdict")
    return text.table(head, rows, right=(1, 2, 3))


def _judged(judged: Comparison) -> list[str]:
    estimate = judged.estimate
    verdict = f"**{judged.verdict}**" if judged.verdict in ("faster", "slower") else judged.verdict
    return [text.ratio(estimate.ratio), text.interval(*estimate.interval), verdict]


def _cells(pair: Match, result: Result) -> str:
    placed = _placed(pair, result)
    quiet = [row for row in placed if row[1].judged.verdict not in ("faster", "slower")]
    hidden = {id(change) for _, change in quiet[MOST_ROWS:]}
    rows = [
        [
            *(text.escape(cell), text.escape(change.base.name)),
            *map(text.duration, (change.base.seconds, change.other.seconds)),
            *(text.ratio(change.seconds_ratio), *_judged(change.judged)),
        ]
        for cell, change in placed
        if id(change) not in hidden
    ]
    head = ("cell", "variant", "base", "second", "as they are")
    table = text.table(
        (*head, "times as long", "95 % interval", "verdict"), rows, right=(2, 3, 4, 5, 6)
    )
    more = f"\n\n{len(hidden)} further ones are neither faster nor slower." if hidden else ""
    return table + more


def _versions(result: Result) -> str:
    """What was another version in the second run."""
    found: dict[str, str] = {}
    for change in result.changes:
        before, after = dict(change.base.versions), dict(change.other.versions)
        moved = [
            f"{name} {before.get(name, 'none')} -> {after.get(name, 'none')}"
            for name in before | after
            if before.get(name) != after.get(name)
        ]
        if moved:
            found[change.base.name] = ", ".join(moved)
    told = (f"{text.escape(name)}: {text.escape(moved)}" for name, moved in found.items())
    return f"Other versions: {'; '.join(told)}." if found else ""


def _summary(result: Result) -> str:
    """ "Slower: torch. Faster: nothing." """
    words = []
    for verdict in ("slower", "faster"):
        names: Sequence[str] = [
            change.base.name for change in result.changes if change.judged.verdict == verdict
        ]
        names = [*names, *(n for n, j in result.variants.items() if j.verdict == verdict)]
        words.append(f"{verdict.capitalize()}: {text.listing(names) or 'nothing'}.")
    return " ".join(words)

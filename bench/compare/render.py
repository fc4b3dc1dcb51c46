"""A comparison of two runs as markdown, and its failures. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from statistics import median

from bench.analysis import text
from bench.analysis.verdicts import Comparison
from bench.compare import power
from bench.compare.changes import Change, Result
from bench.compare.matching import Match
from bench.compare.power import Judged
from bench.compare.runs import RunData

# Log ratio of the GEMM baseline's change to the drift; a larger one is reported.
NOTEWORTHY_DRIFT = 0.05
MOST_UNCLEAR = 10  # lines
MOST_ROWS = 60  # rows without a change; those with a change are always shown


def failures(pair: Match, result: Result, limit: float) -> list[str]:
    """Each comparison called slower whose ratio is 1 + `limit` or more; each variant that lost its
    time.
    """
    found = [
        f"{text.plain(each.variant)} takes {_words(each.comparison)} times as long {_where(each)}"
        for each in _comparisons(result)
        if each.slower(limit)
    ]
    return found + [f"{line} there" for line in _lost(pair)]


def unclear(pair: Match, result: Result, limit: float) -> list[str]:
    """Each comparison that leaves open whether the variant is slower by `limit`; of many, the
    first ones, and how many more there are.
    """
    found = [
        f"{text.plain(each.variant)} was disturbed {_where(each)}, so nothing is ruled out"
        if each.disturbed
        else f"{text.plain(each.variant)} may take {_words(each.comparison)} times as long "
        f"{_where(each)}, which does not rule out {text.ratio(1 + limit)}"
        for each in _comparisons(result)
        if each.open(limit)
    ]
    found += [
        f"{text.plain(name)} was not measured in {text.plural(count, 'workload')} of "
        f"{text.plain(pair.other.name)}, so nothing is ruled out"
        for name, count in _missing(pair.base, pair.other).items()
    ]
    more = len(found) - MOST_UNCLEAR
    return [*found[:MOST_UNCLEAR], *([f"{more} more do not rule it out"] if more > 0 else [])]


def _comparisons(result: Result) -> list[Judged]:
    return power.of(result, [workload for workload, _ in _placed(result)])


def _where(each: Judged) -> str:
    return f"in {text.plain(each.workload)}" if each.workload else "over all its workloads"


def _lost(pair: Match) -> list[str]:
    """Variants with a time in the base run that the other run includes, but without a time."""
    return [
        f"{text.plain(name)} has no time in {text.plain(key)} of {text.plain(pair.other.name)}"
        for key, samples in pair.base.workloads.items()
        for name, sample in samples.items()
        if sample.role == "variant" and sample.ranked
        if name in (there := pair.other.workloads.get(key, {})) and not there[name].ranked
    ]


def _words(judged: Comparison) -> str:
    """ "1.10 (1.05 to 1.15)"."""
    return f"{text.ratio(judged.estimate.ratio)} ({text.interval(*judged.estimate.interval)})"


def _placed(result: Result) -> list[tuple[str, Change]]:
    """Pairs (workload, change); the workload names its threads if there are several counts."""
    several = len({change.workload.threads for change in result.changes}) > 1
    return [
        (f"{change.workload}{_threads(change.workload.threads) if several else ''}", change)
        for change in result.changes
    ]


def _threads(count: int | None) -> str:
    return f", {text.threads(count or 0)}"


def render(pair: Match, result: Result, limit: float | None = None) -> str:
    """The comparison as markdown that reads well in a terminal.

    `limit` is the slow-down that is asked for, if one is.
    """
    base, other = pair.base, pair.other
    parts = [
        f"## {text.escape(other.name)} against {text.escape(base.name)}",
        _runs(base, other),
        _all_versions(result),
    ]
    parts += [f"> Compared only because of --force, in spite of: {text.escape(difference)}."
              for difference in pair.differences]  # fmt: skip
    found = _comparisons(result)
    parts += [_machine(result), _variants(result, found), _workloads(result, found)]
    parts += [power.sentence(found, limit), _versions(result)]
    parts += [f"{text.escape(line)}." for line in _lost(pair)]
    parts += [_alone(pair)]
    return "\n\n".join([*filter(None, parts), _summary(result)]) + "\n"


def _missing(here: RunData, there: RunData) -> dict[str, int]:
    """Variants with a time in the first run that the second does not include, in how many of the
    workloads that both have.
    """
    return Counter(
        name
        for key, samples in here.workloads.items()
        for name, sample in samples.items()
        if key in there.workloads and name not in there.workloads[key]
        if sample.role == "variant" and sample.ranked
    )


def _alone(pair: Match) -> str:
    """How many workloads, and which variants, only one of the runs has."""
    counts = [
        f"{text.plural(count, 'workload')} of {text.escape(run.name)}"
        for count, run in zip(pair.alone, (pair.base, pair.other), strict=True)
        if count
    ]
    for here, there in ((pair.base, pair.other), (pair.other, pair.base)):
        counts += [
            f"{text.escape(name)} in {text.plural(count, 'workload')} of {text.escape(here.name)}"
            for name, count in _missing(here, there).items()
        ]
    if not counts:
        return ""
    return f"Left out, because only one of the runs has them: {text.joined(counts)}."


def _runs(base: RunData, other: RunData) -> str:
    rows = [
        list(map(text.escape, (run.name, run.started, run.commit, run.machine)))
        for run in (base, other)
    ]
    return text.table(("run", "started", "commit", "machine"), rows)


def _machine(result: Result) -> str:
    """How the machine itself changed between the runs."""
    alone = [change for change in result.changes if not change.drift_controls]
    beside = [change for change in result.changes if change.drift_controls]
    sentences = []
    taken_out = [_drift(change) for change in beside]
    if beside and max(change.drift_controls for change in beside) == 1:
        sentences.append(
            f"Drift: the GEMM baseline took {_range(taken_out)} times as long in the second run, "
            "and all ratios below are corrected for it. Nothing else is there to compare with, so "
            "it cannot be told whether the machine changed, or the baseline alone."
        )
    elif beside:
        sentences.append(
            f"Drift: unchanged programs took {_range(taken_out)} times as long in the second run. "
            "All ratios below are corrected for this drift of the machine."
        )
        baselines = list(result.baselines.values())
        if baselines and abs(math.log(median(baselines) / median(taken_out))) > NOTEWORTHY_DRIFT:
            sentences.append(
                f"The GEMM baseline, however, took {_range(baselines)} times as long. So either "
                "the machine changed for most programs and not for it, or most variants changed "
                "together. A change that all variants share does not show below."
            )
    if alone:
        sentences.append(
            f"{text.plural(len(alone), 'comparison')} {'has' if len(alone) == 1 else 'have'} no "
            "drift controls: too few other programs are the same in both runs. Seconds are "
            "compared without correction there, by the centres of the rounds, and the intervals "
            "include the drift."
        )
    return " ".join(sentences)


def _drift(change: Change) -> float:
    """What the drift controls make of the machine's change: uncorrected / ratio."""
    return change.seconds_ratio / change.judged.estimate.ratio


def _range(ratios: Sequence[float]) -> str:
    """The median and, for several ratios, the range: "1.02 (0.97 to 1.10)"."""
    ends = f" ({text.interval(min(ratios), max(ratios))})" if len(ratios) > 1 else ""
    return f"{text.ratio(median(ratios))}{ends}"


def _variants(result: Result, found: Sequence[Judged]) -> str:
    if not result.variants:
        return ""
    least = {each.variant: each.least for each in found if not each.workload}
    counts = {
        name: sum(change.base.name == name for change in result.changes) for name in result.variants
    }
    rows = [
        [text.escape(name), str(counts[name]), *_judged(judged), power.shown(least[name])]
        for name, judged in result.variants.items()
    ]
    head = ("over all workloads", "workloads", "ratio", "95 % interval", "verdict", "shows from")
    return text.table(head, rows, right=(1, 2, 3, 5))


def _judged(judged: Comparison) -> list[str]:
    estimate = judged.estimate
    verdict = f"**{judged.verdict}**" if judged.verdict in ("faster", "slower") else judged.verdict
    return [text.ratio(estimate.ratio), text.interval(*estimate.interval), verdict]


def _workloads(result: Result, found: Sequence[Judged]) -> str:
    placed = _placed(result)
    least = [each.least for each in found if each.workload]
    quiet = [row for row in placed if row[1].judged.verdict not in ("faster", "slower")]
    hidden = {id(change) for _, change in quiet[MOST_ROWS:]}
    rows = [
        [
            *(text.escape(workload), text.escape(change.base.name)),
            *map(text.duration, (change.base.seconds, change.other.seconds)),
            text.ratio(change.seconds_ratio),
            text.ratio(_drift(change)) if change.drift_controls else "-",
            *(*_judged(change.judged), power.shown(shown)),
        ]
        for (workload, change), shown in zip(placed, least, strict=True)
        if id(change) not in hidden
    ]
    head = ("workload", "variant", "base", "second", "uncorrected", "/ drift", "= ratio")
    judged = ("95 % interval", "verdict", "shows from")
    table = text.table((*head, *judged), rows, right=(2, 3, 4, 5, 6, 7, 9))
    more = f"\n\n{len(hidden)} more are neither faster nor slower." if hidden else ""
    return table + more


def _all_versions(result: Result) -> str:
    """The versions of every variant, in both runs where they differ."""
    found: dict[str, str] = {}
    for change in result.changes:
        each = [
            ", ".join(f"{name} {number}" for name, number in sample.versions.items())
            for sample in (change.base, change.other)
        ]
        found[change.base.name] = " / ".join(filter(None, dict.fromkeys(each)))
    named = [
        f"{text.escape(n)}: {text.escape(versions)}" for n, versions in found.items() if versions
    ]
    return f"Versions: {'; '.join(named)}." if named else ""


def _versions(result: Result) -> str:
    """The versions that differ between the runs."""
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
    moves = (f"{text.escape(name)}: {text.escape(moved)}" for name, moved in found.items())
    return f"Changed versions: {'; '.join(moves)}." if found else ""


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

"""What two runs can show, and what they leave open. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bench.analysis import text, verdicts
from bench.analysis.verdicts import Comparison
from bench.compare import drift
from bench.compare.changes import Result

MOST_PROCESSES = 100


@dataclass(frozen=True)
class Judged:
    """One comparison of a result: a variant in one workload, or over all of them."""

    variant: str
    workload: str  # empty: over all of them
    comparison: Comparison
    among: int  # comparisons whose verdicts were corrected together
    processes: int  # of the variant, in the run that has fewer
    controls: int
    disturbed: bool = False

    @property
    def least(self) -> float:
        """The smallest slow-down, as a ratio, that is found with a probability of 80 %."""
        return math.inf if self.disturbed else self.comparison.estimate.least_found(self.among)

    def slower(self, limit: float) -> bool:
        """Whether it is called slower, by `limit` (0.05 is 5 %) or more."""
        judged = self.comparison
        return judged.verdict == "slower" and judged.estimate.ratio >= 1 + limit

    def open(self, limit: float) -> bool:
        """Whether it may be slower by `limit`, and is not called so."""
        high = math.inf if self.disturbed else self.comparison.estimate.interval[1]
        return not self.slower(limit) and not high < 1 + limit

    def processes_for(self, limit: float) -> int | None:
        """About how many processes in each run would find `limit`; None for more than is sensible.

        All of the variance but that of the machine between two runs is taken to shrink with their
        number.
        """
        estimate = self.comparison.estimate
        if not math.isfinite(self.least) or math.log1p(limit) <= estimate.margin:
            return None
        lasting = 0.0 if self.controls else drift.BETWEEN_RUNS**2
        needed = (math.log(self.least) - estimate.margin) / estimate.standard_error
        target = ((math.log1p(limit) - estimate.margin) / needed) ** 2 - lasting
        if target <= 0:
            return None
        shrinking = max(0.0, estimate.standard_error**2 - lasting)
        count = math.ceil(self.processes * shrinking / target)
        return count if count <= MOST_PROCESSES else None


def of(result: Result, workloads: Sequence[str]) -> list[Judged]:
    """Every comparison of `result`; `workloads` are the names of those of its changes."""
    alone = [
        Judged(
            change.base.name,
            workload,
            change.judged,
            len(result.changes),
            min(len(change.base.processes), len(change.other.processes)),
            change.drift_controls,
            change.disturbed,
        )
        for workload, change in zip(workloads, result.changes, strict=True)
    ]
    together = []
    for name, judged in result.variants.items():
        mine = [each for each in alone if each.variant == name]
        processes = min(each.processes for each in mine)
        controls = min(each.controls for each in mine)
        together.append(Judged(name, "", judged, len(result.variants), processes, controls))
    return [*together, *alone]


def sentence(found: Sequence[Judged], limit: float | None) -> str:
    """What the comparisons can show; of a slow-down by `limit` too, if one is asked for."""
    surest = {judged.variant: judged.least for judged in reversed(found)}  # over all comes first
    known = [least for least in surest.values() if math.isfinite(least)]
    if not known:
        return "These runs can show nothing: they were disturbed, or too short."
    power = f"{100 * verdicts.POWER:.0f} %"
    words = f"a slow-down to {min(known):.2f} times as long"
    if max(known) > min(known):
        words += f", of the least certain variant to {max(known):.2f}"
    if len(known) < len(surest):
        names = text.listing(name for name, least in surest.items() if math.isinf(least))
        words += f", and nothing of {names}"
    sentences = [
        f"With a probability of {power}, these runs show {words}; `shows from` has it for each "
        "comparison."
    ]
    if limit is not None:
        sentences.append(_asked_for(found, limit))
    return " ".join(sentences)


def _asked_for(found: Sequence[Judged], limit: float) -> str:
    slow_down = f"a slow-down of {100 * limit:g} %"
    disturbed = sum(judged.disturbed for judged in found)
    found = [judged for judged in found if not judged.disturbed]
    hidden = [judged for judged in found if not judged.least <= 1 + limit]
    also = f" {disturbed} more were disturbed." if disturbed else ""
    if not hidden:
        return f"Each of the {len(found)} comparisons would show {slow_down}.{also}"
    together = [judged for judged in hidden if not judged.workload]
    alone = [judged for judged in hidden if judged.workload]
    needed = [
        f"{_processes(judged, limit)} {words}"
        for judged, words in ((together, "over all workloads"), (alone, "in each workload"))
        if judged
    ]
    return (
        f"{len(hidden)} of {len(found)} comparisons are not sure to show {slow_down}. That takes "
        f"{' and '.join(needed)}.{also}"
    )


def _processes(hidden: Sequence[Judged], limit: float) -> str:
    """How many processes would show `limit` in all of them: "about 9 processes in both runs"."""
    counts = [judged.processes_for(limit) for judged in hidden]
    if None in counts:
        return f"more than {MOST_PROCESSES} processes, or a quieter machine,"
    most = max(count for count in counts if count is not None)
    return f"about {most} processes in both runs (`--processes={most}`)"


def shown(ratio: float) -> str:
    """ "1.12"; "-" where nothing can be shown."""
    return f"{ratio:.2f}" if math.isfinite(ratio) else "-"

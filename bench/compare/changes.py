"""Compares two runs: the same variant in both, with the verdicts of `verdicts`.

Rounds of different runs cannot be paired, because the runs have other processes at other times. So
each run first relates a variant to its drift controls (`drift`): the other candidates of its
workload, timed in the same rounds. How these change from run to run is the drift of the machine.

A variant is also compared over all workloads together. The between-process deviation does not
average out over them, because the same processes serve many workloads. The rest of the variance
belongs to each workload alone, and does. Workloads with too many disturbed blocks are left out.

A program that changed is not a drift control. So the most certain change is found first, its
program is excluded from the drift controls, and all are compared again, until no change is left.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from bench.analysis import verdicts
from bench.analysis.verdicts import Comparison, Estimate
from bench.compare import drift
from bench.compare.drift import Drifted, Ground, Samples
from bench.compare.runs import RunData, Sample, WorkloadKey


@dataclass(frozen=True)
class Change:
    """One variant in one workload, in two runs."""

    workload: WorkloadKey
    base: Sample
    other: Sample
    drift_controls: int  # 0: seconds are compared without correction
    judged: Comparison
    disturbed: bool = False  # too many blocks of the workload, in either run

    @property
    def seconds_ratio(self) -> float:
        """Ratio of the medians, without any correction."""
        return self.other.seconds / self.base.seconds


@dataclass(frozen=True)
class Result:
    """The comparison of a run with the base run."""

    changes: tuple[Change, ...]
    variants: dict[str, Comparison]  # over all its workloads together
    baselines: dict[WorkloadKey, float]  # ratio of the GEMM baselines' seconds, by workload


_Pairs = Mapping[WorkloadKey, tuple[Samples, Samples]]  # the workloads that both runs have


def compare(base: RunData, other: RunData, *, same_machine: bool = True) -> Result:
    """Compare every variant that both have, in every workload that both have.

    Verdicts are Holm-corrected over all workloads and variants, and separately over the variants.
    Across machines there are no drift controls, so seconds are compared without correction. Raises
    ValueError if the runs have nothing in common.
    """
    between = max(base.between_process, other.between_process, key=lambda found: found.deviation)
    pairs = {
        key: (samples, other.workloads[key])
        for key, samples in base.workloads.items()
        if key in other.workloads
    }
    disturbed = {key for key in pairs if _disturbed(base, other, key)}
    changed: set[str] = set()
    while True:
        result = _compared(pairs, disturbed, Ground(between, same_machine, frozenset(changed)))
        surest = _surest(result, changed)
        if surest is None:
            return result
        changed.add(surest)


def _disturbed(base: RunData, other: RunData, key: WorkloadKey) -> bool:
    """Whether too many blocks were disturbed in either run."""
    shares = (run.disturbed.get(key, 0.0) for run in (base, other))
    return max(shares) > verdicts.MOST_DISTURBED


def _compared(pairs: _Pairs, disturbed: Collection[WorkloadKey], ground: Ground) -> Result:
    found = {
        (key, name): drift.change(here, there, name, ground)
        for key, (here, there) in pairs.items()
        for name in here
        if name in there and here[name].role == "variant"
        if here[name].ranked and there[name].ranked
    }
    if not found:
        raise ValueError("the runs have no variant with a time in both")
    judged = _judged({place: each.estimate() for place, each in found.items()}, disturbed)
    changes = tuple(
        Change(
            key,
            here[name],
            there[name],
            found[key, name].controls,
            judged[key, name],
            key in disturbed,
        )
        for key, (here, there) in pairs.items()
        for name in here
        if (key, name) in found
    )
    quiet = {place: each for place, each in found.items() if place[0] not in disturbed}
    ratios = {key: _baseline_ratio(*samples) for key, samples in pairs.items()}
    baselines = {key: ratio for key, ratio in ratios.items() if ratio is not None}
    return Result(changes, _by_variant(quiet), baselines)


def _surest(result: Result, known: Collection[str]) -> str | None:
    """The program with the most certain change that is not `known` yet; None if there is none."""
    programs = {change.base.name: change.base.program for change in result.changes}
    judged = [(change.base.name, change.judged) for change in result.changes]
    judged += list(result.variants.items())
    found = [
        (comparison.estimate.p_value, programs[name])
        for name, comparison in judged
        if comparison.verdict in ("slower", "faster") and programs[name] not in known
    ]
    return min(found)[1] if found else None


def _judged(
    estimates: Mapping[tuple[WorkloadKey, str], Estimate], disturbed: Collection[WorkloadKey]
) -> dict[tuple[WorkloadKey, str], Comparison]:
    """Verdicts by Holm's procedure over all; unclear in workloads `disturbed` in either run."""
    labels = {f"{number}": place for number, place in enumerate(estimates)}
    found = verdicts.judge({label: estimates[place] for label, place in labels.items()})
    judged = {labels[label]: comparison for label, comparison in found.items()}
    for (key, name), comparison in judged.items():
        if key in disturbed:
            judged[key, name] = Comparison(comparison.estimate, "unclear")
    return judged


def _baseline_ratio(here: Samples, there: Samples) -> float | None:
    """Ratio of the GEMM baselines' seconds; None unless both runs have it in the same version."""
    ratios = (
        there[name].seconds / baseline.seconds
        for name, baseline in here.items()
        if baseline.role == "gemm baseline" and baseline.usable
        if name in there and there[name].usable and baseline.versions == there[name].versions
    )
    return next(ratios, None)


def _by_variant(found: Mapping[tuple[WorkloadKey, str], Drifted]) -> dict[str, Comparison]:
    """Each variant with several workloads, over all of them."""
    groups: dict[str, list[Drifted]] = {}
    for (_, name), each in found.items():
        groups.setdefault(name, []).append(each)
    means = {name: drift.mean(each) for name, each in groups.items() if len(each) > 1}
    return verdicts.judge({name: each.estimate() for name, each in means.items()})

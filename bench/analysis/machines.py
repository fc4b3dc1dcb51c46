"""One table over many machines, from the summaries of their runs. Pure.

A column is a kind of machine: for workloads on the processor its name and number of cores, on a GPU
also that GPU. Ratios are formed within each node; what is compared over the nodes of one kind are
these ratios, by their random-effects mean. A run without the alias of a node counts as a node.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bench.analysis import random_effects, text, verdicts
from bench.analysis.verdicts import Comparison, Estimate
from bench.records.schema import Machine
from bench.records.summary import Summary, WorkloadSummary, pairs


@dataclass(frozen=True)
class Answer:
    """A workload on one kind of machine."""

    reference: str  # the variant with the lowest mean
    others: Mapping[str, Comparison]  # each other variant against it
    first: tuple[str, ...]  # those that share the first rank, the reference in front
    nodes: int
    # Variants without a time -> what became of them, on some node.
    without_time: Mapping[str, str]


@dataclass(frozen=True)
class Row:
    """A workload on every kind of machine."""

    title: str
    answers: Mapping[str, Answer]  # by kind of machine; only where a variant has a time

    @property
    def disagree(self) -> bool:
        """Whether two kinds of machine have no variant in common on their first ranks."""
        firsts = [set(answer.first) for answer in self.answers.values()]
        return any(a.isdisjoint(b) for a, b in itertools.combinations(firsts, 2))


@dataclass(frozen=True)
class LeftOut:
    """A run, or workloads of it, that are not in the table."""

    node: str  # the alias, or the name of a run
    why: str


@dataclass(frozen=True)
class Machines:
    """The table. `kinds` holds the summaries of each kind of machine."""

    kinds: Mapping[str, tuple[Summary, ...]]
    rows: tuple[Row, ...]
    left_out: tuple[LeftOut, ...] = ()

    @property
    def disagreements(self) -> list[Row]:
        return [row for row in self.rows if row.disagree]


@dataclass
class _Found:
    """The summaries of one workload, by kind of machine."""

    title: str
    by_kind: dict[str, dict[str, tuple[Summary, WorkloadSummary]]] = field(default_factory=dict)


def kind(machine: Machine, device: str) -> str:
    """ "AMD EPYC, 2 cores"; "NVIDIA H200, 140 GiB (Intel Xeon, 16 cores)" for its first GPU."""
    host = f"{machine.cpu}, {text.plural(machine.cores, 'core')}"
    if device == "cpu":
        return host
    number = device.partition(":")[2] or "0"
    if number.isdecimal() and int(number) < len(machine.gpus):
        # Two drivers do not make two kinds of machine.
        return f"{machine.gpus[int(number)].rpartition(', driver ')[0]} ({host})"
    return f"{device} ({host})"


def label(summary: Summary) -> str:
    """The alias of its node, or the name of a run outside of a fleet."""
    return summary.node or summary.name


def table(summaries: Sequence[Summary], left_out: Sequence[LeftOut] = ()) -> Machines:
    """The table of these runs; `left_out` are others, which its page names.

    Where a node has measured a workload several times, the newest one counts. Workloads of a node
    with too many disturbed blocks are left out.
    """
    found: dict[str, _Found] = {}
    kinds: dict[str, dict[int, Summary]] = {}
    disturbed: dict[str, int] = {}
    for number, summary in sorted(enumerate(summaries), key=lambda pair: pair[1].started):
        for workload in summary.workloads:
            if workload.disturbed:
                disturbed[label(summary)] = disturbed.get(label(summary), 0) + 1
                continue
            name = kind(summary.machine, workload.device)
            kinds.setdefault(name, {})[number] = summary
            row = found.setdefault(workload.row, _Found(workload.title))
            unit = f"node {summary.node}" if summary.node else f"run {number}"
            row.by_kind.setdefault(name, {})[unit] = (summary, workload)
    taken: set[str] = set()
    rows = []
    for row in found.values():
        title = text.numbered(row.title, taken)
        taken.add(title)
        rows.append(Row(title, dict(_answers(row))))
    noted = [
        LeftOut(node, f"{text.plural(count, 'workload')}: more than "
                f"{text.share(verdicts.MOST_DISTURBED)} of the blocks were disturbed")
        for node, count in disturbed.items()
    ]  # fmt: skip
    return Machines(
        {name: tuple(of.values()) for name, of in kinds.items()},
        tuple(rows),
        (*left_out, *noted),
    )


def _answers(row: _Found) -> Iterator[tuple[str, Answer]]:
    for name, units in row.by_kind.items():
        answer = _answer([*units.values()])
        if answer is not None:
            yield name, answer


def _answer(nodes: Sequence[tuple[Summary, WorkloadSummary]]) -> Answer | None:
    """Who is fastest over these nodes of one kind; None if no variant has a time on any."""
    timed = [pair for pair in nodes if pair[1].variants]
    if not timed:
        return None
    names = [*dict.fromkeys(name for _, workload in timed for name in workload.variants)]
    effects, errors, degrees = _pairs_of(timed, names)
    found = random_effects.means(effects, errors**2)
    # A single node keeps the degrees of freedom of its own estimate.
    own = np.nanmax(np.where(np.isnan(effects), -np.inf, degrees), axis=0, initial=-np.inf)
    freedom = np.where(found.nodes > 1, found.degrees, own)
    against: dict[tuple[str, str], Estimate] = {}
    for place, (a, b) in enumerate(pairs(len(names))):
        if not found.nodes[place]:
            continue
        margin = _margin(timed, names[a], names[b], int(found.nodes[place]))
        rest = (float(found.standard_error[place]), float(freedom[place]), margin)
        against[names[a], names[b]] = Estimate(float(found.centre[place]), *rest)
        against[names[b], names[a]] = Estimate(-float(found.centre[place]), *rest)
    reference = _reference(names, against)
    estimates = {a: estimate for (a, b), estimate in against.items() if b == reference}
    others = verdicts.judge(estimates)
    second = [name for name, judged in others.items() if judged.verdict != "slower"]
    return Answer(
        reference=reference,
        others=dict(sorted(others.items(), key=lambda pair: pair[1].estimate.log_ratio)),
        first=(reference, *sorted(second, key=lambda name: estimates[name].log_ratio)),
        nodes=len(timed),
        without_time={
            name: why
            for _, workload in nodes
            for name, why in workload.without_time.items()
            if name not in names
        },
    )


def _pairs_of(
    nodes: Sequence[tuple[Summary, WorkloadSummary]], names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(nodes, P) log ratios, standard errors and degrees of all pairs of `names`; NaN if absent."""
    places = {pair: place for place, pair in enumerate(pairs(len(names)))}
    of_name = {name: number for number, name in enumerate(names)}
    found = np.full((3, len(nodes), len(places)), np.nan)
    alike: dict[tuple[str, ...], list[int]] = {}
    for number, (_, workload) in enumerate(nodes):
        alike.setdefault(workload.variants, []).append(number)
    for variants, numbers in alike.items():
        own = [(of_name[variants[a]], of_name[variants[b]]) for a, b in pairs(len(variants))]
        if not own:
            continue
        columns = [places[min(pair), max(pair)] for pair in own]
        signs = np.array([1.0 if a < b else -1.0 for a, b in own])
        workloads = [nodes[number][1] for number in numbers]
        at = np.ix_(numbers, columns)
        found[0][at] = signs * np.array([each.log_ratios for each in workloads])
        # None, of a single round, becomes NaN.
        found[1][at] = np.array([each.standard_errors for each in workloads], float)
        found[2][at] = np.array([each.degrees for each in workloads])
    found[0][np.isnan(found[1])] = np.nan
    return found[0], found[1], found[2]


def _margin(nodes: Sequence[tuple[Summary, WorkloadSummary]], a: str, b: str, count: int) -> float:
    """What counts as no difference: as within one node, with the processes of all nodes."""
    summary, workload = nodes[0]
    deviation = verdicts.deviation_of(summary.between_process, a, b)
    processes = workload.processes * count
    return math.log1p(max(verdicts.LEAST_MARGIN, deviation / math.sqrt(processes)))


def _reference(names: Sequence[str], against: Mapping[tuple[str, str], Estimate]) -> str:
    """The variant with the lowest mean log ratio to the others, the first of equals."""

    def mean(name: str) -> float:
        ratios = [each.log_ratio for (a, _), each in against.items() if a == name]
        return sum(ratios) / len(ratios) if ratios else math.inf

    return min(names, key=mean)

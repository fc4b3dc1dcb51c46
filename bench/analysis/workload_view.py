"""One workload as a report sees it: its records together, with their statistics. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import msgspec

from bench.analysis import estimators, text, verdicts
from bench.analysis.verdicts import Comparison, Estimate
from bench.records.schema import (
    BetweenProcess,
    Measurement,
    ProcessConditions,
    Run,
    WorkloadRecord,
)
from bench.records.workload import Workload

NOT_RUN = ("refused", "skipped")
FINE = ("ok", "agrees")  # the verdicts without a failure

CELLS = {
    "rnn_tanh": "vanilla RNN (tanh)",
    "rnn_relu": "vanilla RNN (relu)",
    "gru": "GRU",
    "lstm": "LSTM",
}


@dataclass(frozen=True)
class WorkloadView:
    """The measurements of one workload; `candidates` by label, the variant's escaped name."""

    workload: Workload
    title: str  # escaped
    candidates: dict[str, Measurement]
    between_process: BetweenProcess = verdicts.ASSUMED
    record: WorkloadRecord | None = None  # None if no variant was timed
    baseline: Measurement | None = None  # the GEMM baseline
    controls: tuple[Measurement, ...] = ()  # variants that were measured twice
    serial: bool = False  # nothing is compared
    also: tuple[str, ...] = ()  # how it differs from similar workloads, in words

    @property
    def conditions(self) -> tuple[ProcessConditions, ...]:
        """The conditions during the rounds; empty if nothing was compared."""
        return self.record.processes if self.record else ()

    @property
    def flops(self) -> int:
        """FLOPs of a step; 0 if nothing was compared."""
        return self.record.flops if self.record and self.conditions else 0

    @property
    def disturbed(self) -> float:
        """Share of blocks that were kept although disturbed; 0 if none were counted."""
        return self.record.disturbed if self.record else 0.0

    @property
    def unclear(self) -> bool:
        """Whether too many blocks were disturbed for any verdict."""
        return self.disturbed > verdicts.MOST_DISTURBED

    @cached_property
    def fastest(self) -> str | None:
        """Label of the reference: the ranked candidate that no other is faster than."""
        best = estimators.fastest(self.candidates.values())
        return next((label for label, m in self.candidates.items() if m is best), None)

    @cached_property
    def ranked(self) -> list[str]:
        """Labels of the candidates that may be compared."""
        return [label for label, m in self.candidates.items() if estimators.ranked(m)]

    @cached_property
    def seconds(self) -> dict[str, float]:
        """The median step of each ranked label."""
        return {label: estimators.median_seconds(self.candidates[label]) for label in self.ranked}

    @cached_property
    def comparisons(self) -> dict[str, Comparison]:
        """Each ranked label against the fastest; empty if nothing may be compared."""
        if self.serial:
            return {}
        return verdicts.against_fastest(
            self.candidates, self.between_process, disturbed=self.disturbed
        )

    @cached_property
    def ranks(self) -> dict[str, int]:
        if self.serial:
            return {}
        return verdicts.ranks(self.candidates, self.between_process, disturbed=self.disturbed)

    @cached_property
    def first(self) -> list[str]:
        """Labels that share the first rank, the fastest one first."""
        shared = [label for label in self.order if self.ranks.get(label) == 1]
        return sorted(shared, key=lambda label: label != self.fastest)

    @cached_property
    def order(self) -> list[str]:
        """Labels by rank and ratio, then those without a rank; only of variants that ran."""

        def place(label: str) -> tuple[float, bool, float]:
            found = self.comparisons.get(label)
            ratio = found.estimate.ratio if found else float(label != self.fastest)
            return (self.ranks.get(label, float("inf")), label not in self.ranked, ratio)

        ran = [label for label, m in self.candidates.items() if m.status not in NOT_RUN]
        return sorted(ran, key=place)

    def share_of_baseline(self, label: str) -> Estimate | None:
        """The GEMM baseline's time / the variant's; None if they do not share rounds."""
        m = self.candidates[label]
        if self.baseline is None or self.serial or label not in self.ranked:
            return None
        if not self.baseline.processes or not estimators.paired(self.baseline, m):
            return None
        return verdicts.compare(self.baseline, m, self.between_process)

    def control(self, again: Measurement) -> tuple[str, Comparison] | None:
        """The label that the control `again` repeats, and their comparison; None if unpaired."""
        for label, m in self.candidates.items():
            comparable = label in self.ranked and again.processes and not self.serial
            if m.variant == again.variant and comparable and estimators.paired(again, m):
                found = verdicts.compare(again, m, self.between_process)
                judged = verdicts.judge({label: found}, disturbed=self.disturbed)
                return label, judged[label]
        return None

    @property
    def false_alarms(self) -> list[str]:
        """Labels that the A/A control reports as different from themselves."""
        found = filter(None, map(self.control, self.controls))
        return [label for label, judged in found if judged.verdict in ("faster", "slower")]


def views(
    run: Run, measurements: Iterable[Measurement], records: Iterable[WorkloadRecord] = ()
) -> list[WorkloadView]:
    """The workloads of a run, in the order of their records.

    A title names its threads if the run has several counts. A variant that occurs twice in a
    workload is shown twice: "torch", "torch (2)".
    """
    groups: dict[Workload, dict[str, Measurement]] = {}
    baselines: dict[Workload, Measurement] = {}
    controls: dict[Workload, list[Measurement]] = {}
    for m in map(alone, measurements):
        if m.role == "gemm baseline":
            baselines[m.workload] = m
        elif m.role == "control":
            controls.setdefault(m.workload, []).append(m)
        else:
            group = groups.setdefault(m.workload, {})
            group[text.numbered(text.escape(m.variant), group)] = m
    of_workloads = {record.workload: record for record in records}
    several = len({*run.threads, *(workload.threads for workload in groups)}) > 1
    return [
        WorkloadView(
            workload=workload,
            title=text.escape(workload.id)
            + (f", {text.threads(workload.threads)}" if several else ""),
            candidates=group,
            between_process=run.between_process,
            record=of_workloads.get(workload),
            baseline=baselines.get(workload),
            controls=tuple(controls.get(workload, ())),
            serial=run.serial,
            also=also,
        )
        for (workload, group), also in zip(groups.items(), _differences(list(groups)), strict=True)
    ]


def alone(m: Measurement) -> Measurement:
    """A serial measurement as if it could be ranked; its view is serial and compares nothing."""
    return msgspec.structs.replace(m, serial=False) if m.serial else m


def _differences(workloads: Sequence[Workload]) -> list[tuple[str, ...]]:
    """What distinguishes each workload beside task, cell and phase: size, dtype, threads.

    The size is named if its task has several or a file names it; dtype and threads if the run has
    several.
    """
    sizes: dict[str, set[str]] = {}
    for workload in workloads:
        sizes.setdefault(workload.task, set()).add(workload.label)
    dtypes, threads = {w.dtype for w in workloads}, {w.threads for w in workloads}
    found = []
    for workload in workloads:
        labelled = bool(workload.given_name) or len(sizes[workload.task]) > 1
        counted = labelled and "threads" in workload.overridden  # the label has them already
        words = [text.escape(workload.label)] if labelled else []
        words += [text.escape(workload.dtype)] if len(dtypes) > 1 else []
        words += [text.threads(workload.threads)] if len(threads) > 1 and not counted else []
        found.append(tuple(words))
    return found


def cell_in_words(workload: Workload) -> str:
    """ "vanilla RNN (tanh)"."""
    return CELLS.get(workload.spec.cell, text.escape(workload.spec.cell))


def verdict(m: Measurement) -> str:
    """The word in place of a ratio: "disagrees", "crashed", "agrees" (untimed), ..."""
    if m.status != "ok" or estimators.ranked(m):
        return m.status
    if m.agreement is None or not m.agreement.tensors:
        return "not checked"
    return "disagrees" if m.agreement.failures else "agrees"

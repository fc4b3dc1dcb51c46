"""One cell of a report: its records put together, and what the rounds say of them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import msgspec

from bench import statistics, verdicts
from bench.record import Measurement, Offset, Race, Run
from bench.report import text
from bench.verdicts import Comparison, Estimate

NOT_RUN = ("refused", "skipped")
FINE = ("ok", "agrees")  # verdicts that need no reason

KINDS = {
    "rnn_tanh": "vanilla RNN (tanh)",
    "rnn_relu": "vanilla RNN (relu)",
    "gru": "GRU",
    "lstm": "LSTM",
}


@dataclass(frozen=True)
class Cell:
    """What was measured at one point of the grid; `entries` by the label of the variant."""

    title: str  # escaped
    entries: dict[str, Measurement]
    offset: Offset = verdicts.ASSUMED
    race: Race | None = None  # what was around its rounds; None in records of format 1
    floor: Measurement | None = None
    controls: tuple[Measurement, ...] = ()  # variants that were entered twice
    serial: bool = False  # nothing is compared
    also: tuple[str, ...] = field(default=())  # what tells it from its neighbours, in words

    @property
    def any(self) -> Measurement:
        return next(iter(self.entries.values()))

    @property
    def disturbed(self) -> float:
        """Share of blocks kept although others were busy; 0 where nobody counted."""
        return self.race.disturbed if self.race else 0.0

    @property
    def unclear(self) -> bool:
        """Others kept the machine so busy that nothing is decided."""
        return self.disturbed > verdicts.MOST_DISTURBED

    @cached_property
    def fastest(self) -> str | None:
        """Label of the reference: the lowest median of those that may be compared."""
        best = statistics.fastest(self.entries.values())
        return next((label for label, m in self.entries.items() if m is best), None)

    @cached_property
    def ranked(self) -> list[str]:
        """Labels of those that may be compared."""
        return [label for label, m in self.entries.items() if statistics.ranked(m)]

    @cached_property
    def seconds(self) -> dict[str, float]:
        """The median step of each ranked label."""
        return {label: statistics.median_seconds(self.entries[label]) for label in self.ranked}

    @cached_property
    def comparisons(self) -> dict[str, Comparison]:
        """Each ranked label but the fastest, beside it; none where nothing may be compared."""
        if self.serial:
            return {}
        return verdicts.against_fastest(self.entries, self.offset, disturbed=self.disturbed)

    @cached_property
    def ranks(self) -> dict[str, int]:
        if self.serial:
            return {}
        return verdicts.ranks(self.entries, self.offset, disturbed=self.disturbed)

    @cached_property
    def first(self) -> list[str]:
        """Labels that share the first rank, the fastest before the others."""
        shared = [label for label in self.order if self.ranks.get(label) == 1]
        return sorted(shared, key=lambda label: label != self.fastest)

    @cached_property
    def order(self) -> list[str]:
        """Labels: by rank and ratio, then those with no rank; none that did not run."""

        def key(label: str) -> tuple[float, bool, float]:
            found = self.comparisons.get(label)
            ratio = found.estimate.ratio if found else float(label != self.fastest)
            return (self.ranks.get(label, float("inf")), label not in self.ranked, ratio)

        ran = [label for label, m in self.entries.items() if m.status not in NOT_RUN]
        return sorted(ran, key=key)

    def share_of_floor(self, label: str) -> Estimate | None:
        """Floor's time / the variant's; None without a floor in the same rounds."""
        m = self.entries[label]
        if self.floor is None or self.serial or label not in self.ranked:
            return None
        if not self.floor.processes or not statistics.paired(self.floor, m):
            return None
        return verdicts.compare(self.floor, m, self.offset)

    def control(self, again: Measurement) -> tuple[str, Comparison] | None:
        """The label that `again` repeats, and what the rounds say of the two; None if unpaired."""
        for label, m in self.entries.items():
            comparable = label in self.ranked and again.processes and not self.serial
            if m.variant == again.variant and comparable and statistics.paired(again, m):
                found = verdicts.compare(again, m, self.offset)
                judged = verdicts.judge({label: found}, disturbed=self.disturbed)
                return label, judged[label]
        return None

    @property
    def false_alarms(self) -> list[str]:
        """Labels that are told apart from themselves."""
        found = filter(None, map(self.control, self.controls))
        return [label for label, judged in found if judged.verdict in ("faster", "slower")]


def cells(run: Run, measurements: Iterable[Measurement], races: Iterable[Race] = ()) -> list[Cell]:
    """Records by cell, in their order.

    A title names its threads where a run has several counts. A variant that comes twice in a cell
    is shown twice: "torch", "torch (2)".
    """
    groups: dict[tuple[str, int], dict[str, Measurement]] = {}
    floors: dict[tuple[str, int], Measurement] = {}
    controls: dict[tuple[str, int], list[Measurement]] = {}
    for m in map(alone, measurements):
        key = (m.cell, m.threads)
        if m.role == "floor":
            floors[key] = m
        elif m.role == "control":
            controls.setdefault(key, []).append(m)
        else:
            group = groups.setdefault(key, {})
            group[_label(m, group)] = m
    around = {(race.cell, race.threads): race for race in races}
    several = len({*run.threads, *(count for _, count in groups)}) > 1
    told_apart = _differences([next(iter(group.values())) for group in groups.values()])
    return [
        Cell(
            title=text.escape(cell) + (f", {text.plural(count, 'thread')}" if several else ""),
            entries=group,
            offset=run.offset or verdicts.ASSUMED,
            race=around.get((cell, count)),
            floor=floors.get((cell, count)),
            controls=tuple(controls.get((cell, count), ())),
            serial=run.serial,
            also=also,
        )
        for ((cell, count), group), also in zip(groups.items(), told_apart, strict=True)
    ]


def alone(m: Measurement) -> Measurement:
    """A serial one as if it could be ranked: its cell, which is serial, compares nothing."""
    return msgspec.structs.replace(m, serial=False) if m.serial else m


def _label(m: Measurement, group: dict[str, Measurement]) -> str:
    name, count = text.escape(m.variant), 2
    label = name
    while label in group:
        label, count = f"{name} ({count})", count + 1
    return label


def _differences(first: Sequence[Measurement]) -> list[tuple[str, ...]]:
    """What tells each cell from the others beside task, kind and phase: size, dtype, threads.

    A size is named where its task has several; the dtype and threads where the run has.
    """
    sizes: dict[str, set[str]] = {}
    for m in first:
        sizes.setdefault(m.task, set()).add(m.size)
    dtypes, threads = {m.dtype for m in first}, {m.threads for m in first}
    return [
        (
            *([text.escape(m.size)] if len(sizes[m.task]) > 1 else []),
            *([text.escape(m.dtype)] if len(dtypes) > 1 else []),
            *([text.plural(m.threads, "thread")] if len(threads) > 1 else []),
        )
        for m in first
    ]


def kind(m: Measurement) -> str:
    """The cell's kind in words."""
    return KINDS.get(str(m.spec["cell"]), text.escape(m.spec["cell"]))


def verdict(m: Measurement) -> str:
    """What stands where a ratio cannot: "disagrees", "crashed", "agrees" (untimed), ..."""
    if m.status != "ok" or statistics.ranked(m):
        return m.status
    if m.agreement is None or not m.agreement.tensors:
        return "not checked"
    return "disagrees" if m.agreement.failures else "agrees"

"""One cell of a report: its measurements put in order, and each said in words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bench import statistics
from bench.record import Agreement, Measurement
from bench.report import text

NOT_RUN = ("refused", "skipped")
FINE = ("ok", "agrees")  # verdicts that need no reason
FAILURES_SHOWN = 5

_CELLS = {
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

    @property
    def any(self) -> Measurement:
        return next(iter(self.entries.values()))

    @cached_property
    def fastest(self) -> str | None:
        """Label of the reference: the lowest median of those that may be compared."""
        best = statistics.fastest(self.entries.values())
        return next((label for label, m in self.entries.items() if m is best), None)

    @cached_property
    def ranked(self) -> list[str]:
        return [label for label, m in self.entries.items() if statistics.ranked(m)]

    def ratio(self, label: str) -> float | None:
        """Ratio to the fastest; None where it may not be compared, or not with the fastest."""
        best, entry = self.fastest, self.entries[label]
        if best is None or not statistics.ranked(entry):
            return None
        if not statistics.paired(entry, self.entries[best]):
            return None
        return statistics.paired_ratio(entry, self.entries[best])

    def order(self) -> list[str]:
        """Labels: the fastest, the others by ratio, then those with no rank; none not run."""
        best = self.fastest

        def key(label: str) -> tuple[bool, bool, bool, float]:
            value = self.ratio(label)
            unranked = not statistics.ranked(self.entries[label])
            return (label != best, unranked, value is None, value or 0.0)

        return sorted((n for n, m in self.entries.items() if m.status not in NOT_RUN), key=key)


def cells(measurements: Iterable[Measurement], threads: Sequence[int]) -> list[Cell]:
    """Measurements by cell, in the order of the records.

    A title names its threads where a run has several counts. A variant that comes twice in a cell
    is shown twice: "torch", "torch (2)".
    """
    groups: dict[tuple[str, int], dict[str, Measurement]] = {}
    for m in measurements:
        group = groups.setdefault((m.cell, m.threads), {})
        name, count = text.escape(m.variant), 2
        label = name
        while label in group:
            label, count = f"{name} ({count})", count + 1
        group[label] = m
    several = len({*threads, *(count for _, count in groups)}) > 1
    return [
        Cell(text.escape(cell) + (f", {text.plural(count, 'thread')}" if several else ""), group)
        for (cell, count), group in groups.items()
    ]


def verdict(m: Measurement) -> str:
    """What stands where a ratio cannot: "disagrees", "crashed", "agrees" (untimed), ..."""
    if m.status != "ok" or statistics.ranked(m):
        return m.status
    if m.agreement is None or not m.agreement.tensors:
        return "not checked"
    return "disagrees" if m.agreement.failures else "agrees"


def overview_entry(cell: Cell, label: str) -> str:
    """Ratio to the fastest, which is bold; or why there is none."""
    if label not in cell.entries:
        return ""
    if not statistics.ranked(cell.entries[label]):
        return verdict(cell.entries[label])
    value = cell.ratio(label)
    if value is None:
        return "unpaired"
    alone = len(cell.ranked) == 1
    return f"**{text.ratio(value)}**" if label == cell.fastest and not alone else text.ratio(value)


def fastest_entry(cell: Cell) -> str:
    """ "jax, 4.33 ms", or "torch alone, 4.33 ms" where nothing else may be compared."""
    best = cell.fastest
    if best is None:
        return "none"
    seconds = text.duration(statistics.median_seconds(cell.entries[best]))
    return f"{best}{' alone' if len(cell.ranked) == 1 else ''}, {seconds}"


def model_in_words(m: Measurement) -> str:
    """The model of a cell in two lines: its kind and loss, its sizes by their letters."""
    spec = m.spec
    kind = [_CELLS.get(str(spec["cell"]), text.escape(spec["cell"]))]
    kind += ["bidirectional"] if spec.get("bidirectional") else []
    kind += ["without bias"] if spec.get("bias") is False else []
    kind += [f"dropout {text.escape(spec['dropout'])}"] if spec.get("dropout") else []
    kind += [text.escape(m.shape), f"{_loss(m)} loss"]
    sizes = [f"B {m.batch}", f"T {m.steps}"]
    if spec.get("vocab_size") is not None:
        table = "trained" if spec.get("train_embedding", True) else "frozen"
        sizes.append(f"V {text.escape(spec['vocab_size'])} ({table} embedding)")
    sizes += [f"D {text.escape(spec['input_size'])}", f"H {text.escape(spec['hidden_size'])}"]
    sizes += [f"L {text.escape(spec.get('num_layers', 1))}"]
    head = spec.get("output_size")
    sizes += ["no head"] if head is None else [f"C {text.escape(head)}"]
    count = text.plural(m.parameters, "parameter")
    return f"Model: {', '.join(kind)}.\n{', '.join(sizes)}; {count}."


def _loss(m: Measurement) -> str:
    name = text.escape(str(m.spec.get("loss", "unknown")).replace("_", " "))
    return f"{name} (summed over the steps)" if m.spec.get("time_reduction") == "sum" else name


def agreement_entry(m: Measurement) -> str:
    """ "agrees, 5.3e-8 in grad.l0.fwd.W_hh (bound 8.9e-6)", or how it does not."""
    found = m.agreement
    if verdict(m) == "disagrees" or (found is not None and found.failures):
        too_far = found is not None and found.worst.severity > 1
        return f"disagrees: {_worst(found)}" if found is not None and too_far else "disagrees"
    if found is None or not found.tensors:
        return "not checked"
    return f"agrees, {_worst(found)}"


def _worst(found: Agreement) -> str:
    """ "5.3e-8 in W_hh (bound 8.9e-6)"; "no finite result in W_hh" where there is no number."""
    worst = found.worst
    if worst.error is None:
        return f"missing, misshapen or not finite: {text.escape(worst.name)}"
    size, bound = text.error(worst.error), text.error(worst.bound)
    return f"{size} in {text.escape(worst.name)} (bound {bound})"


def timing_table(cell: Cell) -> str:
    """One row a variant: time, spread, ratio, rounds, agreement, path."""
    head = ("variant", "median step", "spread", "ratio", "steps in rounds", "agreement", "path")
    rows = [_timing_row(cell, label) for label in cell.order()]
    return text.table(head, rows, right=(1, 2, 3, 4))


def _timing_row(cell: Cell, label: str) -> list[str]:
    m = cell.entries[label]
    agreement, path = agreement_entry(m), text.escape(m.path)
    if not statistics.ranked(m):
        untimed = "not timed" if verdict(m) == "agrees" else ""
        return [label, untimed, "", verdict(m), "", agreement, path]
    value = cell.ratio(label)
    spread = f"{100 * statistics.spread(m):.1f} %" if len(m.round_seconds) > 1 else "one round"
    seconds = text.duration(statistics.median_seconds(m))
    shown = "unpaired" if value is None else overview_entry(cell, label)
    return [label, seconds, spread, shown, _rounds(m), agreement, path]


def _rounds(m: Measurement) -> str:
    """ "420 in 10", or "840 in 2 x 10" for two processes."""
    counts = [len(process.seconds) for process in m.processes]
    steps = sum(process.steps for process in m.processes)
    if len(counts) == 1:
        return f"{steps:,} in {counts[0]}"
    if len(set(counts)) == 1:
        return f"{steps:,} in {len(counts)} x {counts[0]}"
    return f"{steps:,} in {' + '.join(map(str, counts))}"


def cold_table(cell: Cell) -> str:
    """What passes before the first warm step; the median over the processes of a variant.

    Where a framework counts it, the most memory that was held on the device stands beside.
    """
    head = ["cold start", "interpreter", "import", "build", "first call"]
    found = {n: m.processes for n in cell.order() if statistics.ranked(m := cell.entries[n])}
    peaks = {n: [p.peak_device_bytes or 0 for p in each] for n, each in found.items()}
    if any(map(any, peaks.values())):
        head.append("peak on device")
    rows = []
    for label, processes in found.items():
        colds = (process.cold for process in processes)
        parts = [
            (c.start_seconds, c.import_seconds, c.build_seconds, c.first_call_seconds)
            for c in colds
        ]
        row = [label, *(text.duration(float(s)) for s in np.median(parts, axis=0))]
        peak = max(peaks[label])
        rows.append([*row, f"{peak / 2**20:,.0f} MiB" if peak else "not counted"][: len(head)])
    return text.table(head, rows, right=range(1, len(head))) if rows else ""


def unranked_table(cell: Cell) -> str:
    """Why each variant that went wrong has no rank; empty where none did."""
    found = {label: verdict(cell.entries[label]) for label in cell.order()}
    wrong = {label: word for label, word in found.items() if word not in FINE}
    rows = [[label, word, _reason(cell.entries[label])] for label, word in wrong.items()]
    return text.table(("not ranked", "is", "why"), rows) if rows else ""


def _reason(m: Measurement) -> str:
    failures = m.agreement.failures if m.agreement else ()
    parts = [m.reason, *failures[:FAILURES_SHOWN]]
    if len(failures) > FAILURES_SHOWN:
        parts.append(f"and {len(failures) - FAILURES_SHOWN} more in measurements.jsonl")
    return "; ".join(dict.fromkeys(text.escape(p) for p in parts if p)) or "no reason was recorded"

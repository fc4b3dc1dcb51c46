"""The verdicts in words, and nothing beyond them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bench.analysis import break_even, text
from bench.analysis.workload_view import FINE, NOT_RUN, WorkloadView, cell_in_words, verdict
from bench.records.schema import Measurement
from bench.report.markdown import tables

FLUSHED = 0.5  # relative error of outputs that are taken for zero; it is 1 if all are
MOST_LISTED = 8  # workloads of one task and phase; of more, only the count is given


def of_task(views: Sequence[WorkloadView]) -> list[str]:
    """One line per workload of a task; if a phase has many, one line that counts them."""
    lines = []
    for group in _by_phase(views):
        if len(group) > MOST_LISTED:
            lines += counted_phases(group)
        else:
            lines += [f"{_where(view)}: {of_workload(view)}" for view in group]
    return lines


def counted_phases(views: Sequence[WorkloadView]) -> list[str]:
    """One line for each phase of a task with many workloads, which counts them."""
    return [
        f"{text.escape(group[0].workload.phase)}: {_counted(group)}"
        for group in _by_phase(views)
        if len(group) > MOST_LISTED
    ]


def _by_phase(views: Sequence[WorkloadView]) -> list[list[WorkloadView]]:
    found: dict[str, list[WorkloadView]] = {}
    for view in views:
        found.setdefault(view.workload.phase, []).append(view)
    return list(found.values())


def _where(view: WorkloadView) -> str:
    words = cell_in_words(view.workload)
    return ", ".join([text.escape(view.workload.phase), words, *view.also])


def of_workload(view: WorkloadView) -> str:
    """Which variant is fastest, by how much, and how certain that is."""
    best = view.fastest
    if best is None:
        return "no variant has a time."
    step = text.duration(view.seconds[best])
    if view.serial:
        return f"{text.plural(len(view.ranked), 'variant')} timed and not compared."
    if len(view.ranked) == 1:
        return f"only {best} has a time, {step} a step."
    if view.unclear:
        return "undecided, because the machine was too busy during the rounds."
    if not view.comparisons:
        return f"{best} takes {step} a step; nothing else was timed in the same rounds."
    return f"{_first(view, best, step)}{_next(view)}"


def _first(view: WorkloadView, best: str, step: str) -> str:
    others = [label for label in view.first if label != best]
    if not others:
        return f"**{best}** is fastest, {step} a step"
    same = [label for label in others if view.comparisons[label].verdict == "same"]
    unclear = [label for label in others if label not in same]
    parts = [f"**{best}** leads, {step} a step"]
    if same:
        most = max(view.comparisons[label].estimate.margin for label in same)
        names = text.joined([f"**{label}**" for label in same])
        verb = "takes" if len(same) == 1 else "take"
        parts.append(f"{names} {verb} the same time (within {text.plus_minus(most)[1:]})")
    if unclear:
        names = text.joined([f"**{label}** ({_ratio(view, label)})" for label in unclear])
        verb = "is" if len(unclear) == 1 else "are"
        parts.append(f"{names} {verb} statistically indistinguishable from it")
    return "; ".join(parts)


def _next(view: WorkloadView) -> str:
    """ "; next is jax, which takes 1.25 (1.08 to 1.44) times as long.", and who shares its rank."""
    later = [label for label in view.order if view.ranks.get(label, 0) > 1]
    if not later:
        return "."
    second = [label for label in later if view.ranks[label] == view.ranks[later[0]]]
    second.sort(key=lambda label: view.seconds[label])
    found = view.comparisons[second[0]].estimate
    ratio = f"{text.ratio(found.ratio)} ({text.interval(*found.interval)}) times as long"
    next_one = f"; next is {second[0]}, which takes {ratio}"
    if len(second) == 1:
        return f"{next_one}."
    share = "shares its rank" if len(second) == 2 else "share its rank"
    return f"{next_one}; {text.joined(second[1:])} {share}."


def _ratio(view: WorkloadView, label: str) -> str:
    """ "1.02, 0.84 to 1.23"."""
    found = view.comparisons[label].estimate
    return f"{text.ratio(found.ratio)}, {text.interval(*found.interval)}"


def _counted(views: Sequence[WorkloadView]) -> str:
    """In how many workloads each variant is first, alone or shared."""
    only = Counter(view.ranked[0] for view in views if len(view.ranked) == 1)
    others = [view for view in views if len(view.ranked) != 1]
    alone = Counter(view.first[0] for view in others if len(view.first) == 1)
    shared = Counter(label for view in others if len(view.first) > 1 for label in view.first)
    parts = []
    for label in sorted({*alone, *shared}, key=lambda n: (-alone[n], -shared[n], n)):
        words = [f"is first in {alone[label]}"] if alone[label] else []
        words += [f"shares the first rank in {shared[label]}"] if shared[label] else []
        parts.append(f"**{label}** {' and '.join(words)}")
    parts += [f"only **{label}** has a time in {count}" for label, count in only.items()]
    without = sum(not view.first for view in others)
    parts += [f"{without} {'has' if without == 1 else 'have'} no rank"] if without else []
    return f"of {text.plural(len(views), 'workload')}, {'; '.join(parts)}."


def with_cold_start(view: WorkloadView) -> str:
    """ "With the cold start included, numpy is first; jax is ahead from step 310 (290 to 335)." """
    times = break_even.total_times(view)
    if len(times) < 2 or view.serial or view.unclear:
        return ""
    lead = break_even.first_at_start(times)
    first = f"With the cold start included, {lead.label} is first"
    judged = break_even.beside(view, lead)
    others = [time.label for time in times if time.label != lead.label]
    if all(label in judged and judged[label].verdict == "slower" for label in others):
        return f"{first} at any number of steps."
    changes = [
        f"{found.after.label} is ahead from step {found.steps:,} ({found.low:,} to {found.high:,})"
        for found in break_even.break_evens(view)
    ]
    if not changes:
        return f"{first}; no other variant is certain to overtake it."
    return f"{'; '.join([first, *changes])}."


def dropout(view: WorkloadView) -> str:
    """Why the losses of a workload with dropout differ; empty for any other workload."""
    if not view.workload.spec.dropout or view.workload.phase == "forward":
        return ""
    return (
        "Dropout: every variant draws its own masks in each timed step. The loss of such a step "
        "therefore differs between the variants, and differs from that of the oracle, which draws "
        "no masks. That loss and its gradients are only checked to be plausible; the same model "
        "without dropout is compared in full."
    )


def denormal(view: WorkloadView) -> str:
    """Which variants take denormal numbers for zero; empty for any other workload."""
    if view.workload.inputs.values != "denormal":
        return ""
    flushing = [
        label
        for label, m in view.candidates.items()
        if m.agreement is not None
        and (found := m.agreement.kinds.get("outputs")) is not None
        and (found.error or 0.0) >= FLUSHED
    ]
    who = f"{text.joined(flushing)} {'does' if len(flushing) == 1 else 'do'}" if flushing else (
        "no variant does")  # fmt: skip
    return (
        "The inputs are denormal numbers of float32, which a program may take for zero: here "
        f"{who}, by the error of the outputs. The bound of agreement allows that."
    )


def agreement(measurements: Sequence[Measurement]) -> str:
    """How many measurements agree with the oracle, and the tensor of each that does not."""
    variants = [m for m in measurements if m.role == "variant" and m.status not in NOT_RUN]
    good = [m for m in variants if verdict(m) in FINE]
    tensors = sum(m.agreement.tensors for m in good if m.agreement)
    looks = sum(process.looks for m in good for process in m.processes)
    timed = f", and so do {looks:,} answers of timed steps" if looks else ""
    wrong = [m for m in variants if tables.disagrees(m)]
    parts = [
        f"{len(good)} of {len(variants)} measurements agree with the float64 oracle, in all "
        f"{tensors:,} tensors{timed}"
    ]
    if not good:
        parts = ["No measurement agrees with the float64 oracle"]
    parts += [
        f"**{text.escape(m.variant)} {tables.disagreement(m)}**, in {text.escape(m.workload.id)}"
        for m in wrong[:MOST_LISTED]
    ]
    if len(wrong) > MOST_LISTED:
        parts.append(f"{len(wrong) - MOST_LISTED} more disagree")
    return f"{'; '.join(parts)}." if variants else "No variant ran, so nothing was compared."

"""The machine, what others did on it, and what this harness can resolve there. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from bench.analysis import estimators, text, verdicts
from bench.analysis.workload_view import WorkloadView
from bench.records.schema import BetweenProcess, Measurement, ProcessConditions, Run

BUSY = 0.25  # cores' worth of others' CPU time that a report warns of


def machine_line(run: Run, views: Sequence[WorkloadView]) -> str:
    """The machine and its noise, in one line."""
    parts = [text.escape(run.machine.cpu), text.plural(run.machine.cores, "core")]
    parts += [text.escape(gpu) for gpu in run.machine.gpus]
    counts = ", ".join(map(str, run.threads))
    parts.append(f"{counts} thread{'' if counts == '1' else 's'}")
    others = _others(run, [process for view in views for process in view.conditions])
    return f"{', '.join(parts)}. {others} {between_process_in_words(run.between_process)}"


def _others(run: Run, processes: Sequence[ProcessConditions]) -> str:
    busy = [value for process in processes for value in process.others_cores]
    if not busy:
        if run.cores_busy_before is None:
            return "How busy others kept it is not known."
        during = " How busy they kept it during the rounds is not known." if processes else ""
        return f"Others used {run.cores_busy_before:.2f} cores before the run.{during}"
    blocks, repeated, disturbed = _totals(processes, "blocks", "repeated", "disturbed")
    return (
        f"Others used {np.median(busy):.2f} cores during the rounds (median; {max(busy):.2f} at "
        f"most); of {text.plural(blocks, 'block')}, {repeated:,} "
        f"{'was' if repeated == 1 else 'were'} taken again for it and {disturbed:,} kept disturbed."
    )


def _totals(processes: Iterable[ProcessConditions], *fields: str) -> list[int]:
    return [sum(getattr(process, field) for process in processes) for field in fields]


def between_process_in_words(between: BetweenProcess) -> str:
    """How far two processes of one program lie apart, and how that is known."""
    size = f"Two processes of one program differ by {text.share(between.deviation)}"
    if between.measured is None:
        return f"{size} (assumed; `rnnbench selftest` measures it)."
    return f"{size} (measured {text.date(between.measured)})."


def warnings(run: Run, views: Sequence[WorkloadView]) -> list[str]:
    """What a reader must know before the first number; each escaped."""
    found = []
    if run.serial:
        found.append(
            "**A serial run.** All variants ran in one process, one after the other, for a profiler"
            " or debugger. Each time stands for itself; nothing is compared or ranked."
        )
    if (run.cores_busy_before or 0.0) > BUSY:
        found.append(
            f"**Warning: the machine was not quiet.** Before this run, others used "
            f"{run.cores_busy_before:.2f} cores' worth of CPU time. Run it again on a quiet one."
        )
    if unclear := [view.title for view in views if view.unclear]:
        found.append(
            f"**Warning: a disturbed run.** In {_some(unclear)}, others kept the machine busy in "
            f"more than {text.share(verdicts.MOST_DISTURBED)} of the blocks: every verdict there "
            "is `unclear`. Run it again on a quiet machine."
        )
    found += [
        f"**Warning: a false alarm.** In {view.title}, {label} is reported as different from "
        "itself (A/A control): mistrust differences of that size there."
        for view in views
        for label in view.false_alarms
    ]
    throttled = {why for view in views for process in view.conditions for why in process.throttled}
    if throttled:
        found.append(
            f"**Warning: the GPU held its clock down:** {text.listing(sorted(throttled))}."
        )
    return found


def _some(titles: Sequence[str]) -> str:
    return ", ".join(titles) if len(titles) <= 3 else text.plural(len(titles), "workload")


def around_rounds(view: WorkloadView) -> str:
    """What happened around the rounds of a workload, in sentences; empty where no record says."""
    processes = view.conditions
    if not processes:
        return ""
    rounds = " + ".join(f"{p.rounds:,}" for p in processes)
    reasons = text.listing(p.stopped for p in processes)
    inside, timed, before, after = _totals(
        processes, "rounds_seconds", "timed_seconds", "before_seconds", "after_seconds"
    )
    sentences = [f"Rounds: {rounds}, stopped: {reasons}."]
    if inside:
        sentences.append(
            f"From the first to the last {text.duration(inside)}, {text.share(timed / inside)} of "
            f"it in timed steps; before them {text.duration(before)} (start, build, check, warm "
            f"up), after them {text.duration(after)} (check again)."
        )
    blocks, repeated, disturbed = _totals(processes, "blocks", "repeated", "disturbed")
    sentences.append(
        f"{text.plural(blocks, 'block')}, {repeated:,} repeated, {disturbed:,} disturbed."
    )
    sentences += _ranges(
        ("Others used {} cores", (v for p in processes for v in p.others_cores), "{:.2f}"),
        ("Clock {} MHz", (v for p in processes for v in p.clock_mhz), "{:,.0f}"),
        ("GPU at {} °C", (v for p in processes for v in p.gpu_celsius), "{:.0f}"),
    )
    return " ".join(sentences)


def _ranges(*sentences: tuple[str, Iterable[float], str]) -> list[str]:
    """ "Clock 2,445 (2,400 to 2,450) MHz.": median, least and most of what was read."""
    found = []
    for sentence, values, form in sentences:
        read = sorted(values)
        if read:
            low, middle, high = map(form.format, (read[0], float(np.median(read)), read[-1]))
            ends = f" ({low} to {high})" if low != high else ""
            found.append(f"{sentence.format(middle + ends)}.")
    return found


def references(view: WorkloadView) -> str:
    """The GEMM baseline and the A/A controls of a workload, in sentences."""
    sentences = []
    if view.flops:
        sentences.append(f"A step has {text.flops(view.flops)} in its matrix products.")
    if view.baseline is not None:
        sentences.append(_baseline(view.baseline, view.flops))
    for again in view.controls:
        found = view.control(again)
        if found is not None:
            label, judged = found
            ratio = text.ratio(judged.estimate.ratio)
            sentences.append(
                f"A/A control: {label}, measured twice, takes {ratio} "
                f"({text.interval(*judged.estimate.interval)}) times as long as itself: "
                f"{judged.verdict}."
            )
    return " ".join(sentences)


def _baseline(m: Measurement, flops: int) -> str:
    if not m.round_seconds:
        return f"GEMM baseline: {text.escape(m.status)}, {text.escape(m.reason) or 'no reason'}."
    seconds = estimators.median_seconds(m)
    by = f" by {text.escape(m.path)}" if m.path else ""
    rate = f", {text.flops(flops / seconds, 'FLOP/s')}" if flops else ""
    return f"GEMM baseline (these products alone): {text.duration(seconds)}{by}{rate}."

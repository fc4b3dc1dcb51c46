"""The machine, its background load, and what this harness can resolve there. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from bench.analysis import estimators, text, verdicts
from bench.analysis.workload_view import WorkloadView
from bench.records.schema import BetweenProcess, Measurement, ProcessConditions, Run

BUSY = 0.25  # cores of background load before the run, above which a report warns
QUIET = "Repeat the run on a quiet machine; `rnnbench doctor` names what keeps this one busy."
REASONS = {
    "narrow enough": "intervals narrow enough",
    "time used up": "time used up",
    "nothing left to learn": "nothing left to learn",
}


def machine_line(run: Run, views: Sequence[WorkloadView]) -> str:
    """The machine and its noise, in one line."""
    parts = [text.escape(run.machine.cpu), text.plural(run.machine.cores, "core")]
    parts += [text.escape(gpu) for gpu in run.machine.gpus]
    parts.append(text.joined([text.threads(count) for count in run.threads]))
    load = _background_load(run, [process for view in views for process in view.conditions])
    return f"{', '.join(parts)}. {load} {between_process_in_words(run.between_process)}"


def _background_load(run: Run, processes: Sequence[ProcessConditions]) -> str:
    busy = [value for process in processes for value in process.others_cores]
    if not busy:
        if run.cores_busy_before is None:
            return "The background load is unknown."
        during = "; during the rounds it is unknown" if processes else ""
        return f"Background load before the run: {run.cores_busy_before:.2f} cores{during}."
    return (
        f"Background load during the rounds: {np.median(busy):.2f} cores (median), "
        f"{max(busy):.2f} at most. {_blocks(processes)}"
    )


def _blocks(processes: Sequence[ProcessConditions]) -> str:
    """ "Of 93 blocks, 3 were disturbed and measured again; 0 disturbed ones were kept." """
    blocks, repeated, disturbed = _totals(processes, "blocks", "repeated", "disturbed")
    again, kept = ("was" if count == 1 else "were" for count in (repeated, disturbed))
    return (
        f"Of {text.plural(blocks, 'block')}, {repeated:,} {again} disturbed and measured again; "
        f"{disturbed:,} disturbed {'one' if disturbed == 1 else 'ones'} {kept} kept."
    )


def _totals(processes: Iterable[ProcessConditions], *fields: str) -> list[int]:
    return [sum(getattr(process, field) for process in processes) for field in fields]


def between_process_in_words(between: BetweenProcess) -> str:
    """By how much two processes of the same program differ, and how that is known."""
    size = f"Two processes of the same program differ by {text.share(between.deviation)}"
    if between.of_short_steps is not None:
        size += f", by {text.share(between.of_short_steps.deviation)} where steps take microseconds"
    if between.measured is None:
        return f"{size} (standard deviation, assumed; `rnnbench selftest` measures it)."
    return f"{size} (standard deviation, measured {text.date(between.measured)})."


def warnings(run: Run, views: Sequence[WorkloadView]) -> list[str]:
    """What a reader must know before the first number; each escaped."""
    found = []
    if run.serial:
        found.append(
            "**A serial run.** All variants ran in one process, one after the other, for a profiler"
            " or debugger. Their times are not comparable, so nothing is compared or ranked."
        )
    if run.damaged:
        found.append(
            "**Warning: damaged records.** These lines of `measurements.jsonl` are left out: "
            f"{text.listing(run.damaged, '; ')}."
        )
    if (run.cores_busy_before or 0.0) > BUSY:
        found.append(
            f"**Warning: the machine was not quiet.** The background load before this run was "
            f"{run.cores_busy_before:.2f} cores. {QUIET}"
        )
    if unclear := [view.title for view in views if view.unclear]:
        found.append(
            f"**Warning: a disturbed run.** In {_some(unclear)}, background load disturbed more "
            f"than {text.share(verdicts.MOST_DISTURBED)} of the blocks, so every verdict there is "
            f"`unclear`. {QUIET}"
        )
    found += [
        f"**Warning: a false alarm.** In {view.title}, the A/A control reports {label} as "
        "different from itself. Do not trust differences of that size in this workload."
        for view in views
        for label in view.false_alarms
    ]
    paused = sum(process.paused for view in views for process in view.conditions)
    if paused:
        found.append(
            f"**Warning: a CPU quota.** It paused {text.plural(paused, 'block')} of this run. "
            "Measure with fewer threads, or without the quota."
        )
    throttled = {why for view in views for process in view.conditions for why in process.throttled}
    if throttled:
        found.append(f"**Warning: the GPU reduced its clock:** {text.listing(sorted(throttled))}.")
    return found


def _some(titles: Sequence[str]) -> str:
    return ", ".join(titles) if len(titles) <= 3 else text.plural(len(titles), "workload")


def around_rounds(view: WorkloadView) -> str:
    """The conditions during the rounds of a workload, in sentences; empty if unknown."""
    processes = view.conditions
    if not processes:
        return ""
    rounds = " + ".join(f"{p.rounds:,}" for p in processes)
    reasons = text.listing(REASONS[p.stopped] for p in processes)
    inside, timed, before, after = _totals(
        processes, "rounds_seconds", "timed_seconds", "before_seconds", "after_seconds"
    )
    sentences = [f"Rounds: {rounds}; reason to stop: {reasons}."]
    if inside:
        sentences.append(
            f"The rounds took {text.duration(inside)}, {text.share(timed / inside)} of it in timed "
            f"steps. Start, build, check and warm-up took {text.duration(before)} before them; the "
            f"second check took {text.duration(after)} after them."
        )
    sentences.append(_blocks(processes))
    sentences += _ranges(
        ("Background load: {} cores", (v for p in processes for v in p.others_cores), "{:.2f}"),
        ("Clock: {} MHz", (v for p in processes for v in p.clock_mhz), "{:,.0f}"),
        ("GPU temperature: {} °C", (v for p in processes for v in p.gpu_celsius), "{:.0f}"),
    )
    return " ".join(sentences)


def _ranges(*sentences: tuple[str, Iterable[float], str]) -> list[str]:
    """ "Clock: 2,445 (2,400 to 2,450) MHz.": median, smallest and largest reading."""
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
        sentences.append(f"The matrix products of a step take {text.flops(view.flops)}.")
    if view.baseline is not None:
        sentences.append(_baseline(view.baseline, view.flops))
    for again in view.controls:
        found = view.control(again)
        if found is not None:
            label, judged = found
            ratio = text.ratio(judged.estimate.ratio)
            sentences.append(
                f"A/A control: the ratio of {label} to itself, measured twice, is {ratio} "
                f"({text.interval(*judged.estimate.interval)}), verdict `{judged.verdict}`."
            )
    return " ".join(sentences)


def _baseline(m: Measurement, flops: int) -> str:
    if not m.round_seconds:
        return f"GEMM baseline: {text.escape(m.status)}, {text.escape(m.reason) or 'no reason'}."
    seconds = estimators.median_seconds(m)
    by = f" in {text.escape(m.path)}" if m.path else ""
    rate = f" ({text.flops(flops / seconds, 'FLOP/s')})" if flops else ""
    return f"The GEMM baseline, these products alone, takes {text.duration(seconds)}{by}{rate}."

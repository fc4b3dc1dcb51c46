"""The machine, what others did on it, and what this harness can tell there. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from bench import verdicts
from bench.record import Machine, Offset, Race, Run, Selftest, Trials
from bench.report import text
from bench.report.cells import Cell

BUSY = 0.25  # cores' worth of others' CPU time that a report warns of


def machine_line(run: Run, cells: Sequence[Cell]) -> str:
    """The machine and its noise, in one line."""
    parts = [text.escape(run.machine.cpu), text.plural(run.machine.cores, "core")]
    parts += [text.escape(gpu) for gpu in run.machine.gpus]
    counts = ", ".join(map(str, run.threads))
    parts.append(f"{counts} thread{'' if counts == '1' else 's'}")
    noise = [_others(run, [cell.race for cell in cells if cell.race])]
    noise.append(offset_in_words(run.offset))
    return f"{', '.join(parts)}. {' '.join(noise)}"


def _others(run: Run, races: Sequence[Race]) -> str:
    busy = [value for race in races for p in race.processes for value in p.others_cores]
    if not busy:
        if run.cores_busy_before is None:
            return "How busy others kept it is not known."
        during = " How busy they kept it during the rounds is not known." if races else ""
        return f"Others used {run.cores_busy_before:.2f} cores before the run.{during}"
    processes = [p for race in races for p in race.processes]
    blocks, repeated, disturbed = (
        sum(getattr(p, name) for p in processes) for name in ("blocks", "repeated", "disturbed")
    )
    return (
        f"Others used {np.median(busy):.2f} cores during the rounds (median; {max(busy):.2f} at "
        f"most); of {text.plural(blocks, 'block')}, {repeated:,} "
        f"{'was' if repeated == 1 else 'were'} taken again for it and {disturbed:,} kept disturbed."
    )


def offset_in_words(offset: Offset | None) -> str:
    """How far two processes of one program lie apart, and how that is known."""
    used = offset or verdicts.ASSUMED
    size = f"Two processes of one program differ by {text.share(used.spread)}"
    if used.measured is None:
        return f"{size} (assumed; `rnnbench selftest` measures it)."
    return f"{size} (measured {text.date(used.measured)})."


def warnings(run: Run, cells: Sequence[Cell]) -> list[str]:
    """What a reader must know before the first number; each escaped."""
    found = []
    if run.serial:
        found.append(
            "**A serial run.** All variants ran in one process, one after the other, for a profiler"
            " or debugger. Their times hold for themselves; nothing is compared or ranked."
        )
    if (run.cores_busy_before or 0.0) > BUSY:
        found.append(
            f"**Warning: the machine was not quiet.** Before this run, others used "
            f"{run.cores_busy_before:.2f} cores' worth of CPU time. Run it again on a quiet one."
        )
    if unclear := [cell.title for cell in cells if cell.unclear]:
        found.append(
            f"**Warning: a disturbed run.** In {_some(unclear)}, others kept the machine busy in "
            f"more than {text.share(verdicts.MOST_DISTURBED)} of the blocks: every verdict there "
            "is `unclear`. Run it again on a quiet machine."
        )
    found += [
        f"**Warning: a false alarm.** In {cell.title}, {label} is told apart from itself "
        "(A/A control): mistrust differences of that size there."
        for cell in cells
        for label in cell.false_alarms
    ]
    throttled = {w for c in cells if c.race for p in c.race.processes for w in p.throttled}
    if throttled:
        found.append(
            f"**Warning: the GPU held its clock down:** {text.listing(sorted(throttled))}."
        )
    return found


def _some(titles: Sequence[str]) -> str:
    return ", ".join(titles) if len(titles) <= 3 else text.plural(len(titles), "cell")


def around_rounds(cell: Cell) -> str:
    """What happened around the rounds of a cell, in sentences; empty where no record says."""
    if cell.race is None:
        return ""
    processes = cell.race.processes
    rounds = " + ".join(f"{p.rounds:,}" for p in processes)
    reasons = text.listing(p.stopped for p in processes)
    inside, timed = (
        sum(getattr(p, n) for p in processes) for n in ("rounds_seconds", "timed_seconds")
    )
    before, after = (
        sum(getattr(p, n) for p in processes) for n in ("before_seconds", "after_seconds")
    )
    told = [f"Rounds: {rounds}, stopped: {reasons}."]
    if inside:
        told.append(
            f"From the first to the last {text.duration(inside)}, {text.share(timed / inside)} of "
            f"it in timed steps; before them {text.duration(before)} (start, build, check, warm "
            f"up), after them {text.duration(after)} (check again)."
        )
    blocks, repeated, disturbed = (
        sum(getattr(p, name) for p in processes) for name in ("blocks", "repeated", "disturbed")
    )
    told.append(f"{text.plural(blocks, 'block')}, {repeated:,} repeated, {disturbed:,} disturbed.")
    told += _ranges(
        ("Others used {} cores", (v for p in processes for v in p.others_cores), "{:.2f}"),
        ("Clock {} MHz", (v for p in processes for v in p.clock_mhz), "{:,.0f}"),
        ("GPU at {} °C", (v for p in processes for v in p.gpu_celsius), "{:.0f}"),
    )
    return " ".join(told)


def _ranges(*kinds: tuple[str, Iterable[float], str]) -> list[str]:
    """ "Clock 2,445 MHz (2,400 to 2,450).": median, least and most of what was read."""
    found = []
    for sentence, values, form in kinds:
        read = sorted(values)
        if read:
            low, middle, high = (
                form.format(v) for v in (read[0], float(np.median(read)), read[-1])
            )
            spread = f" ({low} to {high})" if low != high else ""
            found.append(f"{sentence.format(middle + spread)}.")
    return found


def references(cell: Cell) -> str:
    """The GEMM floor and the A/A controls of a cell, in sentences."""
    told = []
    if cell.race is not None and cell.race.flops:
        told.append(f"A step has {text.flops(cell.race.flops)} in its matrix products.")
    if cell.floor is not None:
        told.append(_floor(cell))
    for again in cell.controls:
        found = cell.control(again)
        if found is not None:
            label, judged = found
            ratio = text.ratio(judged.estimate.ratio)
            told.append(
                f"A/A control: {label}, entered twice, takes {ratio} "
                f"({text.interval(*judged.estimate.interval)}) times as long as itself: "
                f"{judged.verdict}."
            )
    return " ".join(told)


def _floor(cell: Cell) -> str:
    floor = cell.floor
    assert floor is not None
    if not floor.round_seconds:
        return (
            f"GEMM floor: {text.escape(floor.status)}, {text.escape(floor.reason) or 'no reason'}."
        )
    seconds = float(np.median(floor.round_seconds))
    by = f" by {text.escape(floor.path)}" if floor.path else ""
    rate = ""
    if cell.race is not None and cell.race.flops:
        rate = f", {text.flops(cell.race.flops / seconds, 'FLOP/s')}"
    return f"GEMM floor (these products alone): {text.duration(seconds)}{by}{rate}."


def memory(machine: Machine) -> str:
    return f"{machine.memory_bytes / 2**30:.1f} GiB"


def selftest(found: Selftest | None) -> str:
    """What the harness found where the truth is known."""
    if found is None:
        return "None was made on this machine: `rnnbench selftest` makes one in a few minutes."
    others = "" if found.others_cores is None else f" Others used {found.others_cores:.2f} cores."
    lead = (
        f"Made {text.date(found.started)} on {text.escape(found.cell)}, {found.seconds:g} s a "
        f"side, {text.plural(found.threads, 'thread')}.{others} {text.share(found.disturbed)} of "
        f"the blocks were disturbed. {offset_in_words(found.offset)} {_enough(found)}"
    )
    head = [
        *("variant", "truly slower by", "K", "trials", "pairs", "median ratio", "9 of 10 within"),
        *("called", "wrongly", "interval holds", "stock loop: 9 of 10 within"),
    ]
    rows = [_trials(t) for t in found.trials]
    return f"{lead}\n\n{text.table(head, rows, right=range(1, len(head)))}" if rows else lead


def _enough(found: Selftest) -> str:
    told = "A slow-down of 5 % is called in at least half of the cases with"
    if not found.recommended_processes:
        return f"{told} more processes than were tried."
    return f"{told} `--processes {found.recommended_processes}`."


def _trials(t: Trials) -> list[str]:
    n = len(t.ratios)
    truth = 1.0 + t.slowdown
    return [
        text.escape(t.variant),
        text.share(t.slowdown) if t.slowdown else "nothing",
        str(t.processes),
        str(n),
        str(t.pairs),
        f"{np.median(t.ratios):.3f}" if n else "",
        _within(t.ratios, truth),
        f"{t.called} of {n}",
        str(t.wrong),
        f"{t.covered} of {n}",
        _within(t.stock, truth),
    ]


def _within(ratios: Sequence[float], truth: float) -> str:
    """ "±2.1 %" around the truth, that 90 % of the ratios lie within."""
    if not ratios:
        return "not run"
    return text.plus_minus(float(np.quantile(np.abs(np.log(np.divide(ratios, truth))), 0.9)))

"""The results of a selftest as a table and sentences: for its page, a report, a terminal. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.analysis import text, verdicts
from bench.records.schema import Selftest, Trials

HEAD = (
    "variant",
    "slowed by",
    "K",
    "ratio",
    "5 to 95 %",
    "called",
    "wrong",
    "truth held",
    "pytest-benchmark",
)
ABOUT = """\
Two fresh processes of the same program are compared as if they were two variants. One of them is
slowed down by a known share of each step (`slowed by`). A trial uses K pairs of processes. `ratio`
is the median of all trials, and `5 to 95 %` is their range. `called` counts the trials with the
verdict faster or slower; `wrong` counts those of them whose verdict is false. `truth held` counts
the trials whose 95 % interval contains the true ratio. `pytest-benchmark` is the range of the
ratios that pytest-benchmark's own loop finds when it runs one process after the other."""


def rows(selftest: Selftest) -> list[list[str]]:
    """The rows of the table, in the columns of HEAD; not escaped."""
    return [_row(trials) for trials in selftest.trials]


def _row(trials: Trials) -> list[str]:
    count = len(trials.ratios)
    return [
        trials.variant,
        f"{100 * trials.slowdown:.0f} %" if trials.slowdown else "-",
        str(trials.processes),
        f"{np.median(trials.ratios):.3f}",
        _range(trials.ratios),
        f"{trials.called} of {count}",
        str(trials.wrong),
        f"{trials.covered} of {count}",
        _range(trials.pytest_benchmark) if trials.pytest_benchmark else "",
    ]


def _range(ratios: Sequence[float]) -> str:
    low, high = np.quantile(ratios, (0.05, 0.95))
    return f"{low:.3f} - {high:.3f}"


def findings(selftest: Selftest) -> list[str]:
    """The results in words, one sentence per line."""
    deviation = selftest.between_process.deviation
    same = [t for t in selftest.trials if not t.slowdown and t.processes == 1]
    alarms, count = sum(t.wrong for t in same), sum(len(t.ratios) for t in same)
    lines = [
        f"Two processes of the same program differ by {100 * deviation:.1f} % (standard deviation) "
        f"for as long as they run{_of_short_steps(selftest)}.",
        f"{_enough(selftest.recommended_processes)}.",
        f"Identical programs were called different in {alarms} of {text.plural(count, 'trial')}.",
    ]
    if selftest.best_rounds and selftest.process_seconds and selftest.round_seconds:
        lines.append(
            f"A process takes {selftest.process_seconds:.1f} s before its first round, and "
            f"{1e3 * selftest.round_seconds:.0f} ms a round: so "
            f"{text.plural(selftest.best_rounds, 'round')} a process are best, and processes "
            "beyond that."
        )
    if selftest.left_out:
        lines.append(
            f"{'Some trials failed' if selftest.problems else 'The time was used up'}: "
            f"{text.plural(selftest.left_out, 'requested trial')} "
            f"{'is' if selftest.left_out == 1 else 'are'} missing, so later runs do not use these "
            "results."
        )
    return [*lines, _background_load(selftest)]


def _of_short_steps(selftest: Selftest) -> str:
    short = selftest.between_process.of_short_steps
    if short is None:
        return ""
    return f", and by {100 * short.deviation:.1f} % where steps take microseconds"


def _enough(processes: int) -> str:
    found = "a slow-down of 5 % in at least half of the cases"
    if not processes:
        return f"No number of processes that a selftest considers finds {found}"
    noun, verb = ("process", "finds") if processes == 1 else ("processes", "find")
    return f"{processes} {noun} per variant (`--processes {processes}`) {verb} {found}"


def _background_load(selftest: Selftest) -> str:
    if selftest.others_cores is None:
        return "The background load is unknown."
    sentence = (
        f"The background load was {selftest.others_cores:.2f} cores (median) and disturbed "
        f"{100 * selftest.disturbed:.0f} % of the blocks"
    )
    if selftest.disturbed > verdicts.MOST_DISTURBED:
        return f"{sentence}: a quiet machine gives other results."
    return f"{sentence}."


def section(selftest: Selftest) -> str:
    """What was tested, the table, and the results in words."""
    made, machine = selftest.workload, selftest.machine
    pairs = max((trials.pairs for trials in selftest.trials), default=0)
    escaped = [list(map(text.escape, row)) for row in rows(selftest)]
    parts = [
        f"Workload: {text.escape(made.id)}, {text.threads(made.threads)}, "
        f"{selftest.seconds:g} s per process and trial, {text.plural(pairs, 'pair')} of processes "
        f"per variant. Machine: {text.escape(machine.cpu)}, {text.plural(machine.cores, 'core')}. "
        f"Started: {text.date(selftest.started)}.",
        ABOUT,
        text.table(HEAD, escaped, range(2, len(HEAD))),
        *findings(selftest),
        *map(text.escape, selftest.problems),
    ]
    return "\n\n".join(parts)


def page(selftest: Selftest) -> str:
    """The markdown of its own page, which lies beside its trials."""
    more = "`docs/measuring.md` explains the method. `trials.jsonl` holds all trials."
    return f"# Selftest\n\n{section(selftest)}\n\n{more}\n"

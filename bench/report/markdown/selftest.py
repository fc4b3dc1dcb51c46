"""What a selftest found, as a table and in sentences: for its page, a report, a terminal. Pure."""

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
Two fresh processes of one program are compared as two variants of a workload are; one of them waits
busily for a share of each step (slowed by). K process pairs make a trial, and the ratios of the
trials are given by their median and their range. `called`: trials with a verdict of faster or
slower; `wrong`: of these, the wrong way, or where there is no difference; `truth held`: trials
whose 95 % interval holds the truth. `pytest-benchmark`: the range (5 to 95 %) of the ratios by
pytest-benchmark's own loop, which runs one process after the other."""


def rows(selftest: Selftest) -> list[list[str]]:
    """Of the table, in the columns of HEAD; not escaped."""
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
    """What it comes to, a sentence a line."""
    deviation = selftest.between_process.deviation
    same = [t for t in selftest.trials if not t.slowdown and t.processes == 1]
    alarms, count = sum(t.wrong for t in same), sum(len(t.ratios) for t in same)
    lines = [
        f"Two processes of one program differ by {100 * deviation:.1f} % (standard deviation) for "
        f"as long as they live; {_enough(selftest.recommended_processes)}.",
        f"Called different though they are the same: {alarms} of {count}.",
    ]
    if selftest.left_out:
        lines.append(
            f"{'Some failed' if selftest.problems else 'The time was used up'}: "
            f"{text.plural(selftest.left_out, 'trial')} of those asked for "
            f"{'is' if selftest.left_out == 1 else 'are'} missing, and later runs do not use these "
            "figures."
        )
    return [*lines, _others(selftest)]


def _enough(processes: int) -> str:
    found = "a slow-down of 5 % in at least half of the cases"
    if not processes:
        return f"no number of processes that a selftest considers finds {found}"
    noun, verb = ("process", "finds") if processes == 1 else ("processes", "find")
    return f"{processes} {noun} a variant (`--processes {processes}`) {verb} {found}"


def _others(selftest: Selftest) -> str:
    if selftest.others_cores is None:
        return "How busy others kept the machine is not known."
    disturbed = f"{100 * selftest.disturbed:.0f} % of the blocks"
    sentence = f"Others used {selftest.others_cores:.2f} cores (median), and disturbed {disturbed}"
    if selftest.disturbed > verdicts.MOST_DISTURBED:
        return f"{sentence}: on a quiet machine all of this is different."
    return f"{sentence}."


def section(selftest: Selftest) -> str:
    """What was tested, the table, what it comes to."""
    made, machine = selftest.workload, selftest.machine
    pairs = max((trials.pairs for trials in selftest.trials), default=0)
    escaped = [list(map(text.escape, row)) for row in rows(selftest)]
    parts = [
        f"{text.escape(made.id)}, {text.plural(made.threads, 'thread')}, {selftest.seconds:g} s a "
        f"process and trial, {text.plural(pairs, 'pair')} of processes a variant, on "
        f"{text.escape(machine.cpu)}, {text.plural(machine.cores, 'core')}; "
        f"{text.date(selftest.started)}.",
        ABOUT,
        text.table(HEAD, escaped, range(2, len(HEAD))),
        *findings(selftest),
        *map(text.escape, selftest.problems),
    ]
    return "\n\n".join(parts)


def page(selftest: Selftest) -> str:
    """The markdown of its own page, which lies beside its trials."""
    more = "`docs/measuring.md` explains the method; all trials are in `trials.jsonl`."
    return f"# Selftest\n\n{section(selftest)}\n\n{more}\n"

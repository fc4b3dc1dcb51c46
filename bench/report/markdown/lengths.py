"""What lengths cost or save, as a title, a table and sentences. Pure."""

from __future__ import annotations

from bench.analysis import text
from bench.analysis.lengths import WithLengths
from bench.analysis.verdicts import Verdict

HEAD = (
    "variant",
    "with lengths",
    "a real step",
    "padded in front",
    "with / in front",
    "95 % interval",
    "verdict",
)


def title(found: WithLengths) -> str:
    """ "bptt[sentiment-lstm-base+lengths-own-cpu-float32]: 57 % of the steps are padding"."""
    share = text.share(found.share_of_padding)
    return f"{found.view.title}: {share} of its B T steps are padding"


def table(found: WithLengths) -> str:
    """One row per variant; the columns of a comparison are left out where there is none."""
    comparisons = found.comparisons()
    labels = [label for label in found.view.order if label in found.view.ranked]
    rows = []
    for label in labels:
        row = [
            label,
            text.duration(found.view.seconds[label]),
            _short(found.seconds_a_real_step(label)),
        ]
        if (compared := comparisons.get(label)) is not None and found.front is not None:
            estimate = compared.estimate
            row.append(text.duration(found.front.seconds[label]))
            row += [text.ratio(estimate.ratio), text.interval(*estimate.interval), compared.verdict]
        rows.append(row + [""] * (len(HEAD) - len(row)))
    if not comparisons:
        return text.table(HEAD[:3], [row[:3] for row in rows], right=(1, 2))
    return text.table(HEAD, rows, right=(1, 2, 3, 4, 5))


def sentences(found: WithLengths) -> str:
    """For which variants lengths pay; empty where nothing was compared."""
    by_verdict: dict[Verdict, list[str]] = {}
    for label, compared in found.comparisons().items():
        by_verdict.setdefault(compared.verdict, []).append(label)
    words = {
        "faster": "Lengths pay for {}.",
        "slower": "Padding in front is faster for {}.",
        "same": "For {} the difference is below the margin.",
        "unclear": "For {} it is unclear.",
    }
    return " ".join(
        sentence.format(text.joined(by_verdict[verdict]))
        for verdict, sentence in words.items()
        if verdict in by_verdict
    )


def _short(seconds: float) -> str:
    return f"{text.three_digits(seconds * 1e9)} ns" if seconds < 1e-6 else text.duration(seconds)

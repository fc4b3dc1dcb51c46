"""Nets that learned, as titles, tables and sentences. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench.analysis import text
from bench.analysis.learning import Learning
from bench.report.markdown import overview

MOST_TEXTS = 8  # rows of the predicted text
MOST_CLASSES = 12  # columns of probabilities


@dataclass(frozen=True)
class LearningView:
    """A workload whose nets learned: its heading, and what it shows."""

    title: str  # escaped
    parts: tuple[str, ...]  # tables and sentences


def view(found: Learning) -> LearningView:
    parts = (task(found), table(found), sentences(found), spelled(found), probabilities(found))
    return LearningView(found.view.title, tuple(filter(None, parts)))


def task(found: Learning) -> str:
    """What was to be learned, in sentences."""
    lesson, optimizer = found.lesson, found.view.workload.optimizer
    sign = "at least" if lesson.larger_is_better else "at most"
    by = f"{text.escape(optimizer.name)} {optimizer.learning_rate:.4g}" if optimizer else ""
    scored = (
        "scored on that batch"
        if lesson.single
        else f"scored on {lesson.scored:,} sequences that are not trained on"
    )
    target = f"{text.escape(lesson.metric)} {sign} {lesson.threshold:g}"
    return (
        f"Target: {target}, within {lesson.most_updates:,} updates of {by}. "
        f"Data: {text.escape(lesson.data)}, {scored} {_after(lesson.every)}."
    )


def _after(every: int) -> str:
    return "after each update" if every == 1 else f"after every {every:,} updates"


def table(found: Learning) -> str:
    """One row per variant, with and without the cold start."""
    metric = text.escape(found.lesson.metric)
    head = ("variant", "updates", "they took", "ratio of an update", "cold start", "to the target",
            metric, "loss then", "parts at update")  # fmt: skip
    rows = []
    for label in found.labels:
        learned = found.learned(label)
        last = learned.scores[-1]
        rows.append(
            [
                label,
                f"{learned.updates:,}",
                took(found, label),
                overview.shown(found.view, label),
                text.duration(found.cold_seconds(label)),
                to_target(found, label),
                f"{last.score:.4g}",
                f"{last.loss:.4g}",
                f"{learned.parted:,}" if learned.parted is not None else "nowhere",
            ]
        )
    return text.table(head, rows, right=(1, 2, 4, 5, 6, 7, 8))


def to_target(found: Learning, label: str) -> str:
    """ "9.28 s", or that it was not reached."""
    total = found.seconds_to_target(label)
    return f"{text.duration(total)}{_doubt(found, label)}" if total is not None else "not reached"


def took(found: Learning, label: str) -> str:
    """ "2.19 s"; "106 s ?" where other programs disturbed it too often."""
    return f"{text.duration(found.update_seconds(label))}{_doubt(found, label)}"


def _doubt(found: Learning, label: str) -> str:
    return " ?" if found.disturbed(label) else ""


def sentences(found: Learning) -> str:
    """How far the losses could be judged, and how large their errors are."""
    if not found.lesson.losses:
        return "An update draws masks here, so that no oracle can follow."
    each = {label: found.learned(label) for label in found.labels}
    judged = min(learned.judged for learned in each.values())
    updates = max(learned.updates for learned in each.values())
    worst = max(each, key=lambda label: max(each[label].errors, default=0.0))
    error = max(each[worst].errors, default=0.0)
    reference = max(found.lesson.reference_errors, default=0.0)
    words = (
        f"The losses of all {updates:,} updates were compared with the oracle's"
        if judged >= updates
        else f"The losses of the first {judged:,} of {updates:,} updates could be compared with "
        "the oracle's; from there on float32 itself parts too far"
    )
    return (
        f"{words}. The largest error of a stretch is {text.error(error)} ({worst}); the float32 "
        f"reference error is {text.error(reference)}."
    )


def spelled(found: Learning) -> str:
    """The predicted text on the way; empty if the task spells none."""
    texts = found.spelled()
    if not texts:
        return ""
    after = sorted(texts)
    chosen = sorted(
        {after[i] for i in np.linspace(0, len(after) - 1, MOST_TEXTS).round().astype(int)}
    )
    rows = []
    for updates in chosen:
        by_text = texts[updates]
        words = [
            text.escape(word) + (f" ({', '.join(labels)})" if len(by_text) > 1 else "")
            for word, labels in by_text.items()
        ]
        rows.append([f"{updates:,}", "; ".join(words)])
    rows.append(["wanted", text.escape(found.lesson.wanted)])
    return text.table(("after updates", "predicted"), rows, right=(0,))


def probabilities(found: Learning) -> str:
    """The softmax of the first scored sequence by the first variant; empty where there is none."""
    if not found.labels:
        return ""
    label = found.labels[0]
    shares = found.learned(label).probabilities
    if not shares or len(shares[0]) > MOST_CLASSES:
        return ""
    classes = found.lesson.classes or tuple(map(str, range(len(shares[0]))))
    classes = (*classes, *map(str, range(len(classes), len(shares[0]))))
    rows = [
        [str(number), text.escape(classes[wanted]), *(f"{share:.2f}" for share in row)]
        for number, (row, wanted) in enumerate(zip(shares, found.lesson.labels, strict=True), 1)
    ]
    head = ("step", "wanted", *(text.escape(name) for name in classes))
    several = len(shares) > 1
    cut = len(shares) < found.view.workload.steps
    steps = (f"the last {len(shares)} steps of " if cut else "each step of ") if several else ""
    columns = head if several else head[1:]
    rows = rows if several else [row[1:] for row in rows]
    right = range(2 if several else 1, len(columns))
    words = f"Softmax of {steps}the first scored sequence, by {label}:"
    return f"{words}\n\n{text.table(columns, rows, right=right)}"

"""Nets that learned, as values for a page. Pure."""

from __future__ import annotations

from typing import Any

from bench.analysis import learning, text
from bench.analysis.learning import Learning
from bench.analysis.workload_view import WorkloadView
from bench.report.html.rows import names
from bench.report.markdown import learning as words
from bench.report.words import parts

# Columns of the CSV that a page has of each variant.
NUMBERS = ("updates", "score", "update_seconds", "seconds_to_target")


def lesson(view: WorkloadView) -> dict[str, Any] | None:
    """What was learned in a workload; None in a phase that does not learn."""
    called = names(view)
    for found in learning.find([view]):
        return {
            "task": parts(words.task(found)),
            "sentence": parts(words.sentences(found)),
            "metric": text.plain(found.lesson.metric),
            "learned": [
                {"variant": called[label], **_learned(found, label)} for label in found.labels
            ],
        }
    return None


def _learned(found: Learning, label: str) -> dict[str, Any]:
    learned = found.learned(label)
    last = learned.scores[-1]
    return {
        "updates": learned.updates,
        "score": last.score,
        "update_seconds": found.update_seconds(label),
        "seconds_to_target": found.seconds_to_target(label),
        "losses": [[scored.updates, scored.loss] for scored in learned.scores if scored.loss > 0],
        "updates_text": f"{learned.updates:,}",
        "score_text": f"{last.score:.4g}",
        "loss_text": f"{last.loss:.4g}",
        "update_seconds_text": words.took(found, label),
        "seconds_to_target_text": words.to_target(found, label),
        "parted_text": f"{learned.parted:,}" if learned.parted is not None else "nowhere",
    }

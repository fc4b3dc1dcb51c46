"""Workloads whose T varies, as titles, tables and sentences. Pure."""

from __future__ import annotations

import math

from bench.analysis import text
from bench.analysis.changing_steps import ChangingSteps


def title(found: ChangingSteps) -> str:
    """ "bptt[custom-lstm-base+vary-20-50-80-cpu-float32]": escaped."""
    return found.view.title


def table(found: ChangingSteps) -> str:
    """Two rows per variant: the first call with each T, and a later one."""
    steps = sorted(found.view.workload.steps_vary)
    rows = []
    for label in _labels(found):
        first, later = found.first_calls(label), found.later_calls(label)
        rows.append([label, "first", *(text.duration(first[t]) for t in steps)])
        rows.append(["", "later", *(text.duration(later[t]) for t in steps)])
        rows.append(["", "later, by T", *(_short(later[t] / t) for t in steps)])
    return text.table(
        ["variant", "call", *(f"T {t}" for t in steps)], rows, right=range(2, len(steps) + 2)
    )


def costs(found: ChangingSteps) -> str:
    """One row per variant: against a fixed T, and what one bucket would save."""
    largest = max(found.view.workload.steps_vary)
    head = ["variant", f"T {largest} among others / alone", "95 % interval", "verdict"]
    head += ["first calls saved by a bucket", "lost by a step", "it pays up to"]
    against = found.against_fixed()
    rows = []
    for label in _labels(found):
        bucket, compared = found.bucket(label), against.get(label)
        row = [label, "", "", ""]
        if compared is not None:
            low, high = compared.estimate.interval
            row = [label, text.ratio(compared.estimate.ratio), text.interval(low, high)]
            row.append(compared.verdict)
        saved = max(0.0, bucket.saved_seconds)
        lost = text.duration(bucket.lost_seconds) if bucket.lost_seconds > 0 else "nothing"
        rows.append([*row, text.duration(saved), lost, _steps(bucket.steps)])
    return text.table(head, rows, right=(1, 2, 4, 5, 6))


def _labels(found: ChangingSteps) -> list[str]:
    return [label for label in found.view.order if label in found.view.ranked]


def _steps(count: float) -> str:
    if math.isinf(count):
        return "always"
    return text.plural(int(count), "step") if count >= 1 else "never"


def _short(seconds: float) -> str:
    return f"{text.three_digits(seconds * 1e9)} ns" if seconds < 1e-6 else text.duration(seconds)

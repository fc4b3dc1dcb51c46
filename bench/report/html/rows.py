"""The measurements of a workload as rows of a page: numbers of the CSV, and their text. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from bench.analysis import memory, outliers, streams, text
from bench.analysis.workload_view import FINE, NOT_RUN, WorkloadView, verdict
from bench.records.schema import Measurement, Run
from bench.report import csv
from bench.report.html.choices import LONGEST_NAME
from bench.report.markdown import streams as of_streams
from bench.report.markdown import tables

OF_STEPS = ("step_p90_seconds", "step_p99_seconds", "step_worst_seconds")  # of a stream
# Columns of the CSV that a page sorts by or draws.
NUMBERS = (
    *("status", "verdict", "rank", "seconds", "ratio", "ratio_low", "ratio_high"),
    *("throughput_seconds", "start_seconds", "import_seconds", "build_seconds"),
    *("first_call_seconds", "interquartile_range", "flops_per_second", "gemm_baseline_share"),
    *OF_STEPS,
    *("peak_host_bytes", "peak_device_bytes", "tensors", "worst_error", "worst_bound"),
)
# The text of a number, where the page shows one.
FORMS: dict[str, Callable[[Any], str]] = {
    "seconds": text.duration,
    "ratio": text.ratio,
    "throughput_seconds": text.duration,
    "start_seconds": text.duration,
    "import_seconds": text.duration,
    "build_seconds": text.duration,
    "first_call_seconds": text.duration,
    "cold_seconds": text.duration,
    "interquartile_range": lambda share: f"{100 * share:.1f} %",
    "flops_per_second": lambda rate: text.flops(rate, "FLOP/s"),
    "gemm_baseline_share": text.share,
    "peak_device_bytes": text.mebibytes,
}
COLD = ("start_seconds", "import_seconds", "build_seconds", "first_call_seconds")
TEXTS = (
    *("variant", "word", "interval", "memory", "outliers", "agreement", "path", "reason"),
    *(f"{name}_text" for name in (*FORMS, *OF_STEPS)),
)
COLUMNS = (*TEXTS, *NUMBERS, "least_host_bytes", "cold_seconds", "failed")


def names(view: WorkloadView) -> dict[str, str]:
    """The name of each label of a workload: not escaped."""
    found: dict[str, str] = {}
    for label, m in view.candidates.items():
        found[label] = text.numbered(text.plain(m.variant, LONGEST_NAME), found.values())
    return found


def rows(run: Run, view: WorkloadView) -> list[list[Any]]:
    """A list of COLUMNS for each variant: by rank, then those that did not run.

    A number that is unknown is None, a text ""."""
    called = names(view)
    order = [*view.order, *(label for label in called if label not in view.order)]
    return [_row(run, view, label, called[label]) for label in order]


def _row(run: Run, view: WorkloadView, label: str, name: str) -> list[Any]:
    m = view.candidates[label]
    numbers = csv.row(run, view, m)
    fields: dict[str, Any] = {column: _finite(numbers.get(column)) for column in NUMBERS}
    fields["variant"] = name
    fields["failed"] = int(verdict(m) not in (*FINE, *NOT_RUN))
    if fields["seconds"] is not None:
        fields["cold_seconds"] = sum(fields[part] for part in COLD)
        if (bounds := memory.on_host(m)) is not None:
            fields["least_host_bytes"] = bounds[0]
            fields["memory"] = tables.host_memory(m)
        fields["outliers"] = outliers.counted(m)
        if (steps := streams.step_times(m)) is not None:
            _, *shown, _ = of_streams.shown(steps, len(m.processes))
            fields |= {f"{name}_text": value for name, value in zip(OF_STEPS, shown, strict=True)}
    # What a workload compares nothing with has no verdict.
    fields["word"] = numbers.get("verdict") or ("" if view.serial else "unpaired")
    if (compared := view.comparisons.get(label)) is not None:
        fields["interval"] = text.interval(*compared.estimate.interval)
    fields |= {
        f"{column}_text": form(value)
        for column, form in FORMS.items()
        if (value := fields.get(column)) is not None
    }
    fields |= {"agreement": _agreement(m), "path": text.plain(m.path, text.LONGEST)}
    fields["reason"] = "; ".join(_reasons(m))
    return [fields.get(column, "" if column in TEXTS else None) for column in COLUMNS]


def _finite(value: Any) -> Any:
    """JSON has no infinity: an interval of one round has no end."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _agreement(m: Measurement) -> str:
    """ "agrees in 48 tensors; closest to its bound: loss, 5.3e-8 of 8.9e-6"."""
    found = m.agreement
    if found is None or not found.tensors:
        return "not checked"
    word = "disagrees" if tables.disagrees(m) else "agrees"
    error = "not finite, missing or misshapen"
    if found.worst.error is not None:
        error = f"{text.error(found.worst.error)} of {text.error(found.worst.bound)}"
    name = text.plain(found.worst.name, LONGEST_NAME)
    return f"{word} in {found.tensors:,} tensors; closest to its bound: {name}, {error}"


def _reasons(m: Measurement) -> list[str]:
    failures = m.agreement.failures if m.agreement else ()
    found = (text.plain(why, text.LONGEST) for why in (m.reason, *failures))
    return list(dict.fromkeys(filter(None, found)))[: tables.FAILURES_SHOWN]

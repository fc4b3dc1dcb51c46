"""The records as CSV: one row a measurement, with what the rounds say of it. Pure."""

from __future__ import annotations

import csv as writer
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from bench import statistics
from bench.record import Measurement, Race, Run
from bench.report import memory, outliers, tables, text
from bench.report.cells import Cell, alone, cells, verdict

COLUMNS = (
    *("run", "started", "commit", "cell", "phase", "task", "kind", "size", "device", "dtype"),
    *("threads", "batch", "steps", "input", "hidden", "layers", "bidirectional", "parameters"),
    *("variant", "role", "status", "verdict", "rank", "seconds", "ratio", "ratio_low"),
    *("ratio_high", "throughput_seconds", "device_seconds", "spread", "rounds", "processes"),
    *("steps_timed", "outliers", "start_seconds", "import_seconds", "build_seconds"),
    *("first_call_seconds", "flops", "flops_per_second", "share_of_floor", "peak_host_bytes"),
    *("held_host_bytes", "peak_device_bytes", "loss", "tensors", "worst_tensor", "worst_error"),
    *("worst_bound", "others_cores", "disturbed", "versions", "path", "reason"),
)
COPIED = (  # from a measurement as they are
    *("cell", "phase", "task", "size", "device", "dtype", "threads", "batch", "steps"),
    *("parameters", "variant", "role", "status", "loss", "path", "reason"),
)


def csv(run: Run, measurements: Sequence[Measurement], races: Sequence[Race] = ()) -> str:
    """A head, then a row a measurement, floors and controls among them; empty is "not known"."""
    measurements = list(map(alone, measurements))
    by_key = {(c.any.cell, c.any.threads): c for c in cells(run, measurements, races)}
    content = io.StringIO()
    out = writer.DictWriter(content, COLUMNS, restval="", lineterminator="\n")
    out.writeheader()
    for m in measurements:
        cell = by_key.get((m.cell, m.threads))
        fields = _about(run, m) | _times(m) | (_beside(cell, m) if cell else {})
        out.writerow({name: _safe(value) for name, value in fields.items()})
    return content.getvalue()


def _safe(value: Any) -> Any:
    """Text on one line, and none that a spreadsheet would take for a formula."""
    if not isinstance(value, str):
        return "" if value is None else value
    line = text.plain(value)
    return f"'{line}" if line.startswith(("=", "+", "-", "@")) else line


def _about(run: Run, m: Measurement) -> dict[str, Any]:
    spec, found = m.spec, m.agreement
    fields: dict[str, Any] = {
        "run": run.name,
        "started": run.started,
        "commit": run.commit,
        "kind": spec.get("cell"),
        "input": spec.get("input_size"),
        "hidden": spec.get("hidden_size"),
        "layers": spec.get("num_layers"),
        "bidirectional": spec.get("bidirectional"),
        "versions": ", ".join(f"{name} {number}" for name, number in m.versions.items()),
    }
    fields |= {name: getattr(m, name) for name in COPIED}
    if found is not None:
        fields |= {
            "tensors": found.tensors,
            "worst_tensor": found.worst.name,
            "worst_error": found.worst.error,
            "worst_bound": found.worst.bound,
        }
    return fields


def _times(m: Measurement) -> dict[str, Any]:
    """Empty for a variant that may not be ranked: no number without agreement."""
    if not m.round_seconds or (m.role == "variant" and not statistics.ranked(m)):
        return {}
    fields: dict[str, Any] = {
        "seconds": statistics.median_seconds(m),
        "rounds": len(m.round_seconds),
        "processes": len(m.processes),
        "steps_timed": sum(p.steps for p in m.processes),
        "outliers": sum(outliers.count(p)[0] for p in m.processes),
        "throughput_seconds": _median([v for p in m.processes for v in p.throughput_seconds]),
        "device_seconds": _median([v for p in m.processes for v in p.device_seconds]),
        "peak_device_bytes": memory.on_device(m),
    }
    if (found := memory.on_host(m)) is not None:
        fields |= {"peak_host_bytes": found[1], "held_host_bytes": found[1] - found[0]}
    if len(m.round_seconds) > 1:
        fields["spread"] = statistics.spread(m)
    names = ("start_seconds", "import_seconds", "build_seconds", "first_call_seconds")
    return fields | dict(zip(names, tables.cold_parts(m), strict=True))


def _median(values: Sequence[float]) -> float | None:
    return float(np.median(values)) if values else None


def _beside(cell: Cell, m: Measurement) -> dict[str, Any]:
    """What the other entries of the cell say of this one."""
    fields: dict[str, Any] = {}
    label = next((name for name, entry in cell.entries.items() if entry is m), None)
    if cell.race is not None:
        fields["flops"] = cell.race.flops
        fields["disturbed"] = cell.race.disturbed
        fields["others_cores"] = _median([v for p in cell.race.processes for v in p.others_cores])
    if label is None:
        return fields | _control(cell, m)
    fields["verdict"] = "" if statistics.ranked(m) else verdict(m)
    if label == cell.fastest and not cell.serial:
        fields |= {"verdict": "reference", "ratio": 1.0}
    if cell.race is not None and statistics.ranked(m):
        fields["flops_per_second"] = cell.race.flops / statistics.median_seconds(m)
    if (found := cell.comparisons.get(label)) is not None:
        fields |= _ratio(found)
    if (share := cell.share_of_floor(label)) is not None:
        fields["share_of_floor"] = share.ratio
    return fields | {"rank": cell.ranks.get(label)}


def _control(cell: Cell, m: Measurement) -> dict[str, Any]:
    found = cell.control(m) if m.role == "control" else None
    return _ratio(found[1]) if found else {}


def _ratio(found: Any) -> dict[str, Any]:
    low, high = found.estimate.interval
    ratio = {"ratio": found.estimate.ratio, "ratio_low": low, "ratio_high": high}
    return ratio | {"verdict": found.verdict}

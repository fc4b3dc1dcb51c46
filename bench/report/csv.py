"""The records as CSV: one row per measurement, with its statistics. Pure."""

from __future__ import annotations

import csv as writer
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.analysis import cold_start, estimators, learning, memory, outliers, streams, text
from bench.analysis.verdicts import Comparison
from bench.analysis.workload_view import WorkloadView, alone, verdict, views
from bench.records.schema import Measurement, Run, WorkloadRecord
from tasks.spec import parameter_count

COLUMNS = (
    *("run", "started", "commit", "workload", "phase", "task", "cell", "size", "device", "dtype"),
    *("threads", "batch", "steps", "input", "hidden", "layers", "bidirectional", "bias"),
    *("dropout", "vocab_size", "train_embedding", "readout", "output_size", "loss"),
    *("time_reduction", "initial_state", "weighted", "values", "weights", "embedding", "data"),
    *("lengths", "padding", "real_steps", "steps_vary", "stateful"),
    *("parameters", "step_bytes", "optimizer", "learning_rate"),
    *("variant", "role", "status", "verdict", "rank", "seconds", "ratio", "ratio_low"),
    *("ratio_high", "throughput_seconds", "device_seconds", "interquartile_range", "rounds"),
    *("processes", "steps_timed", "outliers", "start_seconds", "import_seconds", "build_seconds"),
    *("first_call_seconds", "flops", "flops_per_second", "gemm_baseline_share"),
    *("step_p90_seconds", "step_p99_seconds", "step_worst_seconds"),
    *("transfer_median_seconds", "transfer_p90_seconds", "transfer_p99_seconds"),
    *("transfer_worst_seconds",),
    *("peak_host_bytes", "held_host_bytes", "peak_device_bytes", "page_faults", "switches"),
    *("loss_value", "tensors"),
    *("worst_tensor", "worst_error", "worst_bound", "others_cores", "disturbed"),
    *("updates", "reached", "score", "update_seconds", "seconds_to_target"),
    *("versions", "path", "reason"),
)
# As they are, from a workload and from a measurement.
OF_WORKLOAD = (
    *("phase", "task", "device", "dtype", "threads", "batch", "steps", "step_bytes"),
    "stateful",
)
OF_INPUTS = ("initial_state", "weighted", "values", "lengths", "padding")
OF_MEASUREMENT = ("variant", "role", "status", "path", "reason")
OF_STEPS = ("median_seconds", "p90_seconds", "p99_seconds", "worst_seconds")  # of StepTimes
OF_MODEL = (
    *("cell", "bidirectional", "bias", "dropout", "vocab_size", "train_embedding", "readout"),
    *("output_size", "loss", "time_reduction"),
)


def csv(
    run: Run, measurements: Sequence[Measurement], records: Sequence[WorkloadRecord] = ()
) -> str:
    """A head, then one row per measurement of any role; an empty field is unknown."""
    measurements = list(map(alone, measurements))
    by_workload = {view.workload: view for view in views(run, measurements, records)}
    content = io.StringIO()
    out = writer.DictWriter(content, COLUMNS, restval="", lineterminator="\n")
    out.writeheader()
    for m in measurements:
        fields = row(run, by_workload.get(m.workload), m)
        out.writerow({name: _safe(value) for name, value in fields.items()})
    return content.getvalue()


def row(run: Run, view: WorkloadView | None, m: Measurement) -> dict[str, Any]:
    """The values of one measurement by column; what is unknown is None or missing."""
    return _about(run, m) | _times(m) | (_beside(view, m) if view else {})


def _safe(value: Any) -> Any:
    """Text on one line that no spreadsheet takes for a formula."""
    if not isinstance(value, str):
        return "" if value is None else value
    line = text.plain(value)
    return f"'{line}" if line.startswith(("=", "+", "-", "@")) else line


def _about(run: Run, m: Measurement) -> dict[str, Any]:
    workload, spec, found = m.workload, m.workload.spec, m.agreement
    fields: dict[str, Any] = {
        "run": run.name,
        "started": run.started,
        "commit": run.commit,
        "workload": workload.id,
        "size": workload.label,
        "input": spec.input_size,
        "hidden": spec.hidden_size,
        "layers": spec.num_layers,
        "parameters": parameter_count(spec),
        "optimizer": workload.optimizer.name if workload.optimizer else None,
        "learning_rate": workload.optimizer.learning_rate if workload.optimizer else None,
        "loss_value": m.loss,
        "versions": ", ".join(f"{name} {number}" for name, number in m.versions.items()),
    }
    fields |= {name: getattr(workload, name) for name in OF_WORKLOAD}
    fields["threads"] = workload.threads or "default"
    fields["steps_vary"] = " ".join(map(str, workload.steps_vary))
    fields |= {name: getattr(spec, name) for name in OF_MODEL}
    fields |= {name: getattr(workload.inputs, name) for name in OF_INPUTS}
    fields |= {
        name: file.name
        for name, file in (
            *(("weights", workload.weights), ("embedding", workload.embedding)),
            ("data", workload.data),
        )
        if file is not None
    }
    fields |= {name: getattr(m, name) for name in OF_MEASUREMENT}
    if found is not None:
        fields |= {
            "tensors": found.tensors,
            "worst_tensor": found.worst.name,
            "worst_error": found.worst.error,
            "worst_bound": found.worst.bound,
        }
    return fields


def _times(m: Measurement) -> dict[str, Any]:
    """Empty for a variant that is not ranked: there is no number without agreement."""
    if not m.round_seconds or (m.role == "variant" and not estimators.ranked(m)):
        return {}
    fields: dict[str, Any] = {
        "seconds": estimators.median_seconds(m),
        "rounds": len(m.round_seconds),
        "processes": len(m.processes),
        "steps_timed": sum(p.steps for p in m.processes),
        "outliers": sum(outliers.count(p)[0] for p in m.processes),
        "throughput_seconds": _median([v for p in m.processes for v in p.throughput_seconds]),
        "device_seconds": _median([v for p in m.processes for v in p.device_seconds]),
        "peak_device_bytes": memory.on_device(m),
        "page_faults": memory.page_faults(m),
        "switches": _median([p.switches for p in m.processes if p.switches is not None]),
    }
    if (found := memory.on_host(m)) is not None:
        fields |= {"peak_host_bytes": found[1], "held_host_bytes": found[1] - found[0]}
    if len(m.round_seconds) > 1:
        fields["interquartile_range"] = estimators.interquartile_range(m)
    if (steps := streams.step_times(m)) is not None:
        fields |= {f"step_{name}": getattr(steps, name) for name in OF_STEPS[1:]}
    if (moved := streams.transfer_step_times(m)) is not None:
        fields |= {f"transfer_{name}": getattr(moved, name) for name in OF_STEPS}
    names = ("start_seconds", "import_seconds", "build_seconds", "first_call_seconds")
    return fields | dict(zip(names, cold_start.parts(m), strict=True))


def _median(values: Sequence[float]) -> float | None:
    return float(np.median(values)) if values else None


def _beside(view: WorkloadView, m: Measurement) -> dict[str, Any]:
    """The comparison with the other candidates of the workload."""
    fields: dict[str, Any] = {}
    if view.conditions:
        others = [value for process in view.conditions for value in process.others_cores]
        fields |= {
            "flops": view.flops,
            "real_steps": view.record.real_steps if view.record else None,
            "disturbed": view.disturbed,
            "others_cores": _median(others),
        }
    label = next((name for name, candidate in view.candidates.items() if candidate is m), None)
    if label is None:
        control = view.control(m) if m.role == "control" else None
        return fields | (_ratio(control[1]) if control else {})
    fields["verdict"] = "" if estimators.ranked(m) else verdict(m)
    if label == view.fastest and not view.serial:
        fields |= {"verdict": "reference", "ratio": 1.0}
    if view.conditions and estimators.ranked(m):
        fields["flops_per_second"] = view.flops / estimators.median_seconds(m)
    if (compared := view.comparisons.get(label)) is not None:
        fields |= _ratio(compared)
    if (share := view.share_of_baseline(label)) is not None:
        fields["gemm_baseline_share"] = share.ratio
    for learnt in learning.find([view]):
        if label in learnt.labels:
            found = learnt.learned(label)
            fields |= {
                "updates": found.updates,
                "reached": found.reached,
                "score": found.scores[-1].score,
                "update_seconds": learnt.update_seconds(label),
                "seconds_to_target": learnt.seconds_to_target(label),
            }
    return fields | {"rank": view.ranks.get(label)}


def _ratio(found: Comparison) -> dict[str, Any]:
    low, high = found.estimate.interval
    ratio = {"ratio": found.estimate.ratio, "ratio_low": low, "ratio_high": high}
    return ratio | {"verdict": found.verdict}

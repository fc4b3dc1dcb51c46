"""The tables of one workload, as markdown. Pure."""

from __future__ import annotations

import math

import numpy as np

from bench.analysis import cold_start as cold_starts
from bench.analysis import estimators, memory, outliers, text
from bench.analysis.workload_view import FINE, WorkloadView, cell_in_words, verdict
from bench.records.schema import Agreement, Measurement, TensorError
from bench.records.workload import Workload
from tasks.spec import ModelSpec, parameter_count

FAILURES_SHOWN = 5
ERROR_KINDS = {
    "outputs": "outputs",
    "states": "last states",
    "loss": "loss",
    "gradients": "worst gradient",
    "training": "training",
}


def model_in_words(workload: Workload) -> str:
    """The model of a workload in two lines: cell and loss, then sizes by their letters."""
    spec = workload.spec
    words = [cell_in_words(workload)]
    words += ["bidirectional"] if spec.bidirectional else []
    words += map(text.escape, workload.besides)
    words += [text.escape(workload.shape), f"{_loss(spec)} loss"]
    sizes = [f"B {workload.batch}", f"T {workload.steps}"]
    if spec.vocab_size is not None:
        table = "trained" if spec.train_embedding else "frozen"
        sizes.append(f"V {spec.vocab_size} ({table} embedding)")
    sizes += [f"D {spec.input_size}", f"H {spec.hidden_size}", f"L {spec.num_layers}"]
    sizes += ["no head"] if spec.output_size is None else [f"C {spec.output_size}"]
    count = text.plural(parameter_count(spec), "parameter")
    return f"Model: {', '.join(words)}.\n{', '.join(sizes)}; {count}."


def _loss(spec: ModelSpec) -> str:
    name = spec.loss.replace("_", " ")
    return f"{name} (summed over the steps)" if spec.time_reduction == "sum" else name


def times(view: WorkloadView) -> str:
    """One row per variant: rank, latency, ratio, interval, verdict, throughput, scatter, rounds."""
    head = ["variant", "rank", "median step", "ratio", "95 % interval", "verdict"]
    head += ["back to back", "IQR", "steps in rounds"]
    rows = [_times_row(view, label) for label in view.order]
    if view.serial:
        head = [head[0], head[2], *head[6:]]
        rows = [[row[0], row[2], *row[6:]] for row in rows]
        return text.table(head, rows, right=range(1, len(head)))
    return text.table(head, rows, right=(1, 2, 3, 4, 6, 7, 8))


def _times_row(view: WorkloadView, label: str) -> list[str]:
    m = view.candidates[label]
    if label not in view.ranked:
        return [label, "", step(view, label), *compared(view, label), "", "", ""]
    rank = view.ranks.get(label)
    scatter = "one round"
    if len(m.round_seconds) > 1:
        scatter = f"{100 * estimators.interquartile_range(m):.1f} %"
    return [
        label,
        "" if rank is None else str(rank),
        step(view, label),
        *compared(view, label),
        _throughput(m),
        scatter,
        _rounds(m),
    ]


def step(view: WorkloadView, label: str) -> str:
    """The median step of a variant that ran; empty if it has none."""
    if label in view.ranked:
        return text.duration(view.seconds[label])
    return "not timed" if verdict(view.candidates[label]) == "agrees" else ""


def compared(view: WorkloadView, label: str) -> tuple[str, str, str]:
    """Ratio to the fastest, its 95 % interval and verdict, of a variant that ran."""
    found = view.comparisons.get(label)
    if found:
        ratio = text.ratio(found.estimate.ratio)
        return ratio, text.interval(*found.estimate.interval), found.verdict
    if label not in view.ranked:
        return "", "", verdict(view.candidates[label])
    if label == view.fastest:
        alone = len(view.ranked) == 1
        return "1.00" if alone else "**1.00**", "", "alone" if alone else "reference"
    return "", "", "unpaired"


def _throughput(m: Measurement) -> str:
    """Time per step without syncs in between; median over all rounds."""
    values = [value for process in m.processes for value in process.throughput_seconds]
    return text.duration(float(np.median(values))) if values else "not measured"


def _rounds(m: Measurement) -> str:
    """ "420 in 10", or "840 in 2 x 10" for two processes."""
    counts = [len(process.seconds) for process in m.processes]
    steps = sum(process.steps for process in m.processes)
    if len(counts) == 1:
        return f"{steps:,} in {counts[0]}"
    if len(set(counts)) == 1:
        return f"{steps:,} in {len(counts)} x {counts[0]}"
    return f"{steps:,} in {' + '.join(map(str, counts))}"


def beside(view: WorkloadView) -> str:
    """Rate, share of the GEMM baseline, memory, faults, outliers and path; without empty
    columns.
    """
    labels = [label for label in view.order if label in view.ranked]
    columns = {
        "rate": [_rate(view, label) for label in labels],
        "share of GEMM baseline": [_share_of_baseline(view, label) for label in labels],
        "memory above import": [host_memory(view.candidates[n]) for n in labels],
        "page faults": [_page_faults(view.candidates[n]) for n in labels],
        "peak on device": [_device_memory(view.candidates[n]) for n in labels],
        "device time": [_device_time(view.candidates[n]) for n in labels],
        "outliers": [outliers.counted(view.candidates[n]) for n in labels],
    }
    filled = {name: column for name, column in columns.items() if any(column)}
    paths = [text.escape(view.candidates[n].path) for n in labels]
    head = ["variant", *filled, "path"]
    rows = list(zip(labels, *filled.values(), paths, strict=True))
    return text.table(head, rows, right=range(1, len(head) - 1)) if rows else ""


def _rate(view: WorkloadView, label: str) -> str:
    return text.flops(view.flops / view.seconds[label], "FLOP/s") if view.flops else ""


def _share_of_baseline(view: WorkloadView, label: str) -> str:
    found = view.share_of_baseline(label)
    if found is None:
        return ""
    low, high = found.interval
    if not math.isfinite(high):
        return text.share(found.ratio)
    return f"{text.share(found.ratio)} ({text.share(low)[:-2]} to {text.share(high)[:-2]})"


def host_memory(m: Measurement) -> str:
    """ "74.0 MiB", "48.7 to 80.6 MiB", or "" if nothing was counted."""
    found = memory.on_host(m)
    if found is None:
        return ""
    low, high = map(text.mebibytes, found)
    return high if low == high else f"{low.removesuffix(' MiB')} to {high}"


def _page_faults(m: Measurement) -> str:
    """Of a step: "440", "0.3"."""
    found = memory.page_faults(m)
    return "" if found is None else f"{found:.{0 if found >= 10 else 1}f}"


def _device_memory(m: Measurement) -> str:
    found = memory.on_device(m)
    return "" if found is None else text.mebibytes(found)


def _device_time(m: Measurement) -> str:
    values = [value for process in m.processes for value in process.device_seconds]
    return text.duration(float(np.median(values))) if values else ""


def agreement(view: WorkloadView) -> str:
    """One row per variant: number of tensors, and the largest error of each kind."""
    found = {n: a for n in view.order if (a := view.candidates[n].agreement) is not None}
    kinds = [name for name in ERROR_KINDS if any(name in a.kinds for a in found.values())]
    head = ["variant", "", *(ERROR_KINDS[name] for name in kinds), "tensors", "closest to bound"]
    rows = []
    for label in view.order:
        if label not in found:
            rows.append([label, "not checked", *([""] * len(kinds)), "", ""])
            continue
        a = found[label]
        word = "disagrees" if disagrees(view.candidates[label]) else "agrees"
        errors = (_error(a.kinds.get(name)) for name in kinds)
        worst = f"{text.escape(a.worst.name)}, bound {text.error(a.worst.bound)}"
        rows.append([label, word, *errors, f"{a.tensors:,}", worst])
    return text.table(head, rows, right=range(2, len(kinds) + 3)) if rows else ""


def _error(found: TensorError | None) -> str:
    if found is None:
        return ""
    return "invalid" if found.error is None else text.error(found.error)


def disagrees(m: Measurement) -> bool:
    return verdict(m) == "disagrees" or bool(m.agreement and m.agreement.failures)


def disagreement(m: Measurement) -> str:
    """ "disagrees: l0.bwd.W_hh off by 3.1e-2"."""
    found = m.agreement
    if found is None or found.worst.severity <= 1:
        return "disagrees"
    return f"disagrees: {_worst(found)}"


def _worst(found: Agreement) -> str:
    name = text.escape(found.worst.name.removeprefix("grad."))
    if found.worst.error is None:
        return f"{name} is missing, misshapen or not finite"
    return f"{name} off by {text.error(found.worst.error)}"


def cold_start(view: WorkloadView) -> str:
    """Everything before the first warm step; with several processes, of the fresh ones."""
    head = ["cold start", "interpreter", "import", "build", "first call", "total"]
    rows = []
    for label in view.order:
        if label in view.ranked:
            parts = cold_starts.parts(view.candidates[label])
            rows.append([label, *map(text.duration, (*parts, sum(parts)))])
    return text.table(head, rows, right=range(1, len(head))) if rows else ""


def unranked(view: WorkloadView) -> str:
    """Why each variant that failed has no rank; empty if none failed."""
    wrong = {n: m for n in view.order if verdict(m := view.candidates[n]) not in FINE}
    rows = [[n, disagreement(m) if disagrees(m) else verdict(m), _why(m)] for n, m in wrong.items()]
    return text.table(("not ranked", "status", "reason"), rows) if rows else ""


def _why(m: Measurement) -> str:
    failures = m.agreement.failures if m.agreement else ()
    parts = [m.reason, *failures[:FAILURES_SHOWN]]
    if len(failures) > FAILURES_SHOWN:
        parts.append(f"and {len(failures) - FAILURES_SHOWN} more in measurements.jsonl")
    return "; ".join(dict.fromkeys(text.escape(p) for p in parts if p)) or "no reason was recorded"

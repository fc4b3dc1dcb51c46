"""The tables of one cell, as markdown. Pure."""

from __future__ import annotations

import math
from statistics import median

import numpy as np

from bench import statistics
from bench.record import Agreement, Measurement, TensorError
from bench.report import memory, outliers, text
from bench.report.cells import FINE, Cell, kind, verdict

FAILURES_SHOWN = 5
ERROR_KINDS = {
    "outputs": "outputs",
    "states": "last states",
    "loss": "loss",
    "gradients": "worst gradient",
    "training": "training",
}


def model_in_words(m: Measurement) -> str:
    """The model of a cell in two lines: its kind and loss, its sizes by their letters."""
    spec = m.spec
    words = [kind(m)]
    words += ["bidirectional"] if spec.get("bidirectional") else []
    words += ["without bias"] if spec.get("bias") is False else []
    words += [f"dropout {text.escape(spec['dropout'])}"] if spec.get("dropout") else []
    words += [text.escape(m.shape), f"{_loss(m)} loss"]
    sizes = [f"B {m.batch}", f"T {m.steps}"]
    if spec.get("vocab_size") is not None:
        table = "trained" if spec.get("train_embedding", True) else "frozen"
        sizes.append(f"V {text.escape(spec['vocab_size'])} ({table} embedding)")
    sizes += [f"D {text.escape(spec['input_size'])}", f"H {text.escape(spec['hidden_size'])}"]
    sizes += [f"L {text.escape(spec.get('num_layers', 1))}"]
    head = spec.get("output_size")
    sizes += ["no head"] if head is None else [f"C {text.escape(head)}"]
    count = text.plural(m.parameters, "parameter")
    return f"Model: {', '.join(words)}.\n{', '.join(sizes)}; {count}."


def _loss(m: Measurement) -> str:
    name = text.escape(str(m.spec.get("loss", "unknown")).replace("_", " "))
    return f"{name} (summed over the steps)" if m.spec.get("time_reduction") == "sum" else name


def times(cell: Cell) -> str:
    """One row a variant: rank, latency, ratio, interval, verdict, throughput, spread, rounds."""
    head = ["variant", "rank", "median step", "ratio", "95 % interval", "verdict"]
    head += ["back to back", "spread", "steps in rounds"]
    rows = [_times_row(cell, label) for label in cell.order]
    if cell.serial:
        head = [head[0], head[2], *head[6:]]
        rows = [[row[0], row[2], *row[6:]] for row in rows]
        return text.table(head, rows, right=range(1, len(head)))
    return text.table(head, rows, right=(1, 2, 3, 4, 6, 7, 8))


def _times_row(cell: Cell, label: str) -> list[str]:
    m = cell.entries[label]
    if label not in cell.ranked:
        untimed = "not timed" if verdict(m) == "agrees" else ""
        return [label, "", untimed, "", "", verdict(m), "", "", ""]
    found = cell.comparisons.get(label)
    if found:
        ratio = text.ratio(found.estimate.ratio)
        compared = [ratio, text.interval(*found.estimate.interval), found.verdict]
    elif label == cell.fastest:
        alone = len(cell.ranked) == 1
        compared = ["1.00" if alone else "**1.00**", "", "alone" if alone else "reference"]
    else:
        compared = ["", "", "unpaired"]
    rank = cell.ranks.get(label)
    spread = f"{100 * statistics.spread(m):.1f} %" if len(m.round_seconds) > 1 else "one round"
    return [
        label,
        "" if rank is None else str(rank),
        text.duration(cell.seconds[label]),
        *compared,
        _throughput(m),
        spread,
        _rounds(m),
    ]


def _throughput(m: Measurement) -> str:
    """Seconds a step of as many as fit between two syncs; median over all rounds."""
    values = [value for process in m.processes for value in process.throughput_seconds]
    return text.duration(float(np.median(values))) if values else "not taken"


def _rounds(m: Measurement) -> str:
    """ "420 in 10", or "840 in 2 x 10" for two processes."""
    counts = [len(process.seconds) for process in m.processes]
    steps = sum(process.steps for process in m.processes)
    if len(counts) == 1:
        return f"{steps:,} in {counts[0]}"
    if len(set(counts)) == 1:
        return f"{steps:,} in {len(counts)} x {counts[0]}"
    return f"{steps:,} in {' + '.join(map(str, counts))}"


def beside(cell: Cell) -> str:
    """What stands beside the time: rate, share of the floor, memory, outliers, path.

    Columns that no variant has anything for are left out.
    """
    labels = [label for label in cell.order if label in cell.ranked]
    columns = {
        "rate": [_rate(cell, label) for label in labels],
        "of the floor": [_floor(cell, label) for label in labels],
        "memory above import": [memory.words(memory.on_host(cell.entries[n])) for n in labels],
        "peak on device": [_device_memory(cell.entries[n]) for n in labels],
        "device time": [_device_time(cell.entries[n]) for n in labels],
        "outliers": [outliers.counted(cell.entries[n]) for n in labels],
    }
    filled = {name: column for name, column in columns.items() if any(column)}
    paths = [text.escape(cell.entries[n].path) for n in labels]
    head = ["variant", *filled, "path"]
    rows = list(zip(labels, *filled.values(), paths, strict=True))
    return text.table(head, rows, right=range(1, len(head) - 1)) if rows else ""


def _rate(cell: Cell, label: str) -> str:
    if cell.race is None or not cell.race.flops:
        return ""
    return text.flops(cell.race.flops / cell.seconds[label], "FLOP/s")


def _floor(cell: Cell, label: str) -> str:
    found = cell.share_of_floor(label)
    if found is None:
        return ""
    low, high = found.interval
    if not math.isfinite(high):
        return text.share(found.ratio)
    return f"{text.share(found.ratio)} ({text.share(low)[:-2]} to {text.share(high)[:-2]})"


def _device_memory(m: Measurement) -> str:
    found = memory.on_device(m)
    return "" if found is None else text.mebibytes(found)


def _device_time(m: Measurement) -> str:
    values = [value for process in m.processes for value in process.device_seconds]
    return text.duration(float(np.median(values))) if values else ""


def agreement(cell: Cell) -> str:
    """One row a variant: how many tensors, and the error of the worst of each kind."""
    found = {n: a for n in cell.order if (a := cell.entries[n].agreement) is not None}
    kinds = [name for name in ERROR_KINDS if any(name in a.kinds for a in found.values())]
    head = ["variant", "", *(ERROR_KINDS[name] for name in kinds), "tensors", "nearest its bound"]
    rows = []
    for label in cell.order:
        if label not in found:
            rows.append([label, "not checked", *([""] * len(kinds)), "", ""])
            continue
        a = found[label]
        word = "disagrees" if disagrees(cell.entries[label]) else "agrees"
        errors = (_error(a.kinds.get(name)) for name in kinds)
        worst = f"{text.escape(a.worst.name)}, bound {text.error(a.worst.bound)}"
        rows.append([label, word, *errors, f"{a.tensors:,}", worst])
    return text.table(head, rows, right=range(2, len(kinds) + 3)) if rows else ""


def _error(found: TensorError | None) -> str:
    if found is None:
        return ""
    return "no number" if found.error is None else text.error(found.error)


def disagrees(m: Measurement) -> bool:
    return verdict(m) == "disagrees" or bool(m.agreement and m.agreement.failures)


def disagreement(m: Measurement) -> str:
    """ "disagrees: l0.bwd.W_hh off by 3.1e-2", in one variant that does."""
    found = m.agreement
    if found is None or found.worst.severity <= 1:
        return "disagrees"
    return f"disagrees: {_worst(found)}"


def _worst(found: Agreement) -> str:
    name = text.escape(found.worst.name.removeprefix("grad."))
    if found.worst.error is None:
        return f"{name} is missing, misshapen or not finite"
    return f"{name} off by {text.error(found.worst.error)}"


def cold_start(cell: Cell) -> str:
    """What passes before the first warm step; with several processes, of the fresh ones."""
    head = ["cold start", "interpreter", "import", "build", "first call", "together"]
    rows = []
    for label in cell.order:
        if label in cell.ranked:
            parts = cold_parts(cell.entries[label])
            rows.append([label, *map(text.duration, (*parts, sum(parts)))])
    return text.table(head, rows, right=range(1, len(head))) if rows else ""


def cold_parts(m: Measurement) -> tuple[float, ...]:
    """Seconds: interpreter, import, build, first call; the median over fresh processes of each.

    The first may have run other cells before; every further one is fresh.
    """
    colds = [process.cold for process in m.processes[1:] or m.processes]
    parts = (
        (c.start_seconds, c.import_seconds, c.build_seconds, c.first_call_seconds) for c in colds
    )
    return tuple(map(median, zip(*parts, strict=True)))


def unranked(cell: Cell) -> str:
    """Why each variant that went wrong has no rank; empty where none did."""
    wrong = {n: m for n in cell.order if verdict(m := cell.entries[n]) not in FINE}
    rows = [[n, disagreement(m) if disagrees(m) else verdict(m), _why(m)] for n, m in wrong.items()]
    return text.table(("not ranked", "is", "why"), rows) if rows else ""


def _why(m: Measurement) -> str:
    failures = m.agreement.failures if m.agreement else ()
    parts = [m.reason, *failures[:FAILURES_SHOWN]]
    if len(failures) > FAILURES_SHOWN:
        parts.append(f"and {len(failures) - FAILURES_SHOWN} more in measurements.jsonl")
    return "; ".join(dict.fromkeys(text.escape(p) for p in parts if p)) or "no reason was recorded"

"""What was measured: the models and batches in one table, the parameters of each. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bench.analysis import text
from bench.analysis.workload_view import WorkloadView, cell_in_words
from bench.records.workload import Workload
from tasks.spec import ModelSpec, param_shapes

MOST = 12  # models with a table of their own, and rows of the table of all


def measured(views: Sequence[WorkloadView]) -> str:
    """One row per model and batch; the memory is that of the phase that needs most."""
    found: dict[tuple[object, ...], Workload] = {}
    for view in views:
        w = view.workload
        about = (w.task, w.label, w.spec, w.batch, w.steps)
        if about not in found or found[about].step_bytes < w.step_bytes:
            found[about] = w
    shown = list(found.values())[:MOST]
    more = any(workload.besides for workload in shown)
    rows = [_facts(workload, more=more) for workload in shown]
    head = ["workload", "cell", *shown[0].facts, *(["besides"] if more else [])] if shown else []
    table = text.table(head, rows, right=range(2, 9)) if rows else ""
    if len(found) <= MOST:
        return table
    further = text.plural(len(found) - MOST, "further model")
    return f"{table}\n\n{further}: see their workloads."


def _facts(workload: Workload, *, more: bool) -> list[str]:
    name = text.escape(f"{workload.task} {workload.label}")
    besides = [text.escape(", ".join(workload.besides))] if more else []
    return [name, cell_in_words(workload), *map(text.escape, workload.facts.values()), *besides]


def tables(views: Sequence[WorkloadView]) -> str:
    """One table per distinct model: name, shape and size of each parameter."""
    models: dict[ModelSpec, Workload] = {}
    for view in views:
        models.setdefault(view.workload.spec, view.workload)
    found = [_one(workload) for workload in list(models.values())[:MOST]]
    if len(models) > MOST:
        further = text.plural(len(models) - MOST, "further model")
        found.append(f"{further}: see their workloads.")
    return "\n\n".join(found)


def _one(workload: Workload) -> str:
    spec = workload.spec
    shapes = param_shapes(spec)
    rows = [
        [text.escape(name), " x ".join(map(str, shape)), f"{math.prod(shape):,}"]
        for name, shape in shapes.items()
    ]
    rows.append(["total", "", f"{sum(map(math.prod, shapes.values())):,}"])
    sizes = f"D {spec.input_size}, H {spec.hidden_size}, L {spec.num_layers}"
    both = ", bidirectional" if spec.bidirectional else ""
    head = f"{text.escape(workload.task)}, {cell_in_words(workload)}{both}, {sizes}:"
    return f"{head}\n\n{text.table(('parameter', 'shape', 'numbers'), rows, right=(1, 2))}"

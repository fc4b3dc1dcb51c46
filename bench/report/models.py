"""The parameter table of each model, from its recorded spec. Pure."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from bench.record import Measurement
from bench.report import text
from bench.report.cells import Cell, kind
from tasks.spec import ModelSpec, param_shapes

MOST = 12  # models with a table of their own


def spec_of(m: Measurement) -> ModelSpec | None:
    """The model as it was recorded; None where it has fields that are not known here."""
    known = {field.name for field in dataclasses.fields(ModelSpec)}
    fields: dict[str, Any] = dict(m.spec)
    if not fields.keys() <= known or not {"cell", "input_size", "hidden_size"} <= fields.keys():
        return None
    try:
        return ModelSpec(**fields)
    except (TypeError, ValueError):
        return None  # written by hand or by another version: the report goes without its table


def tables(cells: Sequence[Cell]) -> str:
    """A table a distinct model: name, shape and count of each parameter."""
    models: dict[ModelSpec, Measurement] = {}
    for cell in cells:
        if (spec := spec_of(cell.any)) is not None:
            models.setdefault(spec, cell.any)
    found = [_one(spec, m) for spec, m in list(models.items())[:MOST]]
    if len(models) > MOST:
        found.append(f"{text.plural(len(models) - MOST, 'further model')}: see their cells.")
    return "\n\n".join(found)


def _one(spec: ModelSpec, m: Measurement) -> str:
    counts = {name: math.prod(shape) for name, shape in param_shapes(spec).items()}
    rows = [
        [text.escape(name), " x ".join(map(str, shape)), f"{counts[name]:,}"]
        for name, shape in param_shapes(spec).items()
    ]
    rows.append(["together", "", f"{sum(counts.values()):,}"])
    sizes = f"D {spec.input_size}, H {spec.hidden_size}, L {spec.num_layers}"
    both = ", bidirectional" if spec.bidirectional else ""
    head = f"{text.escape(m.task)}, {kind(m)}{both}, {sizes}:"
    return f"{head}\n\n{text.table(('parameter', 'shape', 'numbers'), rows, right=(1, 2))}"

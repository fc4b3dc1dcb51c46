"""Compares each row of a batch with what the oracle gives for it alone: rows are independent."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from bench.correctness import comparison, oracle
from bench.correctness.asked_model import AskedModel
from bench.correctness.oracle import Inputs, ReferenceCase, Tensors
from bench.kit.case import CaseSpec
from bench.kit.conditioning import reference_case
from bench.kit.examine import asked_model
from bench.kit.subject import Subject
from bench.records.schema import Agreement
from tasks.spec import Batch

EXTREME = 1e4  # factor for the inputs of the extreme row
PADDING = 0  # the token of the extreme row: no token is larger than another
COMPARED = ("outputs", "states")  # the others are sums over the rows


def examine_rows(subject: Subject, case: CaseSpec, dtype: str) -> list[Agreement]:
    """Call forward on each row alone, then on a batch with one extreme row among the others.

    Raises ValueError for a case that is not well-conditioned.
    """
    start = reference_case(case, dtype, subject.device)
    if isinstance(start, str):
        raise ValueError(f"{case.code()} is not well-conditioned: {start}")
    model = asked_model(subject, dtype)
    model.build(start)
    found = [_alone(model, start, row) for row in range(case.batch)]
    if case.batch > 1:
        found.append(_beside(model, start, case.seed % case.batch))
    model.ask("release")
    return found


def _alone(model: AskedModel, start: ReferenceCase, row: int) -> Agreement:
    only = Inputs(start.spec, start.params, rows_of(start.batch, [row]))
    model.renew(only)
    return _compared(model, only, model.call("forward")[1], f"row {row} alone")


def _beside(model: AskedModel, start: ReferenceCase, extreme: int) -> Agreement:
    """Compare the other rows with the oracle's results for these alone."""
    x = start.batch.x.copy()
    if x.dtype.kind == "f":
        x[extreme] = EXTREME * np.where(x[extreme] == 0, 1, x[extreme])
    else:
        x[extreme] = PADDING
    model.renew(dataclasses.replace(start, batch=dataclasses.replace(start.batch, x=x)))
    others = [row for row in range(len(x)) if row != extreme]
    _, tensors = model.call("forward")
    kept = {name: array[others] for name, array in tensors.items() if len(array) == len(x)}
    rest = Inputs(start.spec, start.params, rows_of(start.batch, others))
    where = ", ".join(map(str, others))
    noun = "row" if len(others) == 1 else "rows"
    return _compared(model, rest, kept, f"{noun} {where} beside an extreme row")


def _compared(model: AskedModel, rest: Inputs, actual: Tensors, when: str) -> Agreement:
    """Compare with the oracle's results for this batch, each within its own bound."""
    expected = oracle.reference(rest.spec, rest.params, rest.batch, model.dtype, model.device)
    return comparison.compare(expected, "forward", actual, when, COMPARED)


def rows_of(batch: Batch, rows: Sequence[int]) -> Batch:
    """The batch of these rows alone."""
    chosen = list(rows)
    state = batch.state
    return Batch(
        x=batch.x[chosen],
        y=batch.y[chosen],
        weight=None if batch.weight is None else batch.weight[chosen],
        state=None if state is None else {name: value[chosen] for name, value in state.items()},
        lengths=None if batch.lengths is None else batch.lengths[chosen],
    )

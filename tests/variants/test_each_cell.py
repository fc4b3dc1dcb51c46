"""Every variant of a default run, and an unrolled one, agrees on one model of each cell."""

from __future__ import annotations

import dataclasses

import asked
import pytest
from tally import TALLY

from bench.kit.conditioning import reference_case
from bench.kit.examine import examine
from bench.kit.fixed_cases import fixed_cases
from bench.kit.subject import phases, unsupported
from bench.workers.pool import WorkerPool
from tasks.spec import CELLS, param_shapes

DTYPE = "float32"
# It compiles for long where there are many steps, so the other tests of variants leave it out.
UNROLLED = pytest.param("keras-tensorflow-unrolled", marks=pytest.mark.slow)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("variant", [*asked.DEFAULT, UNROLLED])
def test_a_variant_agrees_on_one_model_of_each_cell(
    pool: WorkerPool, variant: str, cell: str
) -> None:
    subject = asked.subject(pool, variant)
    case = max(fixed_cases(11, [cell]), key=lambda case: len(param_shapes(case.spec)))
    if unsupported(subject, case, DTYPE):
        case = asked.steady(dataclasses.replace(case, lengths=None))
    found = examine(subject, case, DTYPE, phases(subject, case.spec, DTYPE))
    failures = [failure for each in found for failure in each.failures]
    assert not failures, f"{case.code()}: {failures[0]}"
    assert sum(each.tensors for each in found) > 50
    answered = reference_case(case, DTYPE)
    assert not isinstance(answered, str)
    TALLY.add(variant, answered.expected)

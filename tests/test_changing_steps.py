"""T that varies from call to call: its workloads, the order of its batches, the report."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from itertools import islice, pairwise
from time import perf_counter
from typing import Any

import msgspec
import numpy as np
import pytest
import record_samples as samples
from mutants import Backend, Model
from mutants_by_the_clock import Memo
from test_custom import request

from backends.numpy.backend import NumpyBackend
from bench.analysis import changing_steps
from bench.analysis.workload_view import views
from bench.config import batches
from bench.config.fields import FIELDS
from bench.config.grid import workloads
from bench.config.protocol import Block
from bench.correctness.checks import WorkloadChecks
from bench.measurement.rounds import TimedModel
from bench.measurement.worker_keys import has_baseline
from bench.records.schema import StepsOf, WorkloadRecord
from bench.records.workload import Workload
from bench.report.markdown import changing_steps as in_words
from bench.workers.server import Operations
from bench.workers.timing import TimedSteps

STEPS = (4, 6, 9)


def varied(**options: Any) -> tuple[Workload, Workload]:
    """The workload whose T varies, and the one with the largest T beside it."""
    sizes = {"batch": 2, "input": 3, "hidden": 4, "steps_vary": STEPS}
    varying, fixed = workloads(request("custom", **sizes, **options))
    return varying, fixed


def test_the_largest_t_is_measured_alone_beside() -> None:
    varying, fixed = varied()
    assert (varying.steps_vary, varying.steps) == (STEPS, 9)
    assert (fixed.steps_vary, fixed.steps) == ((), 9)
    assert varying.label == "base+B2+D3+H4+vary-4-6-9"
    assert fixed.label == "base+B2+T9+D3+H4"
    assert has_baseline(fixed)
    assert not has_baseline(varying)
    each = [batches.flops(batches.at_steps(fixed, steps)) for steps in STEPS]
    assert batches.flops(varying) == round(sum(each) / 3)
    assert batches.of_workload(varying, 0).x.shape == (2, 9, 3)


@pytest.mark.parametrize("word", ["5", "5,9", "5,5,9", "5,x,9", "0,5,9", ""])
def test_fewer_than_three_steps_can_be_foreseen(word: str) -> None:
    with pytest.raises(ValueError, match=r"--steps-vary.*expected"):
        FIELDS["steps_vary"].parse("steps-vary", word)


def test_steps_are_sorted_and_each_comes_once() -> None:
    assert FIELDS["steps_vary"].parse("steps-vary", "9, 4,6,4") == STEPS


@pytest.mark.parametrize("other", [{"steps": 5}, {"lengths": "uniform", "padding": "behind"}])
def test_what_sets_t_too_is_refused(other: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected no --steps and no --lengths beside it"):
        varied(**other)


# The worker


def built(workload: Workload) -> Operations:
    operations = Operations()
    operations._backend = NumpyBackend()
    WorkloadChecks(workload, 0).build(
        lambda operation, **arguments: getattr(operations, operation)(**arguments)
    )
    return operations


def test_every_t_is_compared_with_the_oracle() -> None:
    varying, _ = varied()
    checks, operations = WorkloadChecks(varying, 0), built(varying)

    def ask(operation: str, **arguments: Any) -> Any:
        return getattr(operations, operation)(**arguments)

    assert [case.batch.x.shape[1] for case in checks._cases] == [9, 6, 4]
    _, _, before = checks.before(ask, "numpy")
    assert not before.failures
    assert len(ask("first_steps", phase="forward")) == 2
    looks = checks.looks(ask, "numpy")
    assert looks is not None
    found = looks.judge(ask("look", phase="forward", looks=12))
    assert looks.count == 12
    assert len(found) == 3, "one comparison for each T"
    assert not any(each.failures for each in found)


class MemoOfShorter(Memo):
    """Answers from memory, but for the largest T."""

    def bptt(self, placed: Any) -> Any:
        return super().bptt(placed) if placed.x.shape[1] < 30 else self._correct.bptt(placed)


@pytest.mark.parametrize("wrong", [False, True])
def test_work_that_is_skipped_for_some_t_is_found(wrong: bool) -> None:
    sizes = {"batch": 8, "input": 16, "hidden": 64, "steps_vary": (10, 20, 30)}
    varying, _ = workloads(request("custom", **sizes))
    varying = msgspec.structs.replace(varying, phase="bptt")
    checks, operations = WorkloadChecks(varying, 0), Operations()
    operations._backend = Backend("memo", MemoOfShorter if wrong else Model)

    def ask(operation: str, **arguments: Any) -> Any:
        return getattr(operations, operation)(**arguments)

    checks.build(ask)
    taken = {}
    for number, steps in enumerate((30, 20, 10)):
        for _ in range(3):
            begin = perf_counter()
            operations._step("bptt", number)
            taken[steps] = perf_counter() - begin
    found = checks.skipped_work_at(ask, taken)
    assert (found is not None) == wrong, found
    assert not wrong or str(found).startswith(("with T 20, ", "with T 10, "))


def test_each_t_comes_equally_often_and_none_twice_in_a_row() -> None:
    steps = TimedSteps()
    steps._batches, steps._steps_of = list("abcd"), [4, 6, 9, 5]
    drawn = list(islice(steps._order(), 400))
    assert Counter(drawn) == dict.fromkeys(range(4), 100)
    assert all(a != b for a, b in pairwise(drawn))
    followers = {(a, b) for a, b in pairwise(drawn)}
    assert len(followers) == 12, "after each T any other may come"


def test_a_round_is_the_mean_over_the_steps() -> None:
    taken = np.array([1.0, 4.0, 1.2, 10.0, 1.1, 4.0])
    of_batch = np.array([0, 1, 0, 2, 0, 1], np.int16)
    model = TimedModel("torch", lambda *_, **__: None, "forward", Block(), steps=(9, 6, 4))
    model.blocks.append((taken, of_batch))
    model.keep(0, taken, None, None)
    assert model.seconds == [pytest.approx((1.1 + 4.0 + 10.0) / 3)]
    assert [model.seconds_at(number) for number in range(3)] == pytest.approx([1.1, 4.0, 10.0])


# The report


def process(first: float, later: float, per_step: float) -> Any:
    by_steps = tuple(
        StepsOf(steps=t, first_call_seconds=first, seconds=later + per_step * t) for t in (9, 6, 4)
    )
    mean = later + per_step * 19 / 3
    return msgspec.structs.replace(
        samples.rounds(*(mean * (1 + 0.001 * k) for k in range(-5, 6))), by_steps=by_steps
    )


def shown() -> changing_steps.ChangingSteps:
    varying, fixed = varied()
    records = [
        samples.measurement("jax", process(0.5, 0.0, 1e-4), workload=varying),
        samples.measurement("torch", process(2e-4, 1e-4, 1e-4), workload=varying),
        samples.measurement("jax", samples.rounds(*[9e-4] * 11), workload=fixed),
        samples.measurement("torch", samples.rounds(*[5e-4] * 11), workload=fixed),
    ]
    about = [WorkloadRecord(workload=each, flops=10**6) for each in (varying, fixed)]
    (found,) = changing_steps.find(views(samples.RUN, records, about))
    return found


def test_first_and_later_calls_are_listed_by_t() -> None:
    found = shown()
    assert found.first_calls("jax") == {9: 0.5, 6: 0.5, 4: 0.5}
    assert found.later_calls("torch")[4] == pytest.approx(5e-4)
    lines = in_words.table(found).splitlines()
    assert [cell.strip() for cell in lines[0].split("|")[1:-1]] == [
        *("variant", "call", "T 4", "T 6", "T 9"),
    ]
    assert "500 ms" in lines[2]
    assert "400 µs" in lines[3]
    assert "100 µs" in lines[4]


def test_a_varying_t_is_compared_with_a_fixed_one() -> None:
    against = shown().against_fixed()
    assert against["jax"].estimate.ratio == pytest.approx(1.0)
    assert against["torch"].estimate.ratio == pytest.approx(2.0)
    assert against["torch"].verdict == "slower"
    assert against["jax"].verdict != "slower"


def test_a_bucket_pays_until_its_longer_steps_have_cost_what_it_saved() -> None:
    found = shown()
    bucket = found.bucket("jax")
    assert bucket.saved_seconds == pytest.approx(2 * 0.5 - 1e-3)
    assert bucket.lost_seconds == pytest.approx(9e-4 - 1e-4 * 19 / 3)
    assert bucket.steps == pytest.approx(bucket.saved_seconds / bucket.lost_seconds)
    assert found.bucket("torch").steps == 0.0, "its first calls are shorter than later ones"
    none_lost = dataclasses.replace(bucket, lost_seconds=-1e-6)
    assert math.isinf(none_lost.steps)
    costs = in_words.costs(found)
    assert "never" in costs
    assert f"{int(bucket.steps):,} steps" in costs

"""What timed steps return is looked at during the rounds, whatever batch comes next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import islice, pairwise
from typing import Any

import numpy as np
import pytest
from in_process import InProcess
from mutants_by_habit import HABITS, ComputedWhenSynced
from mutations import Mutant, Mutation

from bench.config import batches, grid
from bench.correctness.checks import WorkloadChecks, other_batches
from bench.correctness.judged_answers import MORE, JudgedAnswers
from bench.correctness.skipped_work import BATCHES, SkippedWork
from bench.kit import timed
from bench.records.schema import Agreement, TensorError
from bench.records.workload import Workload
from bench.workers.seen_answers import SeenAnswers
from bench.workers.timing import TimedSteps

Register = Callable[[InProcess], None]


def workload(phase: str = "bptt", task: str = "sentiment", cell: str = "rnn_tanh") -> Workload:
    request = grid.Request(
        tasks=[task],
        phases=[phase],
        devices=["cpu"],
        dtypes=["float32"],
        threads=[1],
        sizes=["source"],
        model={"cell": [cell]},
    )
    return next(grid.workloads(request))


def found_wrong(model: Any, phase: str, registered: Register) -> str:
    """What the checks around timed steps find wrong first; "" if nothing is."""
    mutant = InProcess(Mutant("mutant", Mutation(model=model)))
    registered(mutant)
    found, skipped = timed.run(mutant, workload(phase), seed=0)
    failures = [failure for each in found for failure in each.failures]
    return failures[0] if failures else skipped or ""


@pytest.mark.parametrize("name", HABITS)
def test_a_habit_is_found_and_named(name: str, registered: Register) -> None:
    model, phase, words = HABITS[name]
    assert words in found_wrong(model, phase, registered)


@pytest.mark.parametrize("phase", ["forward", "bptt", "train_step"])
def test_a_correct_model_passes(phase: str, registered: Register) -> None:
    from mutants import Model

    mutant = InProcess(Mutant("correct", Mutation(model=Model)))
    registered(mutant)
    found, _ = timed.run(mutant, workload(phase), seed=0)
    assert [failure for each in found for failure in each.failures] == []


def test_what_is_computed_only_when_it_is_synced_is_found(registered: Register) -> None:
    mutant = InProcess(Mutant("lazy", Mutation(model=ComputedWhenSynced)))
    registered(mutant)
    (large,) = (w for w in timed.workloads(mutant, "lstm", "float32", 1) if w.phase == "bptt")
    found, skipped = timed.run(mutant, large, seed=0)
    assert not any(each.failures for each in found), "its numbers are right"
    assert "only when it is synced" in (skipped or "")


def test_the_batches_of_a_workload_differ_even_where_a_task_has_one() -> None:
    for task in ("hihello", "sentiment", "sin_sequence"):
        of = workload(task=task)
        first = batches.of_workload(of, 0)
        every = [first, *other_batches(of, first, 0)]
        assert len(every) == BATCHES == 3
        for one, other in ((0, 1), (0, 2), (1, 2)):
            assert not np.array_equal(every[one].x, every[other].x), task


def test_each_batch_has_an_oracle_of_its_own() -> None:
    cases = WorkloadChecks(workload(), 0)._cases
    losses = {float(case.expected.tensors["loss"]) for case in cases}
    assert len(losses) == BATCHES
    for case in cases[1:]:
        for name, bound in cases[0].expected.bounds.items():
            assert bound <= case.expected.bounds[name] < 100 * bound


def test_the_order_takes_every_batch_never_one_twice_in_a_row_and_differs() -> None:
    steps = TimedSteps()
    steps._batches = ["a", "b", "c"]
    orders = [tuple(islice(steps._order(), 900)) for _ in range(2)]
    assert orders[0] != orders[1]
    for order in orders:
        assert all(one != other for one, other in pairwise(order))
        counts = Counter(order)
        assert set(counts) == {0, 1, 2}
        assert min(counts.values()) > 200
        after_a = Counter(other for one, other in pairwise(order) if one == 0)
        assert min(after_a[1], after_a[2]) > 60, "one order of the three is foreseeable"


def test_equal_bits_are_sent_once_and_other_bits_again() -> None:
    looks = SeenAnswers()
    one, same, other = (
        {"h": np.array([1.0])},
        {"h": np.array([1.0])},
        {"h": np.array([np.nextafter(1.0, 2.0)])},
    )
    assert looks.take(0, one)[2] is not None
    assert looks.take(0, same)[2] is None
    assert looks.take(1, same)[2] is not None, "another batch"
    assert looks.take(0, other)[2] is not None


def test_a_wrong_answer_is_counted_among_more() -> None:
    """One answer of four is wrong; `how often` comes from those asked for in addition."""
    looks, answers = SeenAnswers(), iter([0.0, 0.0, 1.0, 0.0] * 20)

    def take(count: int) -> list[Any]:
        return [looks.take(0, {"h": np.array([next(answers)])}) for _ in range(count)]

    def compare(_: int, actual: dict[str, np.ndarray]) -> Agreement:
        error = TensorError(name="h", error=float(actual["h"][0]), bound=0.5)
        failures = ("h off by 1",) if actual["h"][0] else ()
        return Agreement(tensors=1, worst=error, kinds={"states": error}, failures=failures)

    judged = JudgedAnswers(lambda operation, **_: take(MORE), "forward", compare)
    assert [each.failures for each in judged.judge(take(2))] == [()]
    wrong = judged.judge(take(2))
    assert [each.failures for each in wrong if each.failures] == [("6 of 24 answers h off by 1",)]
    assert judged.count == 24


@pytest.mark.parametrize(
    ("seconds", "found"),
    [
        ([2.0, 2.1, 0.9, 2.0, 2.2, 0.8, 2.1, 2.0, 0.9], True),  # those on the third batch
        ([2.0, 2.1, 0.9, 2.0, 2.2, 1.9, 2.1, 2.0, 0.9], False),  # one of them takes as long
        ([9.0, 2.1, 2.0, 9.0, 2.2, 2.0, 2.1, 2.0, 2.0], False),  # the machine was slow
        ([2.0, 2.1], False),
    ],
)
def test_of_blocks_of_one_step_all_on_a_batch_must_be_faster(
    seconds: list[float], found: bool
) -> None:
    blocks = [(np.array([s]), np.array([n % 3], np.int16)) for n, s in enumerate(seconds)]
    nothing: Any = None
    checked = SkippedWork(nothing, nothing, nothing, nothing, 2.0, None, blocks)
    message = checked._uneven()
    assert (message is not None) is found, message
    if message:
        assert "a step on one batch takes 2.2 times as long as on another" in message

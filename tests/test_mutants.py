"""Every mutant is rejected by the kit and by the checks of a timed workload, and named."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import mutants
import mutants_by_the_clock
import mutants_of_lengths
import mutants_of_the_cell
import mutants_of_the_levels
import mutants_of_the_step
import numpy as np
import pytest
from in_process import InProcess
from mutations import Mutant, Mutation

from backends.interface import PHASES
from backends.numpy.backend import NumpyBackend
from bench.config import grid
from bench.correctness import comparison
from bench.correctness.checks import WorkloadChecks
from bench.kit import timed
from bench.kit.case import CaseSpec
from bench.kit.examine import ADAM
from bench.kit.fixed_cases import fixed_cases
from bench.kit.plan import Plan
from bench.kit.run import Kit
from bench.records.schema import Agreement
from bench.records.workload import Workload
from tasks import TASKS
from tasks.spec import CELLS, Batch, ModelSpec
from tasks.task import Size

ALL = mutants_of_the_cell.MUTANTS | mutants_of_the_step.MUTANTS | mutants_of_the_levels.MUTANTS
ALL |= mutants_of_lengths.MUTANTS
# A workload has one batch size, so the checks around it do not see these.
BY_THE_KIT = ALL | mutants_of_the_levels.OF_THE_ROWS
DTYPES = ("float64", "float32")


def subject(name: str) -> tuple[InProcess, str, str]:
    """The mutant, the cell in which it shows, and what its first failure says."""
    cell, mutation, words = BY_THE_KIT[name]
    return InProcess(Mutant(name, mutation)), cell, words


def short(seed: int, cells: tuple[str, ...] = CELLS) -> Plan:
    return Plan(seed, cells, models=2 * len(cells), timed=False, stop_at_first=True)


@pytest.mark.parametrize("name", BY_THE_KIT)
def test_the_kit_rejects_and_names_it(name: str) -> None:
    mutant, cell, words = subject(name)
    # What shows in training must show in the cells that everybody is asked about.
    cells = CELLS if words == "trained " else (cell,)
    findings = Kit(mutant, short(0, cells)).run()
    assert not findings.ok, f"{findings.tensors} tensors compared, and nothing was found"
    assert words in findings.failures[0].message, findings.failures[0]


@pytest.mark.parametrize(
    "seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 5))]
)
def test_the_kit_lets_a_correct_one_pass(seed: int) -> None:
    for backend in (NumpyBackend(), Mutant("nothing changed", Mutation())):
        findings = Kit(InProcess(backend), short(seed)).run()
        assert findings.ok, findings.failures
        assert findings.complete
        assert findings.tensors > 1000


WorkloadOf = Callable[[CaseSpec, str, str], Workload]


class CaseTask:
    """A task whose batches are those of a case: `tasks.task.Task` as far as the checks ask."""

    def __init__(self, case: CaseSpec) -> None:
        self._case = case

    def batch(self, size: Size, seed: int, spec: ModelSpec | None = None) -> Batch:
        return dataclasses.replace(self._case, seed=seed).made()[1]


@pytest.fixture
def workload_of(monkeypatch: pytest.MonkeyPatch) -> WorkloadOf:
    """A workload whose model and batches are a case's."""

    def workload(case: CaseSpec, phase: str, dtype: str) -> Workload:
        task = case.code()  # a name of its own: the checks keep their reference cases by name
        monkeypatch.setitem(TASKS, task, CaseTask(case))
        return Workload(
            phase=phase,
            task=task,
            shape="many-to-many",
            size="a case's",
            spec=case.spec,
            batch=case.batch,
            steps=case.steps,
            device="cpu",
            dtype=dtype,
            threads=1,
            optimizer=ADAM if phase == "train_step" else None,
        )

    return workload


def judged(checks: WorkloadChecks, ask: Callable[..., Any], name: str, phase: str) -> Agreement:
    """All that a run compares, without its rounds."""
    checks.build(ask)
    found = [checks.before(ask, name)[2]]
    ask("warm", phase=phase, seconds=0.0, steps=3)
    last = checks.last(ask)
    found += [] if last is None else [last]
    found.append(checks.after(ask, name, 5))
    ask("release")
    return comparison.joined(found)


def checked(
    mutant: InProcess, cell: str, workload_of: WorkloadOf, most: int | None = None
) -> Iterator[Agreement]:
    for dtype in DTYPES:
        for case in fixed_cases(0, (cell,))[:most]:
            for phase in PHASES:
                workload = workload_of(case, phase, dtype)
                ask = partial(mutant.ask, dtype)
                yield judged(WorkloadChecks(workload, case.seed), ask, mutant.name, phase)


@pytest.mark.parametrize("name", ALL)
def test_the_checks_reject_and_name_it(
    name: str,
    workload_of: WorkloadOf,
    registered: Callable[[InProcess], None],
) -> None:
    mutant, cell, words = subject(name)
    registered(mutant)
    what = words.rpartition(": ")[2].split(" ")[0]  # the checks ask at other times than the kit
    failures = []
    for found in checked(mutant, cell, workload_of):
        failures += found.failures
        if any(what in failure for failure in found.failures):
            return
    pytest.fail(f"{what} is in none of {failures or 'its failures: it passed in every phase'}")


@pytest.mark.parametrize("cell", CELLS)
def test_the_checks_let_a_correct_one_pass(
    cell: str,
    workload_of: WorkloadOf,
    registered: Callable[[InProcess], None],
) -> None:
    correct = InProcess(NumpyBackend())
    registered(correct)
    compared = 0
    for found in checked(correct, cell, workload_of, most=4):
        assert not found.failures
        compared += found.tensors
    assert compared > 100


# Right in every number, and not done when it says so, or not done again.
SKIPPING = {
    "sync does not wait": (mutants.NotWaiting, "sync does not wait"),
    "computed when it is read": (mutants_by_the_clock.LazyCopy, "sync"),
    "computed for whatever is placed": (mutants_by_the_clock.InLoad, "timed steps do not do all"),
    "computed for what is placed": (mutants_by_the_clock.InLoadForOne, "do not do all"),
    "kept from the fourth call on": (mutants_by_the_clock.LateMemo, "timed steps do not do all"),
    "kept until parameters or batch are new": (
        mutants_by_the_clock.Memo,
        "timed steps do not do all",
    ),
    "gradients kept until then": (
        mutants_by_the_clock.SkippingGradients,
        "timed steps do not do all",
    ),
}
SMALL = grid.Request(
    tasks=["hihello"],
    phases=["bptt"],
    devices=["cpu"],
    dtypes=["float32"],
    threads=[1],
    sizes=["source"],
    model={"cell": ["rnn_tanh"]},
)


@pytest.mark.parametrize("name", SKIPPING)
def test_the_kit_rejects_skipped_work_by_the_clock(
    name: str, registered: Callable[[InProcess], None]
) -> None:
    model, words = SKIPPING[name]
    mutant = InProcess(Mutant(name, Mutation(model=model)))
    registered(mutant)
    (workload,) = (
        each for each in timed.workloads(mutant, "rnn_tanh", "float32", 1) if each.phase == "bptt"
    )
    if model in (
        mutants.NotWaiting,
        mutants_by_the_clock.InLoad,
        mutants_by_the_clock.InLoadForOne,
    ):  # what piles up
        (workload,) = grid.workloads(SMALL)
    found, skipped = timed.run(mutant, workload, seed=0)
    assert sum(each.tensors for each in found) > 0
    assert not any(each.failures for each in found), "its numbers are right"
    assert words in (skipped or "nothing is said of it")


def test_a_mutant_is_the_numpy_backend_but_for_one_thing() -> None:
    case = fixed_cases(0, ("lstm",))[0]
    params, batch = case.made()
    options = {"device": "cpu", "dtype": "float64"}
    correct = NumpyBackend().build(case.spec, params, **options)
    changed = Mutant("nothing", Mutation()).build(case.spec, params, **options)
    for phase in ("forward", "bptt"):
        expected = correct.to_host(getattr(correct, phase)(correct.place(batch)))
        found = changed.to_host(getattr(changed, phase)(changed.place(batch)))
        assert set(found) == set(expected)
        for tensor, value in expected.items():
            np.testing.assert_array_equal(found[tensor], value)

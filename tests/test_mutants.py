"""Every mutant and cheat is rejected, by the kit and by the gate, and named by its error."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import mutants
import mutants_by_the_clock
import mutants_of_the_cell
import mutants_of_the_step
import numpy as np
import pytest
from in_process import InProcess
from mutations import Mutant, Mutation

from backends import registry
from backends.interface import PHASES
from backends.numpy_backend import NumpyBackend
from bench import agreement, record
from bench.check import timed
from bench.check.corners import corners
from bench.check.examine import ADAM
from bench.check.example import Example
from bench.check.kit import Kit, Plan
from bench.gate import Gate
from bench.grid import Cell
from tasks import TASKS
from tasks.spec import CELLS, Batch
from tasks.task import Size

ALL = mutants_of_the_cell.MUTANTS | mutants_of_the_step.MUTANTS
DTYPES = ("float64", "float32")


def subject(name: str) -> tuple[InProcess, str, str]:
    """The mutant, the cell in which it shows, and what its first failure says."""
    cell, mutation, words = ALL[name]
    return InProcess(Mutant(name, mutation)), cell, words


def short(seed: int, cells: tuple[str, ...] = CELLS) -> Plan:
    return Plan(seed, cells, models=2 * len(cells), timed=False, stop_at_first=True)


@pytest.mark.parametrize("name", ALL)
def test_the_kit_rejects_and_names_it(name: str) -> None:
    mutant, cell, words = subject(name)
    # What shows in training must show in the cells that everybody is asked about.
    cells = CELLS if words == "trained " else (cell,)
    report = Kit(mutant, short(0, cells)).run()
    assert not report.ok, f"{report.tensors} tensors compared, and nothing was found"
    assert words in report.failures[0].message, report.failures[0]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_kit_lets_the_honest_one_pass(seed: int) -> None:
    for backend in (NumpyBackend(), Mutant("nothing changed", Mutation())):
        report = Kit(InProcess(backend), short(seed)).run()
        assert report.ok, report.failures
        assert report.tensors > 1000


class Posed:
    """A task whose batches are those of an example: `tasks.task.Task` as far as the gate asks."""

    def __init__(self, example: Example) -> None:
        self._example = example

    def batch(self, size: Size, seed: int) -> Batch:
        return dataclasses.replace(self._example, seed=seed).made()[1]


@pytest.fixture
def posed(monkeypatch: pytest.MonkeyPatch) -> Callable[[Example, str, str], Cell]:
    """A cell of the suite whose model and batches are an example's."""

    def cell(example: Example, phase: str, dtype: str) -> Cell:
        task = example.code()  # a name of its own: the gate remembers what it drew for a name
        monkeypatch.setitem(TASKS, task, Posed(example))
        spec = example.spec
        size = Size(example.batch, example.steps, spec.input_size, spec.hidden_size)
        optimizer = ADAM if phase == "train_step" else None
        return Cell(phase, task, "posed", size, spec, "cpu", dtype, 1, optimizer)

    return cell


def judged(gate: Gate, ask: Callable[..., Any], name: str, phase: str) -> record.Agreement:
    """All that a run compares, without its rounds."""
    gate.build(ask)
    found = [gate.before(ask, name)[2]]
    ask("warm", phase=phase, seconds=0.0, steps=3)
    last = gate.last(ask)
    found += [] if last is None else [last]
    found.append(gate.after(ask, name, 5))
    ask("release")
    return agreement.joined(found)


def gates(
    mutant: InProcess, cell: str, posed: Callable[[Example, str, str], Cell]
) -> Iterator[record.Agreement]:
    for dtype in DTYPES:
        for example in corners(0, (cell,)):
            for phase in PHASES:
                made = posed(example, phase, dtype)
                ask = partial(mutant.ask, dtype)
                yield judged(Gate(made, example.seed), ask, mutant.name, phase)


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Callable[[InProcess], None]:
    """The gate asks the registry what a variant declares; here it is the one in this process."""

    def register(mutant: InProcess) -> None:
        def ask(name: str, member: str, *arguments: Any, **options: Any) -> Any:
            assert name == mutant.name
            return mutant.consult(member, *arguments, **options)

        monkeypatch.setattr(registry, "ask", ask)

    return register


@pytest.mark.parametrize("name", ALL)
def test_the_gate_rejects_and_names_it(
    name: str,
    posed: Callable[[Example, str, str], Cell],
    registered: Callable[[InProcess], None],
) -> None:
    mutant, cell, words = subject(name)
    registered(mutant)
    failures = [f for found in gates(mutant, cell, posed) for f in found.failures]
    assert failures, "it passed in every phase"
    what = words.rpartition(": ")[2].split(" ")[0]  # the gate asks at other times than the kit
    assert any(what in failure for failure in failures), failures


@pytest.mark.parametrize("cell", CELLS)
def test_the_gate_lets_the_honest_one_pass(
    cell: str,
    posed: Callable[[Example, str, str], Cell],
    registered: Callable[[InProcess], None],
) -> None:
    honest = InProcess(NumpyBackend())
    registered(honest)
    compared = 0
    for found in gates(honest, cell, posed):
        assert not found.failures
        compared += found.tensors
    assert compared > 100


# Right in every number, and not done when it says so, or not done again.
CHEATS = {
    "sync does not wait": (mutants.NotWaiting, "sync does not wait"),
    "computed when it is read": (mutants_by_the_clock.LazyCopy, "sync"),
    "computed for whatever is placed": (mutants_by_the_clock.InLoad, "timed steps do not do all"),
    "computed for what is placed": (mutants_by_the_clock.InLoadForOne, "timed steps do not do all"),
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


@pytest.mark.parametrize("name", CHEATS)
def test_the_kit_rejects_a_cheat_by_the_clock(
    name: str, registered: Callable[[InProcess], None]
) -> None:
    model, words = CHEATS[name]
    cheat = InProcess(Mutant(name, Mutation(model=model)))
    registered(cheat)
    (cell,) = (
        each for each in timed.cells(cheat, "rnn_tanh", "float32", 1) if each.phase == "bptt"
    )
    if model in (
        mutants.NotWaiting,
        mutants_by_the_clock.InLoad,
        mutants_by_the_clock.InLoadForOne,
    ):  # what piles up
        cell = dataclasses.replace(cell, task="hihello", label="source", **small())
    found, said = timed.run(cheat, cell, seed=0)
    assert sum(each.tensors for each in found) > 0
    assert not any(each.failures for each in found), "its numbers are right"
    assert words in (said or "nothing is said of it")


def small() -> dict[str, Any]:
    task = TASKS["hihello"]
    return {"size": task.sizes["source"], "spec": task.spec("source", cell="rnn_tanh")}


def test_a_mutant_is_the_numpy_backend_but_for_one_thing() -> None:
    example = next(corners(0, ("lstm",)))
    params, batch = example.made()
    options = {"device": "cpu", "dtype": "float64"}
    honest = NumpyBackend().build(example.spec, params, **options)
    changed = Mutant("nothing", Mutation()).build(example.spec, params, **options)
    for phase in ("forward", "bptt"):
        expected = honest.to_host(getattr(honest, phase)(honest.place(batch)))
        found = changed.to_host(getattr(changed, phase)(changed.place(batch)))
        assert set(found) == set(expected)
        for tensor, value in expected.items():
            np.testing.assert_array_equal(found[tensor], value)

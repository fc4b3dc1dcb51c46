"""Streams: one step a call. What the harness draws, what it finds, and what a report shows."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import mutants_of_streams
import numpy as np
import pytest
import record_samples as samples
from in_process import InProcess
from mutants import Model
from mutations import Mutant, Mutation

from backends import features, registry
from backends.interface import FEATURES
from backends.numpy.backend import NumpyBackend
from bench.analysis import streams as of_streams
from bench.analysis.workload_view import views
from bench.config import batches, grid
from bench.config.phases import PHASES, STREAM
from bench.correctness import streams
from bench.correctness.checks import reference_case
from bench.correctness.streams import StreamChecks
from bench.kit import timed
from bench.kit.plan import STREAMS, Plan
from bench.kit.run import Kit
from bench.measurement.case import Case
from bench.records.schema import Measurement, StepTimes, WorkloadRecord
from bench.records.workload import Workload
from bench.report.csv import csv
from bench.report.markdown import streams as in_words
from bench.workers.streams import Stream, StreamedModel
from tasks import TASKS
from tasks.flops import step_flops
from tasks.spec import Batch, ModelSpec

Register = Callable[[InProcess], None]


def request(phases: tuple[str, ...] = (STREAM,), **model: Any) -> grid.Request:
    given = {"cell": "lstm", "batch": 2, "steps": 7, "input": 3, "hidden": 5, "classes": 3} | model
    return grid.Request(
        tasks=["custom"],
        phases=phases,
        devices=["cpu"],
        dtypes=["float32"],
        threads=[1],
        model={name: [value] for name, value in given.items()},
    )


def workload(**model: Any) -> Workload:
    (found,) = grid.workloads(request(**model))
    return found


def mutant(name: str, model: type[Model]) -> InProcess:
    return InProcess(Mutant(name, Mutation(model=model)))


# Workloads


def test_a_step_of_a_stream_is_one_step() -> None:
    one, whole = workload(), next(grid.workloads(request(("forward",))))
    assert one.phase == STREAM
    assert batches.flops(one) == step_flops(one.spec, 2, 1, "forward")
    assert batches.flops(whole) == 7 * batches.flops(one)
    assert one.step_bytes == whole.step_bytes, "all inputs are placed"


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({"lengths": "0.5"}, "expected no --lengths"),
        ({"steps_vary": (3, 5, 7), "steps": None}, "expected no --steps-vary"),
        ({"steps": 1}, "at least 2 steps"),
    ],
)
def test_what_has_no_stream_is_wrong_use(model: dict[str, Any], words: str) -> None:
    asked = request(**model)
    kept = {name: values for name, values in asked.model.items() if values != [None]}
    with pytest.raises(ValueError, match=words):
        list(grid.workloads(dataclasses.replace(asked, model=kept)))


@pytest.mark.parametrize("variant", ["numpy", "torch", "jax", "flax", "keras-jax"])
def test_a_net_of_both_directions_is_refused_by_name(variant: str) -> None:
    if registry.missing(registry.find(variant)):
        pytest.skip(f"{variant} is not installed")
    assert Case(workload(bidirectional=True), variant).refusal() == (
        "refused",
        "a bidirectional net needs the whole sequence before its first output",
    )
    assert Case(workload(), variant).refusal() is None


@pytest.mark.parametrize("variant", ["torch-padded", "keras-tensorflow-train_on_batch"])
def test_what_has_no_single_step_is_refused(variant: str) -> None:
    if registry.missing(registry.find(variant)):
        pytest.skip(f"{variant} is not installed")
    status, reason = Case(workload(cell="gru"), variant).refusal() or ("", "")
    assert (status, bool(reason)) == ("refused", True)


def test_a_backend_without_the_feature_is_refused_by_name() -> None:
    class Older(NumpyBackend):
        name = "older"

        def supports(self, feature: str, spec: ModelSpec, *, device: str, dtype: str) -> str | None:
            return features.lacking(feature, ("lengths",))

    where = {"spec": ModelSpec("gru", 3, 4), "device": "cpu", "dtype": "float32"}
    reason = features.supports(Older(), feature="stream", **where)
    assert reason == "it does not offer one step at a time"
    assert "stream" in FEATURES
    assert STREAM in PHASES


# What the harness draws


class Recorded:
    """Stands for a model whose carry is the list of its inputs."""

    def __init__(self) -> None:
        self.placed: list[int] = []

    def load(self, params: Any) -> None: ...
    def sync(self, result: Any) -> None: ...
    def to_host(self, result: Any) -> Any: ...

    def begin(self, state: Any, batch_size: int) -> list[int]:
        return []

    def place_input(self, x: np.ndarray) -> int:
        self.placed.append(int(x[0]))
        return int(x[0])

    def advance(self, carry: list[int], x: int) -> tuple[list[int], list[int]]:
        now = [*carry, x]
        return now, now


def stream(steps: int = 9) -> tuple[StreamedModel, Recorded, Stream]:
    recorded = Recorded()
    model = StreamedModel(recorded, np.dtype("float32"))  # type: ignore[arg-type]
    return model, recorded, model.place(Batch(np.arange(steps)[None], np.zeros((1, steps), int)))


def test_every_input_is_placed_before_the_first_step_in_an_order_of_its_own() -> None:
    orders = set()
    for _ in range(20):
        _, recorded, _ = stream()
        assert sorted(recorded.placed) == list(range(9))
        orders.add(tuple(recorded.placed))
    assert len(orders) > 10


def test_a_step_gets_the_carry_of_its_own_stream_and_begins_anew_at_any_time() -> None:
    model, _, one = stream()
    followed, lengths, run = set(), [], 0
    for _ in range(2000):
        one.ready()
        carry, output = model.stream(one)
        assert carry == output == one.path
        if one.run != run:
            assert len(one.path) == 1, "it begins with its first step"
            run = one.run
            lengths.append(0)
        lengths[-1] = len(one.path)
        followed |= set(zip(one.path, one.path[1:], strict=False))
    assert set(lengths) == set(range(1, 10)), "of any length, up to as many steps as it has inputs"
    assert len(followed) == 81, "any input follows any other"


def test_after_new_parameters_a_stream_begins_anew() -> None:
    model, _, one = stream()
    for _ in range(20):
        one.ready()
        model.stream(one)
    model.load({})
    one.ready()
    assert model.stream(one)[0] == one.path
    assert len(one.path) == 1


def test_steps_that_nobody_draws_repeat_the_last_input_and_are_in_no_path() -> None:
    model, _, one = stream()
    model.stream(one)
    first = list(one.path)
    for _ in range(5):
        model.stream(one)
    assert one.path == first
    one.ready()
    assert model.stream(one)[0] == one.path, "then it begins anew"


# What is compared


@pytest.mark.parametrize("readout", ["every_step", "last_step"])
@pytest.mark.parametrize("vocab", [None, 6])
def test_the_oracle_has_each_step_of_each_run(readout: str, vocab: int | None) -> None:
    """What it computes for many runs at once is what one forward pass over each gives."""
    model = {"readout": readout} | ({"vocab": vocab} if vocab else {})
    case = reference_case(workload(**model), 0)
    rng, runs = np.random.default_rng(0), []
    spec = dataclasses.replace(case.spec, readout="every_step")
    net = NumpyBackend().build(spec, case.params, device="cpu", dtype="float64")
    for steps in (1, 4, 7, 3):
        path = rng.integers(7, size=steps)
        batch = Batch(case.batch.x[:, path], np.zeros((2, steps), np.int64))
        host = net.to_host(net.forward(net.place(batch)))
        states = {name: value for name, value in host.items() if name != "outputs"}
        read = {steps - 1, steps // 2}
        looks = {t: {"outputs": host["outputs"][:, t], **states} for t in sorted(read)}
        runs.append(streams.Run(case, path, looks))
    found = streams._compare(runs, "")
    assert found.failures == ()
    assert found.worst.error is not None
    assert found.worst.error < 1e-14
    runs[1].looks[2]["outputs"][0, 0] += 1e-3
    assert "outputs off by" in streams._compare(runs, "").failures[0]


@pytest.mark.parametrize("cell", ["rnn_tanh", "rnn_relu", "gru", "lstm"])
def test_numpy_streams_what_its_forward_pass_gives(cell: str) -> None:
    for model in ({"layers": 2}, {"readout": "last_step"}, {"classes": 0, "loss": "mse"}):
        one = workload(cell=cell, **model)
        found, skipped = timed.run(InProcess(NumpyBackend()), one, seed=0)
        assert [failure for each in found for failure in each.failures] == []
        assert sum(each.tensors for each in found) >= 6
        assert skipped is None


@pytest.mark.parametrize("name", mutants_of_streams.WRONG)
def test_the_checks_of_a_workload_reject(name: str) -> None:
    found, _ = timed.run(mutant(name, mutants_of_streams.WRONG[name]), workload(), seed=0)
    failures = [failure for each in found for failure in each.failures]
    assert failures, f"{name} passes"
    assert "off by" in failures[0]


@pytest.mark.parametrize("name", mutants_of_streams.WRONG)
def test_the_kit_rejects(name: str) -> None:
    plan = Plan(0, ("lstm",), models=1, timed=False, stop_at_first=True)
    findings = Kit(mutant(name, mutants_of_streams.WRONG[name]), plan).run()
    assert findings.failures, f"{name} passes"
    assert {failure.check for failure in findings.failures} == {STREAMS}


def test_the_kit_accepts_numpy_and_counts_its_streams() -> None:
    plan = Plan(0, ("gru", "lstm"), models=1, timed=False)
    findings = Kit(InProcess(NumpyBackend()), plan).run()
    assert findings.failures == []
    assert findings.lines[STREAMS, "float32"].models >= 2, "each cell"
    assert findings.lines[STREAMS, "float32"].tensors >= 12


def test_steps_that_are_computed_when_they_are_read_are_found_by_the_clock() -> None:
    found, skipped = timed.run(mutant("lazy", mutants_of_streams.Lazy), workload(hidden=64), seed=0)
    assert not any(each.failures for each in found), "its numbers are right"
    assert skipped is not None


def test_a_result_is_compared_in_the_rounds_as_well() -> None:
    """A model that is right at first, and drops the carry from the 400th step on."""

    class Tired(Model):
        steps = 0

        def advance(self, carry: Any, x: Any) -> Any:
            self.steps += 1
            if self.steps > 400:
                carry = self._correct.begin(None, len(x))
            return self._correct.advance(carry, x)

    found, _ = timed.run(mutant("tired", Tired), workload(), seed=0)
    failures = [failure for each in found for failure in each.failures]
    assert failures
    assert failures[0].startswith("during the rounds: ")


@pytest.mark.parametrize("task", ["hihello", "sentiment", "sin_sequence"])
def test_the_tasks_stream(task: str) -> None:
    size = {"sentiment": "source"}.get(task, "source")
    asked = dataclasses.replace(request(), tasks=[task], sizes=[size], model={})
    (one,) = grid.workloads(asked)
    assert one.task in TASKS
    checks, ask = StreamChecks(one, 0), partial(InProcess(NumpyBackend()).ask, one.dtype)
    checks.build(ask)
    _, loss, before = checks.before(ask, "numpy")
    assert (loss, before.failures) == (None, ())
    assert checks.after(ask, "numpy", 0).failures == ()


# The record and the report


def times(steps: int, worst: float) -> StepTimes:
    return StepTimes(
        steps=steps,
        median_seconds=20e-6,
        p90_seconds=30e-6,
        p99_seconds=40e-6,
        worst_seconds=worst,
    )


def measured(steps: int = 4000) -> tuple[list[Measurement], list[WorkloadRecord]]:
    one = workload(batch=1)
    found = []
    for variant, worst in (("numpy", 1e-3), ("jax", 2e-3)):
        plain = samples.measurement(variant, samples.rounds(*[20e-6] * 10))
        processes = tuple(
            msgspec.structs.replace(
                process,
                step_times=times(steps, worst),
                transfer_step_times=times(steps, 3 * worst),
            )
            for process in plain.processes
        )
        found.append(msgspec.structs.replace(plain, workload=one, processes=processes))
    return found, [WorkloadRecord(workload=one, flops=100)]


def test_the_table_has_the_distribution_of_the_steps() -> None:
    measurements, records = measured()
    (view,) = views(samples.FULL_RUN, measurements, records)
    assert list(of_streams.find([view])) == [view]
    (section,) = in_words.sections([view])
    assert section.title == view.title
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.table.split("\n")]
    assert rows[0] == ["variant", "", "median", "90 %", "99 %", "worst", "of steps"]
    assert ["numpy", "step", "20.0 µs", "30.0 µs", "40.0 µs", "1.00 ms", "4,000"] in rows
    assert ["", "with transfers", "20.0 µs", "30.0 µs", "40.0 µs", "6.00 ms", "4,000"] in rows


def test_too_few_steps_have_no_99th_percentile() -> None:
    (section,) = in_words.sections(views(samples.FULL_RUN, *measured(60)))
    assert re.search(r"\| 30\.0 µs \| +- \| 1\.00 ms \|", section.table)


def test_the_csv_has_them_too() -> None:
    text = csv(samples.FULL_RUN, *measured())
    head, first, *_ = [line.split(",") for line in text.splitlines()]
    row = dict(zip(head, first, strict=False))
    assert (row["step_p99_seconds"], row["transfer_worst_seconds"]) == ("4e-05", "0.003")

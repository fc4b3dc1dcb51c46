"""The phase learn: what is learned, on which data, and that no wrong program passes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from here import asked
from in_process import InProcess
from mutants import Model
from mutants_of_learning import MUTANTS
from mutations import Mutant, Mutation
from pages import report
from pages import rows as rows_of
from record_samples import FULL_RUN, learned_records, parted
from running import suite

from bench.analysis import learning as analysis
from bench.analysis.workload_view import views
from bench.config import batches
from bench.config.grid import Request, left_out, workloads
from bench.config.protocol import Block
from bench.correctness.checks import WorkloadChecks
from bench.measurement import learning
from bench.measurement.learning import Learner, Lessons
from bench.measurement.rounds import Rounds, TimedModel
from bench.records import store
from bench.records.schema import Agreement
from bench.records.workload import LEARN, Workload
from bench.report import terminal
from bench.report.html.data import data
from tasks import ALL_TASKS, TASKS
from tasks.multiplication import TRAINED
from tasks.pos_tagging import PosTagging
from tasks.spec import Batch, ModelSpec, OptimizerSpec
from tasks.task import Size, Target
from tasks.training import fresh

Register = Callable[[InProcess], None]
LEARNT = [name for name in ALL_TASKS if TASKS[name].target is not None]


def request(*tasks: str, **changes: object) -> Request:
    about = {"phases": [LEARN], "devices": ["cpu"], "dtypes": ["float32"], "threads": [1]}
    return Request(tasks=tasks, **{**about, **changes})  # type: ignore[arg-type]


def workload(task: str, **model: object) -> Workload:
    (found,) = workloads(request(task, model={name: [value] for name, value in model.items()}))
    return found


# What is learned


@pytest.mark.parametrize("name", LEARNT)
def test_a_task_is_learned_at_the_size_with_the_cell_and_the_optimizer_of_its_target(
    name: str,
) -> None:
    task, found = TASKS[name], workload(name)
    assert task.target is not None
    assert found.size == task.target.size
    assert found.spec.cell == (task.target.cell or task.spec(task.target.size).cell)
    assert found.optimizer is not None
    assert found.optimizer.learning_rate == pytest.approx(task.target.optimizer.learning_rate)
    rate = np.float32(found.optimizer.learning_rate)
    assert float(rate) == found.optimizer.learning_rate, "the same in float32 and float64"
    assert found.id == f"learn[{name}-{found.spec.cell}-{found.size}-cpu-float32]"
    assert found.of_model.phase == "train_step"


def test_all_tasks_but_what_takes_long_and_what_has_no_target() -> None:
    every = request(*ALL_TASKS)
    assert [w.task for w in workloads(every)] == [n for n in LEARNT if n != "multiplication"]
    words = "\n".join(left_out(every))
    assert "multiplication is left out of phase learn" in words
    assert "--task=multiplication" in words
    assert "hello_batch is left out of phase learn" in words
    assert [w.task for w in workloads(request("multiplication"))] == ["multiplication"]


def test_a_task_without_target_alone_is_refused(tmp_path: Path) -> None:
    for task in ("custom", "hello_batch"):
        code, output = asked(tmp_path, f"--task={task}", "--phase=learn")
        assert code == 2
        assert f"{task} is left out of phase learn" in output


def test_other_phases_keep_their_sizes_beside_learn() -> None:
    found = list(workloads(request("sentiment", phases=["bptt", LEARN])))
    assert [(w.phase, w.spec.cell) for w in found] == [("bptt", "rnn_tanh"), (LEARN, "lstm")]
    found = list(workloads(request("hello_batch", phases=["forward", LEARN])))
    assert [w.phase for w in found] == ["forward"]


def test_a_cell_and_a_size_that_are_asked_for_are_taken() -> None:
    found = list(workloads(request("sentiment", sizes=["source"], model={"cell": ["gru"]})))
    assert [(w.spec.cell, w.size) for w in found] == [("gru", "source")]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--steps-vary=2,3,4"], "a net learns with one T"),
        (["--optimizer=sgd"], "--optimizer has no effect on learn"),
        (["--phase=bptt", "--updates=5"], "--updates has no effect on bptt"),
    ],
)
def test_what_has_no_meaning_is_refused(arguments: list[str], words: str, tmp_path: Path) -> None:
    code, output = asked(tmp_path, "--task=hihello", "--phase=learn", *arguments)
    assert code == 2
    assert words in " ".join(output.split())


def test_a_number_of_updates_stands_in_the_label_of_learn_alone() -> None:
    asks = request("hihello", phases=["bptt", LEARN], model={"updates": [7]})
    asks = replace(asks, shown=frozenset({"updates"}))
    assert [(w.label, w.updates) for w in workloads(asks)] == [
        ("source", 0),
        ("source+updates7", 7),
    ]


# On which data


@pytest.mark.parametrize("name", LEARNT)
def test_what_is_scored_is_not_trained_on_unless_a_task_has_one_batch(name: str) -> None:
    found = workload(name)
    data = batches.training(found, 0)
    seen = np.concatenate([data.batch(update).x for update in range(1, 4)])
    unseen = [not (seen == row).reshape(len(seen), -1).all(axis=1).any() for row in data.held_out.x]
    if data.single:
        assert not any(unseen)
        assert data.held_out.x.shape == data.batch(7).x.shape
    else:
        assert np.mean(unseen) > 0.9, "short sentences can come twice"
        assert not np.array_equal(data.batch(1).x, data.batch(2).x)
        assert len(data.held_out.x) >= 256
    np.testing.assert_array_equal(data.batch(2).x, batches.training(found, 0).batch(2).x)


def test_an_epoch_of_multiplication_takes_every_sequence_once() -> None:
    data = batches.training(workload("multiplication"), 0)
    of_epoch = TRAINED // 32

    def epoch(number: int) -> np.ndarray:
        updates = range(number * of_epoch + 1, (number + 1) * of_epoch + 1)
        return np.concatenate([data.batch(update).x for update in updates]).reshape(TRAINED, -1)

    first, second = epoch(0), epoch(1)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(np.unique(first, axis=0), np.unique(second, axis=0))
    assert len(np.unique(first, axis=0)) == TRAINED
    held_out = data.held_out.x.reshape(len(data.held_out.x), -1)
    assert len(np.unique(np.concatenate([first, held_out]), axis=0)) == TRAINED + len(held_out)


# That it is learning


def trained(
    mutation: Mutation, registered: Register, task: str = "waveform", dtype: str = "float32"
) -> tuple[Learner, list[Agreement]]:
    """The model after its training, and what was found before, while and after it."""
    subject = InProcess(Mutant("mutant", mutation))
    registered(subject)
    found = msgspec.structs.replace(workload(task), dtype=dtype)
    of_model, ask = found.of_model, partial(subject.ask, dtype)
    seed = learning.first_seed(found)
    checks = WorkloadChecks(of_model, seed)
    checks.build(ask)
    _, _, before = checks.before(ask, subject.name)
    lessons = Lessons(of_model, seed, checks.params)
    learner = Learner("mutant", ask, of_model.phase, Block(), lessons=lessons)
    learner.begin()
    while not learner.finished:
        taken, *_ = learner.run(False)
        learner.keep(0, taken, None, None)
    return learner, [before, *learner.judge_training(subject.name)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("task", ["hihello", "charseq", "ramp", "waveform"])
def test_a_correct_program_learns_and_agrees_to_the_end(
    task: str, dtype: str, registered: Register
) -> None:
    learner, found = trained(Mutation(), registered, task, dtype)
    assert [failure for each in found for failure in each.failures] == []
    learned = learner.learned("mutant")
    assert learned.reached
    assert learned.judged == learned.updates, "float32 follows to the end"
    assert learned.parted is None
    assert len(learned.losses) == learned.updates
    assert [s.updates for s in learned.scores[:2]] == [0, learner.lessons.every]
    assert learned.seconds == pytest.approx(float(np.concatenate(learner.raw).sum()))


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_told_apart_and_named(name: str, registered: Register) -> None:
    mutation, words = MUTANTS[name]
    _, found = trained(mutation, registered)
    failures = [failure for each in found for failure in each.failures]
    assert any(words in failure for failure in failures), failures


def test_a_late_mutant_passes_the_checks_before_the_rounds(registered: Register) -> None:
    """So that it is the training that gives it away."""
    for name, (mutation, words) in MUTANTS.items():
        _, (before, *_) = trained(mutation, registered)
        assert bool(before.failures) == words.startswith("loss"), name


class Noise(PosTagging):
    """Labels that follow from nothing: they can be learned by heart alone."""

    target = Target("accuracy", 0.9, OptimizerSpec("adam", learning_rate=0.01), 150)

    def batch(self, size: str | Size, seed: int, spec: ModelSpec | None = None) -> Batch:
        batch = super().batch(size, seed, spec)
        return replace(batch, y=np.random.default_rng(seed).integers(0, 5, batch.y.shape))


@pytest.mark.parametrize("on_training_data", [False, True])
def test_scores_on_the_training_data_would_show(
    on_training_data: bool, registered: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight sequences with random tags are learned by heart, which the held-out score denies."""
    monkeypatch.setitem(TASKS, "pos_tagging", Noise())  # type: ignore[arg-type]

    def by_heart(found: Workload, seed: int) -> object:
        noise = Noise()
        size = found.numbers.with_overrides(batch=8)
        first = noise.batch(size, 1)
        data = fresh(lambda count, s: noise.batch(size.with_overrides(batch=count), s), 8, seed)
        held_out = first if on_training_data else data.held_out
        return replace(data, batch=lambda _: first, held_out=held_out)

    monkeypatch.setattr(batches, "training", by_heart)
    monkeypatch.setattr(learning, "SCORES", 5)
    small = {"batch": 8, "steps": 6, "hidden": 32}
    (found,) = workloads(request("pos_tagging", sizes=["source"],
                                 model={n: [v] for n, v in small.items()}))  # fmt: skip
    subject = InProcess(Mutant("mutant", Mutation(model=Model)))
    registered(subject)
    ask = partial(subject.ask, "float32")
    checks = WorkloadChecks(found.of_model, 0)
    checks.build(ask)
    lessons = Lessons(found.of_model, 0, checks.params)
    learner = Learner("mutant", ask, "train_step", Block(), lessons=lessons)
    learner.begin()
    while not learner.finished:
        taken, *_ = learner.run(False)
        learner.keep(0, taken, None, None)
    assert learner.reached == on_training_data
    if not on_training_data:
        assert learner.scores[-1].score < 0.4


def test_a_score_that_is_no_number_ends_the_training(registered: Register) -> None:
    from bench.workers.process import WorkerError

    broken = Mutation(host=lambda spec, host: {n: a * np.nan for n, a in host.items()})
    with pytest.raises(WorkerError, match="its loss or score is nan"):
        trained(broken, registered)


# A run


@pytest.mark.parametrize("why", [{"disturbed": ("numpy",)}, {"longer": "numpy"}], ids=str)
def test_seconds_of_a_training_that_was_disturbed_are_doubted_everywhere(why: Any) -> None:
    run = FULL_RUN, *parted(learned_records(**why))
    section = report(*run).partition("## Nets that learn")[2]
    (page,) = data([run])["workloads"]
    printed = "\n".join(terminal.printed(*run[:2], views(*run), width=None))
    for row in page["lesson"]["learned"]:
        doubted = row["variant"] == "numpy"
        assert row["update_seconds_text"].endswith(" ?") == doubted
        (shown, *_) = rows_of(section, row["variant"])
        assert [shown[2].endswith(" ?"), shown[5].endswith(" ?")] == [doubted, doubted]
        assert (f"{row['seconds_to_target_text']}\n" in f"{printed}\n") or not doubted
    assert "? stands behind the sum of updates" in " ".join(section.split())


def test_disturbed_stretches_are_counted_and_not_repeated() -> None:
    """A stretch that was disturbed is kept, since the next one starts where it ended."""
    taken = np.array([0.01])
    model = TimedModel("m", lambda *_, **__: None, "train_step", Block(), repeats=False)
    model.run = lambda unbroken: (taken, None, None, 0.0, 0.01)  # type: ignore[method-assign]
    rounds = Rounds(lambda: [model], lambda _, block: block(), narrow=None)
    rounds._watch = SimpleNamespace(  # type: ignore[assignment]
        begin=lambda: None, others=lambda own: (5.0, 0.01), paused=lambda: 0
    )
    found = rounds.run(np.random.default_rng(0), least=4, seconds=0.0)
    assert (found.blocks, found.repeated, found.disturbed, model.disturbed) == (4, 0, 4, 4)
    assert len(model.raw) == 4


def test_a_run_records_and_reports_what_was_learned(tmp_path: Path) -> None:
    ran = suite(tmp_path, "--phase=learn", "--task=hihello,ramp", "--backend=numpy,torch")
    assert ran.code == 0, ran.output
    folder = ran.folder
    found = analysis.find(views(*store.read(folder / store.FILE)))
    assert [each.view.workload.task for each in found] == ["hihello", "ramp"]
    for each in found:
        assert set(each.labels) == {"numpy", "torch"}
        for label in each.labels:
            learned, total = each.learned(label), each.seconds_to_target(label)
            assert learned.reached
            assert total is not None
            assert total > each.cold_seconds(label) > 0
            assert learned.seconds > 0
    assert {each.learned("numpy").updates for each in found} != {0}
    report = (folder / "report.md").read_text()
    assert "## Nets that learn" in report
    assert "| ihello" in report
    assert "learning-1.svg" in report
    rows = (folder / "benchmark.json").read_text()
    assert "test_learn[hihello-rnn_tanh-source-cpu-float32-torch]" in json.dumps(json.loads(rows))

"""The tasks of the study notes: targets, parameters, embeddings; which of them a run takes."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from here import asked
from least import LEAST, usual
from on_numpy import good_enough, oracle, outputs
from test_custom import request

from backends.interface import PHASES
from bench import ROOT
from bench.config import given_params, selection
from bench.config.grid import Request, left_out, workloads
from tasks import ALL_TASKS, DEFAULT_TASKS, TASKS
from tasks.batch import check_batch
from tasks.spec import init_params
from tasks.task import OwnParams, start_params

NEW = [name for name in ALL_TASKS if name not in DEFAULT_TASKS]
LEARNT = [name for name in NEW if name != "hello_batch"]
READ_LETTERS = ("charseq", "long_sentence", "copy")


# Every task


def test_all_four_shapes_are_there() -> None:
    assert {TASKS[name].shape for name in NEW} == {
        "one-to-many", "many-to-one", "many-to-many", "delayed many-to-many",
    }  # fmt: skip
    for name in NEW:
        last = TASKS[name].spec(usual(TASKS[name])).readout == "last_step"
        assert last == (TASKS[name].shape == "many-to-one")


@pytest.mark.parametrize("name", LEARNT)
def test_perfect_outputs_reach_the_target_and_wrong_ones_do_not(name: str) -> None:
    task = TASKS[name]
    assert task.target is not None
    for size in task.sizes:
        spec, batch = task.spec(size), task.batch(size, 2)
        labels = spec.loss == "cross_entropy"
        perfect = np.eye(spec.logit_size)[batch.y] if labels else batch.y
        wrong = -perfect if labels else perfect + 1.0
        assert good_enough(task.target, task.score(perfect, batch)[task.target.metric])
        assert not good_enough(task.target, task.score(wrong, batch)[task.target.metric])
        with pytest.raises(ValueError, match=r"outputs are .* expected"):
            task.score(perfect[:-1], batch)


@pytest.mark.parametrize(
    ("name", "option"), [(name, option) for name in NEW for option in LEAST.get(name, {})]
)
def test_too_small_a_size_is_refused_with_what_is_needed(name: str, option: str) -> None:
    fewer = LEAST[name][option] - 1
    chosen = {"classes": 0, "hidden": fewer} if option == "classes" else {option: fewer}
    with pytest.raises(ValueError, match=f"^{name} cannot be made at .*{fewer + 1}"):
        list(workloads(request(name, **chosen)))


def test_a_task_without_params_starts_from_random_ones() -> None:
    task = TASKS["custom"]
    spec = task.spec("base", hidden_size=3)
    assert not isinstance(task, OwnParams)
    for name, array in start_params(task, spec, 4).items():
        np.testing.assert_array_equal(array, init_params(spec, 4)[name])


@pytest.mark.parametrize("name", [name for name in NEW if isinstance(TASKS[name], OwnParams)])
def test_own_params_are_where_a_workload_starts(name: str) -> None:
    task = TASKS[name]
    for fields in ({}, {"cell": "gru"}, {"cell": "lstm", "layers": 2, "bidirectional": True}):
        (workload,) = workloads(request(name, **fields))
        assert isinstance(task, OwnParams)
        expected = task.params(workload.spec, 5)
        assert {n: p.shape for n, p in expected.items()} == {
            n: p.shape for n, p in init_params(workload.spec, 5).items()
        }
        for found in (given_params.initial(workload, 5), start_params(task, workload.spec, 5)):
            for parameter, array in expected.items():
                np.testing.assert_array_equal(found[parameter], array)


@pytest.mark.parametrize("name", READ_LETTERS)
def test_an_embedding_with_the_same_table_computes_what_one_hot_letters_do(name: str) -> None:
    task = TASKS[name]
    one_hot = task.spec("source")
    tokens = replace(one_hot, vocab_size=one_hot.input_size)
    results = []
    for spec in (one_hot, tokens, replace(tokens, train_embedding=False)):
        model, batch = oracle(task, spec, 6), task.batch("source", 3, spec)
        check_batch(spec, batch)
        assert (batch.x.ndim == 2) == (spec.vocab_size is not None)
        found = model.to_host(model.bptt(model.place(batch)))
        results.append({**found, "outputs": outputs(model, batch)})
    plain, trainable, frozen = results
    assert trainable.keys() == {*plain, "grad.E"}
    assert frozen.keys() == plain.keys()
    for other in (trainable, frozen):
        for tensor, value in plain.items():
            np.testing.assert_allclose(other[tensor], value, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", READ_LETTERS)
def test_a_narrow_embedding_starts_random(name: str) -> None:
    task = TASKS[name]
    spec = task.spec("source", vocab_size=40, input_size=3)
    np.testing.assert_array_equal(start_params(task, spec, 2)["E"], init_params(spec, 2)["E"])
    check_batch(spec, task.batch("source", 0, spec))
    with pytest.raises(ValueError, match=f"vocabulary V is 4; {name} needs at least"):
        task.spec("source", vocab_size=4)


# Which tasks, sizes and phases


def grid(*tasks: str, phases: tuple[str, ...] = ("forward", "bptt"), size: str = "") -> Request:
    sizes = [size] if size else []
    return replace(request(), tasks=tasks, phases=phases, sizes=sizes)


def test_all_is_every_task_but_custom(tmp_path: Path) -> None:
    words = ("--dry-run", "--backend=numpy", "--phase=forward")
    for given, expected in (("all", ALL_TASKS), ("all,custom", TASKS), ("custom,all", TASKS)):
        code, output = asked(tmp_path, *words, f"--task={given}")
        assert code == 0, output
        assert sorted(re.findall(r"^forward\[(\w+)-", output, re.M)) == sorted(expected)
        assert "left out" not in output
    code, output = asked(tmp_path, *words, "--task=al")
    assert code == 2
    assert "copy, custom, all" in output


def test_what_a_task_lacks_is_left_out_by_name(tmp_path: Path) -> None:
    code, output = asked(tmp_path, "--dry-run", "--backend=numpy", "--task=all", "--size=base")
    assert code == 0, output
    without = [name for name in ALL_TASKS if "base" not in TASKS[name].sizes]
    assert without == ["charseq", "hello_batch", "long_sentence", "ramp", "multiplication"]
    for name in ALL_TASKS:
        assert (f"[{name}-" in output) == (name not in without)
        left = f"{name} is left out of size base: it has source alone; expected --size=source"
        assert (left in output) == (name in without)
    words = ("--dry-run", "--backend=numpy", "--task=hello_batch,ramp")
    code, output = asked(tmp_path, *words)
    assert code == 0, output
    for workload in ("forward[hello_batch", "forward[ramp", "bptt[ramp"):
        assert workload in output
    assert "bptt[hello_batch" not in output
    left = "hello_batch is left out of phase bptt: it has forward alone; expected --phase=forward"
    assert left in output
    assert not left_out(grid(*ALL_TASKS, phases=("forward",)))


@pytest.mark.parametrize("phase", [phase for phase in PHASES if phase != "forward"])
def test_hello_batch_is_forward_alone(tmp_path: Path, phase: str) -> None:
    code, output = asked(tmp_path, "--task=hello_batch", f"--phase={phase}")
    assert code == 2
    assert f"hello_batch is left out of phase {phase}: it has forward alone" in output
    assert "expected --phase=forward" in output
    both = list(workloads(grid("hello_batch", phases=("forward", phase))))
    assert [workload.phase for workload in both] == ["forward"]


def test_a_named_file_of_a_phase_that_is_left_out_is_skipped(tmp_path: Path) -> None:
    suite = ROOT / "bench" / "suite"
    files = (suite / "test_bptt.py", suite / "test_forward.py")
    code, output = asked(tmp_path, "--dry-run", "--task=hello_batch", "--backend=numpy", *files)
    assert code == 0, output
    assert "1 test in 1 workload" in output


def test_the_default_size_is_base_or_what_there_is() -> None:
    found = {name: selection.sizes(TASKS[name], ()) for name in TASKS}
    source = ("hihello", "charseq", "hello_batch", "long_sentence", "ramp", "multiplication")
    assert found == {name: ["source" if name in source else "base"] for name in TASKS}
    for workload in workloads(grid(*NEW, phases=("forward",))):
        assert [workload.size] == found[workload.task]

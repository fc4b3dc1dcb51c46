"""`rnnbench check`: what it shows its author, and what a plugin's own tests can ask."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import checked
import pytest
import third_party
from commands import rnnbench
from in_process import InProcess
from running import command, environment, install

from backends.numpy.backend import NumpyBackend
from bench import ROOT
from bench.kit.building import BuildingClock
from bench.kit.case import CaseSpec
from bench.kit.examine import examine
from bench.kit.findings import Findings
from bench.kit.fixed_cases import fixed_cases
from bench.kit.models import Models
from bench.kit.plan import PHASES_AGREE, Plan
from bench.kit.run import Kit
from bench.kit.shrink import nearest, shrunk, with_spec
from bench.kit.strategy import random_cases
from bench.workers.process import WorkerError
from tasks.batch import check_batch
from tasks.spec import CELLS, ModelSpec, check_params

HERE = Path(__file__).parent
FEW = "--models=3"


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    return install(tmp_path_factory.mktemp("plugins"), checked.ENTRY_POINTS), HERE


@pytest.mark.slow
def test_a_correct_variant_passes_and_is_shown_how_far_it_is_off() -> None:
    code, output = rnnbench("check", "numpy", FEW, "--cell=gru,lstm", "--seed=7")
    assert code == 0, output
    assert re.search(r"^numpy on cpu, numpy [\d.]+.*; seed 7$", output, re.M), output
    for check in ("forward and bptt", "rows of a batch", "training, 50 updates"):
        for dtype in ("float64", "float32"):
            assert re.search(rf"^{check} +{dtype} +\d+ +\d+ +right", output, re.M), output
    assert re.search(r"^around timed steps +float32 +\d+ +\d+ +right", output, re.M), output
    for kind in ("outputs", "states", "loss", "gradients", "training"):
        line = rf"^{kind} +float32 +\S+.* \d\.\de-\d\d +\d\.\de-\d\d *$"
        assert re.search(line, output, re.M), output
    pairs = re.search(
        r"^the fixed models have (\d+) of (\d+) feasible pairs of levels", output, re.M
    )
    assert pairs, output
    assert pairs[1] == pairs[2]
    compared = re.search(
        r"^numpy passes: complete, (\d+) of \1 models asked; (\d+) tensors compared in \d+ s, "
        r"\d+ s of it for building and first calls$",
        output,
        re.M,
    )
    assert compared, output
    assert int(compared[2]) > 200


def test_what_the_time_did_not_allow_has_not_passed() -> None:
    code, output = rnnbench("check", "numpy", FEW, "--cell=gru", "--seconds=1")
    assert code == 1, output
    found = re.search(r"^numpy is incomplete: (\d+) of (\d+) models asked; ", output, re.M)
    assert found, output
    assert 1 <= int(found[1]) < int(found[2])
    assert re.search(r"^forward and bptt, float32: \d+ more models were not asked", output, re.M)


def test_what_was_interrupted_has_not_passed() -> None:
    class Interrupted(InProcess):
        builds = 0

        def ask(self, dtype: str, operation: str, /, **arguments: Any) -> Any:
            self.builds += operation == "build"
            if self.builds > 4:
                raise KeyboardInterrupt
            return super().ask(dtype, operation, **arguments)

    plan = Plan(cells=("gru",), models=1, timed=False)
    findings = Kit(Interrupted(NumpyBackend()), plan).run()
    assert findings.ok
    assert not findings.complete
    assert findings.line(PHASES_AGREE, "float64").models == 2
    assert findings.unasked >= 2 * len(fixed_cases(0, ("gru",))) - 4
    assert findings.pairs is not None
    assert 0 < findings.pairs.covered < findings.pairs.feasible


def test_a_dead_worker_is_a_failure_and_the_other_models_are_asked() -> None:
    class Dying(InProcess):
        builds = 0

        def ask(self, dtype: str, operation: str, /, **arguments: Any) -> Any:
            self.builds += operation == "build"
            if self.builds == 4 and operation == "answer":
                raise WorkerError("the worker is gone")
            return super().ask(dtype, operation, **arguments)

    plan = Plan(cells=("gru",), models=1, timed=False, shrink_seconds=0)
    findings = Kit(Dying(NumpyBackend()), plan).run()
    assert findings.complete
    assert [failure.message for failure in findings.failures] == ["the worker is gone"]


def test_first_calls_count_as_building() -> None:
    """A framework compiles in the first call of each phase with each shape."""

    class Compiling(InProcess):
        calls = 0

        def ask(self, dtype: str, operation: str, /, **arguments: Any) -> Any:
            first = operation == "answer" and not self.calls
            self.calls = 0 if operation == "build" else self.calls + first
            # A batch of the same shape compiles nothing: this is no building.
            time.sleep(0.1 * (operation == "answer" and not first))
            time.sleep(0.2 * first)
            return super().ask(dtype, operation, **arguments)

    subject = BuildingClock(Compiling(NumpyBackend()))
    case = CaseSpec(ModelSpec("gru", 2, 3))
    examine(subject, case, "float64", ("forward",))
    assert 0.2 <= subject.seconds < 0.29
    examine(subject, case, "float64", ("forward",))
    assert 0.4 <= subject.seconds < 0.58


def test_no_two_models_differ_in_their_seed_alone() -> None:
    plan = Plan(cells=("gru",), models=20)
    refusing = checked.Named("numpy", refusal=without_layers)
    models = Models(InProcess(refusing), plan, Findings("numpy", "cpu", 0))
    asked = [*models.fixed(["float64"]), *models.random(["float64"])]
    assert len({dataclasses.replace(case, seed=0) for case, _ in asked}) == len(asked) >= 30
    assert {case.spec.num_layers for case, _ in asked} == {1}
    have = models.pairs(asked)
    assert have.covered > 0.7 * have.feasible, "only what has layers is left out"


def without_layers(spec: ModelSpec, *, device: str, dtype: str, phase: str) -> str | None:
    return "it has one layer" if spec.num_layers > 1 else None


@pytest.mark.slow
def test_a_wrong_one_comes_with_the_smallest_model_that_shows_it(plugins: tuple[Path, ...]) -> None:
    code, output = rnnbench("check", "gates-swapped", FEW, "--cell=lstm", paths=plugins)
    assert code == 1, output
    first = re.search(
        r"^1\. forward and bptt, float64: outputs off by \S+ \(bound 1\.0e-09\)", output, re.M
    )
    assert first, output
    assert "gates-swapped FAILS" in output
    asked = output[output.index("from bench.kit import") :].split("\n\n")[0]
    assert "hidden_size=1" in asked, asked
    assert "num_layers" not in asked
    assert "bidirectional" not in asked
    done = subprocess.run(
        [sys.executable, "-c", asked],
        env=environment({}, ROOT, *plugins),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "outputs off by" in done.stdout, done.stdout + done.stderr


@pytest.mark.slow
def test_one_cell_is_enough_and_the_refusals_are_reported(plugins: tuple[Path, ...]) -> None:
    code, output = rnnbench("check", "one-cell", FEW, paths=plugins)
    assert code == 0, output
    assert "it has the vanilla RNN of one layer alone" in output
    assert re.search(
        r"^refused \(rnn_tanh; .*; bptt, train_step\): it only goes forward$", output, re.M
    )
    assert "training, 50 updates" not in output
    assert re.search(r"^published outputs +float32 +1 +1 +right", output, re.M), output


@pytest.mark.slow
def test_to_refuse_everything_is_not_to_pass(plugins: tuple[Path, ...]) -> None:
    code, output = rnnbench("check", "no-cell", FEW, paths=plugins)
    assert code == 1, output
    assert "no-cell FAILS: nothing was compared, everything is refused" in output
    assert "refused (every cell asked; every dtype asked; every phase): not today" in output


@pytest.mark.slow
def test_what_is_missing_from_the_contract_is_named(plugins: tuple[Path, ...]) -> None:
    code, output = rnnbench("check", "nowhere", FEW, "--cell=rnn_relu", paths=plugins)
    assert code == 1, output
    assert "versions() returns {}; expected at least one" in output
    assert "devices() returns tpu; expected cpu among them" in output
    code, output = rnnbench("check", "pathless", FEW, "--cell=rnn_tanh", paths=plugins)
    assert code == 1, output
    assert "path() is empty; expected a description of what ran" in output


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("without-refusal", "lacks `refusal`; expected refusal(spec, *, device, dtype, phase)"),
        ("misnamed-refusal", "lacks `device`"),
        ("raises-versions", "no such"),
        ("model-without-place", "lacks `place`; expected place(batch)"),
        ("model-raises-to_host", "no such"),
    ],
)
def test_a_fault_of_the_contract_is_reported(tmp_path: Path, name: str, words: str) -> None:
    plugins = install(tmp_path, {name: third_party.ENTRY_POINTS[name]}), HERE
    code, output = rnnbench("check", name, "--models=1", "--cell=rnn_tanh", paths=plugins)
    assert code == 1, output
    assert words in output
    assert f"{name} FAILS" in output


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["tensorfow"], ["tensorfow", "numpy, torch, keras-tensorflow"]),
        (["numpy", "--cell=rnn"], ["rnn", "rnn_tanh, rnn_relu, gru, lstm"]),
        (["numpy", "--cell="], ["rnn_tanh, rnn_relu, gru, lstm"]),
    ],
)
def test_wrong_use_is_exit_status_2(arguments: list[str], words: list[str]) -> None:
    code, output = rnnbench("check", *arguments)
    assert code == 2, output
    assert "Traceback" not in output
    for word in words:
        assert word in output


def test_a_variant_that_is_not_installed_is_exit_status_2(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['flax'] = None\n")
    code, output = rnnbench("check", "flax", paths=(tmp_path,))
    assert code == 2, output
    assert "flax is not installed; install with: " in output


@pytest.mark.slow
def test_a_plugin_has_the_same_checks_as_tests_of_its_own(
    tmp_path: Path, plugins: tuple[Path, ...]
) -> None:
    (tmp_path / "test_conformance.py").write_text(
        "from bench.kit.conformance import conformance\n\n"
        'TestOne = conformance("one-cell", cells=["rnn_tanh"])\n'
        'TestOther = conformance("gates-swapped", cells=["gru"])\n'
    )
    done = subprocess.run(
        command("-rfs", "test_conformance.py"),
        cwd=tmp_path,
        env=environment({}, ROOT, *plugins),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    counts = re.search(r"(\d+) failed, (\d+) passed, (\d+) skipped", done.stdout)
    assert counts, done.stdout
    assert "TestOther::test_nothing_is_wrong[forward and bptt]" in done.stdout
    assert "outputs off by" in done.stdout
    assert "FAILED test_conformance.py::TestOne" not in done.stdout
    assert "training, 50 updates: not checked: it has the vanilla RNN" in done.stdout


# What is asked


@pytest.mark.parametrize(
    "case", [*fixed_cases(0), *random_cases(5, 60)], ids=lambda case: case.spec.cell
)
def test_every_case_is_a_model_and_a_batch_of_it(case: CaseSpec) -> None:
    for each in (case, case.after()):
        params, batch = each.made()
        check_params(each.spec, params)
        check_batch(each.spec, batch)
        assert batch.x.shape[:2] == (each.batch, each.steps)
        again, same = eval(each.code(), {"CaseSpec": CaseSpec, "ModelSpec": ModelSpec}).made()
        assert all((again[name] == value).all() for name, value in params.items())
        assert (same.x == batch.x).all()


@pytest.mark.slow
def test_what_is_asked_depends_on_the_seed_alone() -> None:
    assert fixed_cases(1) == fixed_cases(1)
    assert not {case.seed for case in fixed_cases(1)} & {case.seed for case in fixed_cases(2)}
    assert random_cases(3, 20) == random_cases(3, 20)
    assert random_cases(3, 20) != random_cases(4, 20)
    assert {case.spec.cell for case in random_cases(3, 60)} == set(CELLS)
    assert {case.spec.cell for case in random_cases(3, 20, ["gru"])} == {"gru"}


def test_a_case_shrinks_to_what_its_failure_needs() -> None:
    (case, *_) = (
        case
        for case in fixed_cases(0, ("lstm",))
        if case.spec.bidirectional and case.steps >= 2 and case.state and case.spec.num_layers > 1
    )
    smallest = shrunk(case, lambda c: c.spec.bidirectional and c.steps >= 2 and c.state, seconds=30)
    assert smallest.spec == ModelSpec("lstm", 1, 1, bidirectional=True)
    assert (smallest.batch, smallest.steps, smallest.state) == (1, 2, True)
    assert shrunk(case, lambda _: True, seconds=0) == case, "no time, no change"


def test_a_refused_case_leaves_out_what_is_refused() -> None:
    (case, *_) = (case for case in fixed_cases(0, ("gru",)) if case.weight and case.state)
    assert nearest(case, lambda _: True) == case
    single = nearest(case, lambda c: c.spec.num_layers == 1)
    assert single == with_spec(case, num_layers=1), "the other fields stay"
    found = nearest(case, lambda c: c.spec.readout == "last_step" and c.spec.loss == "mse")
    assert found is not None
    assert found.weight is None
    check_batch(found.spec, found.made()[1])
    assert nearest(case, lambda _: False) is None

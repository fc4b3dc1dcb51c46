"""`rnnbench check`: what it shows its author, and what a plugin's own tests can ask."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import checked
import pytest
import third_party
from commands import rnnbench
from running import command, environment, install

from bench import ROOT
from bench.kit.case import CaseSpec
from bench.kit.fixed_cases import fixed_cases
from bench.kit.shrink import nearest, shrunk
from bench.kit.strategy import random_cases
from tasks.spec import CELLS, ModelSpec, check_batch, check_params

HERE = Path(__file__).parent
FEW = "--models=3"


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    return install(tmp_path_factory.mktemp("plugins"), checked.ENTRY_POINTS), HERE


def test_a_correct_variant_passes_and_is_shown_how_far_it_is_off() -> None:
    code, output = rnnbench("check", "numpy", FEW, "--cell=gru,lstm", "--seed=7")
    assert code == 0, output
    assert re.search(r"^numpy on cpu, numpy [\d.]+.*; seed 7$", output, re.M), output
    for check in ("forward and bptt", "training, 50 updates"):
        for dtype in ("float64", "float32"):
            assert re.search(rf"^{check} +{dtype} +\d+ +\d+ +right", output, re.M), output
    assert re.search(r"^around timed steps +float32 +\d+ +\d+ +right", output, re.M), output
    for kind in ("outputs", "states", "loss", "gradients", "training"):
        line = rf"^{kind} +float32 +\S+.* \d\.\de-\d\d +\d\.\de-\d\d *$"
        assert re.search(line, output, re.M), output
    compared = re.search(r"^numpy passes: (\d+) tensors compared in \d+ s$", output, re.M)
    assert compared, output
    assert int(compared[1]) > 200


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
    assert "refused (every cell asked; both dtypes; every phase): not today" in output


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


# What the fixed models of each cell must have between them: a name, and whether a case has it.
COVERED: dict[str, Callable[[CaseSpec], bool]] = {
    "one direction": lambda case: not case.spec.bidirectional,
    "both directions": lambda case: case.spec.bidirectional,
    "one layer": lambda case: case.spec.num_layers == 1,
    "several layers": lambda case: case.spec.num_layers > 1,
    "a bias": lambda case: case.spec.bias,
    "no bias": lambda case: not case.spec.bias,
    "numbers": lambda case: case.spec.vocab_size is None,
    "tokens": lambda case: case.spec.vocab_size is not None,
    "a trained embedding": lambda case: case.spec.trainable()[0] == "E",
    "a frozen embedding": lambda case: "E" in case.made()[0] and "E" not in case.spec.trainable(),
    "every step": lambda case: case.spec.readout == "every_step",
    "every step, tokens": lambda case: (
        case.spec.readout == "every_step" and case.spec.vocab_size is not None
    ),
    "the last step": lambda case: case.spec.readout == "last_step",
    "a head": lambda case: case.spec.output_size is not None,
    "no head": lambda case: case.spec.output_size is None,
    "cross entropy": lambda case: case.spec.loss == "cross_entropy",
    "mean squared error": lambda case: case.spec.loss == "mse",
    "a mean over time": lambda case: case.spec.time_reduction == "mean",
    "a sum over time": lambda case: (
        case.spec.time_reduction == "sum" and case.spec.readout == "every_step"
    ),
    "weights": lambda case: case.made()[1].weight is not None,
    "no weights": lambda case: case.made()[1].weight is None,
    "a state": lambda case: case.made()[1].state is not None,
    "no state": lambda case: case.made()[1].state is None,
}


@pytest.mark.parametrize("cell", CELLS)
def test_the_fixed_models_of_each_cell_have_every_feature(cell: str) -> None:
    cases = [case for case in fixed_cases(0) if case.spec.cell == cell]
    assert len(cases) == 3
    missing = [name for name, has in COVERED.items() if not any(map(has, cases))]
    assert not missing
    fields = {field.name for field in dataclasses.fields(ModelSpec)} - {"cell", "dropout"}
    for name in fields:
        assert len({getattr(case.spec, name) for case in cases}) > 1, name


def test_what_is_asked_depends_on_the_seed_alone() -> None:
    assert list(fixed_cases(1)) == list(fixed_cases(1))
    assert not {case.seed for case in fixed_cases(1)} & {case.seed for case in fixed_cases(2)}
    assert random_cases(3, 20) == random_cases(3, 20)
    assert random_cases(3, 20) != random_cases(4, 20)
    assert {case.spec.cell for case in random_cases(3, 60)} == set(CELLS)
    assert {case.spec.cell for case in random_cases(3, 20, ["gru"])} == {"gru"}


def test_a_case_shrinks_to_what_its_failure_needs() -> None:
    case = next(fixed_cases(0, ("lstm",)))
    smallest = shrunk(case, lambda c: c.spec.bidirectional and c.steps >= 2 and c.state, seconds=30)
    assert smallest.spec == ModelSpec("lstm", 1, 1, bidirectional=True)
    assert (smallest.batch, smallest.steps, smallest.state) == (1, 2, True)
    assert shrunk(case, lambda _: True, seconds=0) == case, "no time, no change"


def test_a_refused_case_leaves_out_what_is_refused() -> None:
    case = next(fixed_cases(0, ("gru",)))
    assert nearest(case, lambda _: True) == case
    found = nearest(case, lambda c: c.spec.readout == "last_step" and c.spec.loss == "mse")
    assert found is not None
    assert found.weight is None
    check_batch(found.spec, found.made()[1])
    assert nearest(case, lambda _: False) is None

"""`rnnbench describe`: a workload file from a user's code, or the reason why there is none."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from here import rnnbench

import tasks
from backends import described, registry
from bench.cli import run
from bench.config import grid, options, workload_file
from bench.correctness.oracle import run_oracle
from bench.describe import oracle, process, readout, target, text
from bench.describe.process import Description
from tasks.spec import Batch, ModelSpec, init_params

SPEC = ModelSpec("gru", 4, 5, bidirectional=True, output_size=3)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The user's folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def _described(spec: ModelSpec = SPEC, **changes: Any) -> registry.Described:
    """A net that is the oracle itself."""
    params = init_params(spec, seed=3)

    def outputs(x: np.ndarray) -> np.ndarray:
        lead = x.shape[:2] if spec.readout == "every_step" else x.shape[:1]
        return run_oracle(spec, params, Batch(x, np.zeros(lead, int)), "float64")["outputs"]

    return replace(registry.Described(replace(spec), params, "none", outputs), **changes)


def _changed(how: Callable[[np.ndarray], np.ndarray], spec: ModelSpec = SPEC) -> Any:
    net = _described(spec)
    return replace(net, outputs=lambda x: how(net.outputs(x)))


def _description(spec: ModelSpec = SPEC, **changes: Any) -> Description:
    """What a process may have read."""
    plain: dict[str, Any] = dict.fromkeys(("batch", "steps", "loss", "optimizer"))
    plain |= {"activation": "none", "notes": ()}
    return Description("my_module:net", spec, Path("params.npz"), **(plain | changes))


FORMS: dict[str, tuple[str, Callable[[np.ndarray], np.ndarray]]] = {
    "every step": ("every_step", lambda z: z),
    "time first": ("every_step", lambda z: z.swapaxes(0, 1)),
    "classes before the steps": ("every_step", lambda z: z.swapaxes(1, 2)),
    "a row a step": ("every_step", lambda z: z.reshape(-1, z.shape[-1])),
    "a row a step, time first": (
        "every_step",
        lambda z: z.swapaxes(0, 1).reshape(-1, z.shape[-1]),
    ),
    "the last step": ("last_step", lambda z: z),
    "the last step with an axis before": ("last_step", lambda z: z[None]),
    "the last step with an axis for it": ("last_step", lambda z: z[:, None]),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_readout_follows_from_the_outputs(form: str) -> None:
    wanted, how = FORMS[form]
    spec = replace(SPEC, readout=wanted)  # type: ignore[arg-type]
    assert readout.settled(_changed(how, spec)).spec == spec


@pytest.mark.parametrize("wanted", ["every_step", "last_step"])
def test_a_single_output_may_have_no_axis(wanted: Any) -> None:
    spec = replace(SPEC, readout=wanted, output_size=1, loss="mse")

    def outputs(x: np.ndarray) -> np.ndarray:
        y = np.zeros((*x.shape[: 2 if wanted == "every_step" else 1], 1))
        return run_oracle(spec, init_params(spec, 3), Batch(x, y), "float64")["outputs"][..., 0]

    assert readout.settled(_described(spec, outputs=outputs)).spec == spec


def test_a_net_without_a_head_and_one_with_tokens_are_compared_too() -> None:
    for changes in ({"output_size": None}, {"vocab_size": 9, "dropout": 0.4, "num_layers": 2}):
        spec = replace(SPEC, **changes)  # type: ignore[arg-type]
        assert readout.settled(_described(spec)).spec == spec


OTHERS: dict[str, tuple[str, Callable[[np.ndarray], np.ndarray]]] = {
    "it puts sigmoid on its outputs": ("every_step", lambda z: 1 / (1 + np.exp(-z))),
    "it puts relu on its outputs": ("last_step", lambda z: np.maximum(z, 0)),
    "it puts tanh on its outputs": ("last_step", np.tanh),
    "it reads the mean over the steps;": ("every_step", lambda z: z.mean(axis=1)),
    "it reads the sum over the steps;": (
        "every_step",
        lambda z: z.sum(axis=1) - (z.shape[1] - 1) * init_params(SPEC, 3)["b_y"],
    ),
    "it reads the last step of both directions": ("every_step", lambda z: z[:, -1]),
    "it reads the first step;": ("every_step", lambda z: z[:, 0]),
    "it reads the mean over the steps and puts tanh": (
        "every_step",
        lambda z: np.tanh(z.mean(axis=1)),
    ),
    "the relative error is": ("every_step", lambda z: z * 1.001),
    "it reads one sequence of the batch": ("every_step", lambda z: z[0]),
    "expected (B, T, C) or (B, C), with C 3": ("every_step", lambda z: z[..., :2]),
}


@pytest.mark.parametrize("reason", OTHERS)
def test_outputs_that_are_not_those_of_the_layers_are_refused_with_the_cause(reason: str) -> None:
    wanted, how = OTHERS[reason]
    spec = replace(SPEC, readout=wanted)  # type: ignore[arg-type]
    with pytest.raises(registry.NotDescribableError) as refused:
        readout.settled(_changed(how, spec))
    assert reason in str(refused.value)


STATES = {
    "it reads the state c instead of h": ("l1.fwd.c", "l1.bwd.c"),
    "it reads the last state of layer 1": ("l0.fwd.h", "l0.bwd.h"),
    "it reads the backward direction before the forward one": ("l1.bwd.h", "l1.fwd.h"),
}


@pytest.mark.parametrize("reason", STATES)
def test_another_state_is_named(reason: str) -> None:
    spec = ModelSpec("lstm", 4, 5, 2, bidirectional=True, output_size=3, readout="last_step")
    params = init_params(spec, 3)

    def outputs(x: np.ndarray) -> np.ndarray:
        found = run_oracle(spec, params, Batch(x, np.zeros(len(x), int)), "float64")
        states = np.concatenate([found[name] for name in STATES[reason]], axis=-1)
        return np.asarray(states @ params["W_hy"] + params["b_y"])

    with pytest.raises(registry.NotDescribableError, match=reason):
        readout.settled(_described(spec, outputs=outputs))


@pytest.mark.parametrize("wanted", ["every_step", "last_step"])
@pytest.mark.parametrize("activation", ["softmax", "log_softmax"])
def test_a_softmax_that_is_no_layer_is_taken_for_one(activation: str, wanted: str) -> None:
    spec = replace(SPEC, readout=wanted)  # type: ignore[arg-type]
    net = _changed(oracle.ACTIVATIONS[activation], spec)
    found = readout.settled(net)
    assert (found.spec, found.activation) == (spec, activation)


def test_large_logits_have_a_softmax_too() -> None:
    z = np.array([[2000.0, 0.0, -2000.0]])
    assert oracle.ACTIVATIONS["log_softmax"](z) == pytest.approx(
        np.array([[0.0, -2000.0, -4000.0]])
    )
    assert oracle.ACTIVATIONS["softmax"](z) == pytest.approx(np.array([[1.0, 0.0, 0.0]]))
    assert oracle.ACTIVATIONS["sigmoid"](z) == pytest.approx(np.array([[1.0, 0.5, 0.0]]))


def test_another_weight_is_seen() -> None:
    net = _described()
    for name, value in net.params.items():
        wrong = {**net.params, name: value[::-1].copy() if value.ndim == 1 else value * 1.01}
        with pytest.raises(registry.NotDescribableError, match="relative error"):
            readout.settled(replace(net, params=wrong))


def test_weights_that_hide_what_the_net_does_are_not_the_only_ones() -> None:
    spec = replace(SPEC, readout="last_step")
    hides = init_params(spec, 3)
    hides["b_y"] = hides["b_y"] + 1e3  # the outputs are above zero, so relu changes nothing

    def rectified(params: Any) -> Any:
        net = _described(spec)

        def outputs(x: np.ndarray) -> np.ndarray:
            given = Batch(x, np.zeros(len(x), int))
            return np.maximum(run_oracle(spec, params, given, "float64")["outputs"], 0)

        return replace(net, params=params, outputs=outputs)

    assert readout.settled(rectified(hides)).spec == spec
    shown = {True: init_params(spec, 4), False: hides}
    net = replace(rectified(hides), shaken=lambda negated: rectified(shown[negated]))
    with pytest.raises(registry.NotDescribableError, match="puts relu on its outputs"):
        readout.settled(net)


def test_the_random_input_holds_what_may_be_padding() -> None:
    ids = registry.random_input((3, 5), 5000, 1)
    assert {0, 1, 4998, 4999} <= set(ids.ravel())
    assert set(registry.random_input((3, 5), 2, 1).ravel()) == {0, 1}
    assert not registry.random_input((3, 5), None, 4)[0, -1].any()


GRADIENTS = ModelSpec("lstm", 3, 4, num_layers=2, bidirectional=True, output_size=3)


@pytest.mark.parametrize("wanted", ["every_step", "last_step"])
@pytest.mark.parametrize("activation", ["none", "softmax", "log_softmax"])
def test_the_expected_gradients_are_those_of_the_outputs(activation: Any, wanted: Any) -> None:
    spec = replace(GRADIENTS, readout=wanted)
    params, x = init_params(spec, 3), registry.random_input((2, 4), None, 3)
    d = np.random.default_rng(4).standard_normal((2, 4, 3) if wanted == "every_step" else (2, 3))

    def total(name: str, change: float) -> float:
        moved = {**params, name: params[name].copy()}
        moved[name].flat[1] += change
        found = oracle.Oracle(spec, moved, x)
        return float(
            (d * oracle.ACTIVATIONS[activation](found.logits(found.expected(wanted)))).sum()
        )

    exact = oracle.Oracle(spec, params, x)
    logits = exact.logits(exact.expected(wanted))
    found = exact.gradients(wanted, oracle.before(activation, logits, d))
    assert found.keys() == params.keys()
    for name, gradient in found.items():
        ratio = (total(name, 1e-6) - total(name, -1e-6)) / 2e-6
        assert gradient.flat[1] == pytest.approx(ratio, rel=1e-4, abs=1e-8)


def _with_gradients(how: Callable[[dict[str, np.ndarray]], Any]) -> registry.Described:
    """A net whose gradients are `how` of its own."""
    spec = replace(SPEC, vocab_size=9)
    net = _described(spec)

    def gradients(x: np.ndarray, d: np.ndarray) -> dict[str, np.ndarray]:
        found = oracle.Oracle(spec, net.params, x).gradients(spec.readout, d)
        return {**found, **how(found)}

    return replace(net, gradients=gradients)


def _without_a_row(table: np.ndarray) -> np.ndarray:
    return np.where(np.arange(len(table))[:, None] == 0, 0, table)


OTHER_GRADIENTS: dict[str, Callable[[dict[str, np.ndarray]], Any]] = {
    "no gradient reaches l0.fwd.W_xh": lambda g: {"l0.fwd.W_xh": g["l0.fwd.W_xh"] * 0},
    "the relative error of W_hy is 5.0e-01": lambda g: {"W_hy": g["W_hy"] / 2},
    "the relative error of E is 1.0e+00": lambda g: {"E": _without_a_row(g["E"])},
}


@pytest.mark.parametrize("reason", OTHER_GRADIENTS)
def test_other_gradients_are_refused(reason: str) -> None:
    assert readout.settled(_with_gradients(lambda _: {})).spec.vocab_size == 9
    with pytest.raises(registry.NotDescribableError) as refused:
        readout.settled(_with_gradients(OTHER_GRADIENTS[reason]))
    assert reason in str(refused.value)
    assert "stop_gradient" in str(refused.value)


def _apart(vocab: int, padding: int) -> registry.Described:
    """A net that takes the state after the last step for zero where an id is among the steps."""
    spec = replace(SPEC, vocab_size=vocab, readout="last_step", output_size=None)
    plain = _described(spec)
    net = replace(plain, outputs=lambda x: plain.outputs(x) * (x != padding).all(1)[:, None])
    return replace(net, shaken=lambda negated: net)


def test_an_id_that_the_net_treats_apart_is_found_in_a_large_vocabulary() -> None:
    assert not readout.settled(_apart(30000, -1)).notes
    reason = r"the relative error is .*; so it is for the ids from 20510 to 24611, one of which may"
    with pytest.raises(registry.NotDescribableError, match=reason):
        readout.settled(_apart(30000, 22222))


def test_a_vocabulary_that_is_too_large_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readout, "ID_BATCHES", 2)
    tried = readout.settled(_apart(30000, 22222)).notes[0]
    assert "of the 30000 ids were tried: code that treats another one apart" in tried
    assert 8192 <= int(tried.partition(" ")[0]) < 8300


def test_a_head_that_works_on_every_step_is_noted_where_the_last_is_returned() -> None:
    last = replace(SPEC, readout="last_step")
    assert "computes every step" in readout.settled(_described(last, head_on_all=True)).notes[0]
    assert not readout.settled(_described(last)).notes
    assert not readout.settled(_described(head_on_all=True)).notes


def test_sizes_are_tried_from_the_fewest_that_a_net_may_need() -> None:
    assert [*described.shapes_to_try((None, None))] == [(None, None)]
    assert [*described.shapes_to_try((4, None))] == [(None, None), (4, None)]
    assert [*described.shapes_to_try((4, 6), (None, 7))] == [(None, 7), (4, 7)]
    assert [*described.shapes_to_try((4, 6))] == [(None, None), (4, None), (None, 6), (4, 6)]
    for fixed in ((None, None), (5, None), (None, 3), (3, None)):
        batch, steps = described.probe_shape(fixed)
        assert batch != steps
        assert (fixed[0] or batch, fixed[1] or steps) == (batch, steps)


def test_the_sizes_of_a_run_are_those_of_its_options() -> None:
    words = ["m:net", "--batch", "4", "--steps=6", "--hidden=8,9", "-k", "x"]
    assert (run._size(words, "--batch"), run._size(words, "--steps")) == (4, 6)
    assert run._size(["--batch=4,8"], "--batch") is None
    assert run._size(["m:net", "--batch"], "--batch") is None


def test_the_file_holds_the_net_and_says_what_is_assumed(folder: Path) -> None:
    spec = replace(
        SPEC, num_layers=2, bias=False, vocab_size=9, train_embedding=False, dropout=0.25
    )
    np.savez(folder / "net.npz", **init_params(spec, 1))
    net = _description(spec, steps=7, notes=["a note"])
    written = text.render(net, text.Choices(batch=3, loss="mse"), "net.npz")
    (folder / "net.toml").write_text(written)
    (named,) = workload_file.read(folder / "net.toml").workloads
    (forward, bptt) = grid.workloads(options.request(named, {}))
    assert forward.spec == bptt.spec == replace(spec, loss="mse")
    assert (forward.given_name, forward.batch, forward.steps) == ("net", 3, 7)
    assert forward.weights is not None
    lines = written.splitlines()
    assert "# note: a note" in lines
    assumed = [line.partition(" ")[0] for line in lines if "# assumed: " in line]
    assert assumed == ["batch", "loss", "optimizer"]


def test_a_compiled_net_has_its_own_loss_and_optimizer() -> None:
    written = text.render(_description(loss="cross_entropy", optimizer="sgd"), text.Choices())
    assert 'loss = "cross_entropy"\noptimizer = "sgd"\n' in written
    stood_in = text.render(_description(loss="mse", optimizer="rmsprop"), text.Choices())
    assert 'loss = "mse"\n' in stood_in
    assert "# note: the net's optimizer is rmsprop; adam stands in for it" in stood_in


def test_a_net_with_one_output_is_assumed_to_have_the_squared_error() -> None:
    written = text.render(_description(replace(SPEC, output_size=1)), text.Choices())
    assert 'loss = "mse" ' in written


def test_softmax_becomes_logits_and_is_noted() -> None:
    written = text.render(_description(activation="softmax", loss="cross_entropy"), text.Choices())
    assert "# note: the net ends with softmax; the workload reads the logits before it" in written


WRONG_LOSS = {
    "its loss is binary_crossentropy; expected cross_entropy or mse": {
        "loss": "binary_crossentropy"
    },
    "it ends with softmax and has the loss mse": {"loss": "mse", "activation": "softmax"},
}


@pytest.mark.parametrize("reason", WRONG_LOSS)
def test_a_loss_that_no_workload_has_is_refused(reason: str) -> None:
    net = _description(**WRONG_LOSS[reason])
    with pytest.raises(ValueError, match=reason):
        text.render(net, text.Choices())
    assert 'loss = "cross_entropy" ' in text.render(net, text.Choices(loss="cross_entropy"))


def test_the_user_does_not_contradict_the_net() -> None:
    net = _description(steps=7)
    assert "\nsteps = 7\n" in text.render(net, text.Choices(steps=7))
    with pytest.raises(ValueError, match=r"--steps 8: my_module:net has T = 7; expected that"):
        text.render(net, text.Choices(steps=8))


@pytest.mark.parametrize(
    ("target", "name"),
    [("m:net", "net"), ("m:_net", "net"), ("m:réseau", "r-seau"), ("m:base", "base-net"),
     ("m:__", "net")],
)  # fmt: skip
def test_the_name_is_one_that_a_workload_may_have(target: str, name: str) -> None:
    assert f'name = "{name}"' in text.render(replace(_description(), target=target), text.Choices())


# Modules in which something is wrong, and what is said of them; found in this process.
FAULTS = {
    "faulty": (
        "x = 1\nraise KeyError('no such thing')",
        "faulty raises KeyError: 'no such thing' while it is imported (faulty.py, line 2)",
    ),
    "raises_below": ("import helper_of_mine", "while it is imported (helper_of_mine.py, line 3)"),
    "lacks": ("import no_such_package", "raises ModuleNotFoundError: No module named"),
    "broken": ("x = 1\nnet = (", "(broken.py, line 2)"),
    "exits": ("import sys\nsys.exit(3)", "exits ends its process with status 3 while it is"),
    "named": ("nett = {}", "named has no net. Did you mean nett?"),
    "dictionary": ("net = {}", "dictionary:net is of the type dict; expected a torch Module or a"),
    "holds_array": ("import numpy\nnet = numpy.zeros(2)", "the type ndarray of numpy; expected"),
    "needs": ("def net(size, *, depth, width=3): ...", "needs the arguments size, depth; expected"),
    "class_that_needs": ("class net:\n    def __init__(self, size): ...", "the arguments size;"),
    "makes_nothing": ("def net(): ...", "is of the type NoneType; expected"),
    "moves": ("import os\nos.chdir('/')\nraise ValueError('x')", "imported (moves.py, line 3)"),
    "raises_late": ("def net():\n    return 1 / 0", "raises_late:net raises ZeroDivisionError: "
                    "division by zero when it is called (raises_late.py, line 2)"),
}  # fmt: skip


@pytest.mark.parametrize("module", FAULTS)
def test_a_fault_of_the_module_is_one_clear_line(
    folder: Path, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, reason = FAULTS[module]
    monkeypatch.chdir(folder)  # the module may leave it
    (folder / f"{module}.py").write_text(code)
    (folder / "helper_of_mine.py").write_text("\n\nraise ValueError('a\\nb')\n")
    with pytest.raises(target.TargetError) as fault:
        target.find(f"{module}:net")
    assert reason in str(fault.value)
    assert str(folder) not in str(fault.value)
    assert "\n" not in str(fault.value)


def test_a_module_that_is_nowhere_is_named_with_the_one_that_was_meant(folder: Path) -> None:
    (folder / "my_module_of_nets.py").write_text("net = 1")
    with pytest.raises(target.TargetError, match=r"no module my_module_of_net in this folder.*Did "
                       r"you mean my_module_of_nets\?"):  # fmt: skip
        target.find("my_module_of_net:net")


def test_modules_of_the_user_may_have_the_names_of_ours(folder: Path) -> None:
    (folder / "tasks.py").write_text("mine = {'kind': 'of the user'}")
    (folder / "with_tasks.py").write_text("from tasks import mine\nnet = list(mine)")
    with pytest.raises(target.TargetError, match="is of the type list"):
        target.find("with_tasks:net")
    assert sys.modules["tasks"] is tasks


@pytest.mark.parametrize("name", ["array", "math", "json"])
def test_a_module_may_have_the_name_of_one_that_is_loaded(folder: Path, name: str) -> None:
    (folder / f"{name}.py").write_text(f"import {name} as theirs\nnet = [theirs.__name__]")
    importlib.import_module(name)
    before = sys.modules[name]
    with pytest.raises(target.TargetError, match=f"{name}:net is of the type list"):
        target.find(f"{name}:net")
    assert sys.modules[name] is before


NO_NETS = ["net", "my_module.py:net", "a/b:net", "m:", ":net", "m:a:b", "m: n"]


@pytest.mark.parametrize("word", NO_NETS)
def test_what_is_no_net_is_said_to_be_none(word: str) -> None:
    code, output = rnnbench("describe", word)
    assert code == 2
    assert "is no net; expected my_module:net" in output


# Modules whose fault only a process of their own survives.
PROCESSES = {
    "ends": (
        "import os\nprint('out of luck', flush=True)\nos._exit(5)",
        "ends:net ends its process with status 5 before the net is read; its last line is "
        "'out of luck'",
    ),
    "killed": ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "process by SIGKILL"),
    "prints": ("print('x' * 2**20)\nimport sys\nsys.stderr.write('y' * 2**20)\nnet = {}",
               "prints:net is of the type dict"),
    "lingers": ("import atexit, threading, time\natexit.register(time.sleep, 600)\n"
                "threading.Thread(target=time.sleep, args=[600]).start()\nnet = {}",
                "lingers:net is of the type dict"),
}  # fmt: skip


@pytest.mark.parametrize("module", PROCESSES)
def test_a_module_that_ends_or_floods_its_process_does_not_harm(folder: Path, module: str) -> None:
    code, reason = PROCESSES[module]
    (folder / f"{module}.py").write_text(code)
    status, output = rnnbench("describe", f"{module}:net")
    assert status == 2
    assert output.startswith("rnnbench: ")
    assert reason in output
    assert len(output.splitlines()) == 1


def test_a_module_that_does_not_end_is_ended(folder: Path) -> None:
    (folder / "endless.py").write_text("import time\ntime.sleep(600)")
    (folder / "made").mkdir()
    with pytest.raises(ValueError, match=r"endless:net is not read after 0.5 s"):
        process.describe("endless:net", folder / "made", wait_seconds=0.5)


WRONG_OPTIONS = {
    ("--out", "net.txt"): "--out 'net.txt': expected a name that ends in .toml",
    ("--weights", "no/such/net.npz"): "expected a file in a folder to write to",
    ("--batch", "0"): "--batch '0': expected a whole number of at least 1",
    ("--loss", "crossentropy"): "expected cross_entropy, mse. Did you mean cross_entropy?",
    ("--optimizer", "rmsprop"): "expected adam, sgd",
    ("--wait", "0"): "--wait '0.0': expected a number of seconds above 0",
}


@pytest.mark.parametrize("words", WRONG_OPTIONS)
def test_a_wrong_option_is_refused_before_the_module_is_imported(
    folder: Path, words: tuple[str, str]
) -> None:
    (folder / "marks.py").write_text("open('imported', 'w')\nnet = 1")
    code, output = rnnbench("describe", "marks:net", *words)
    assert code == 2
    assert WRONG_OPTIONS[words] in output
    assert not (folder / "imported").exists()


def test_a_run_of_a_net_that_is_none_ends_before_anything_is_measured(folder: Path) -> None:
    code, output = rnnbench("run", "no_such_module:net", f"--reports={folder / 'reports'}")
    assert code == 2
    assert "there is no module no_such_module in this folder" in output
    assert not (folder / "reports").exists()

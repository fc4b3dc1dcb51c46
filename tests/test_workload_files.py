"""Workload files: what they may hold, which workloads they make, and what is wrong with one.

Wrong options of a net are here, too. Everything runs in this process, and nothing is measured.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from here import asked, rnnbench

from bench.cli import run as run_command
from bench.config import grid, options, workload_file
from bench.config.fields import DATA, FIELDS, option
from bench.records.workload import LEFT_ALONE, Workload
from tasks.spec import ModelSpec, param_shapes

HEAD = '[[workload]]\nname = "my-net"\n'
TINY = f"{HEAD}batch = 2\nsteps = 3\ninput = 4\nhidden = 5\n"


def write(folder: Path, text: str | bytes, name: str = "my-net.toml") -> Path:
    file = folder / name
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


def workloads(folder: Path, text: str) -> list[Workload]:
    """Those of a file, without a command line."""
    found = workload_file.read(write(folder, text)).workloads
    return [one for each in found for one in grid.workloads(options.request(each, {}))]


def shown(output: str) -> Iterator[str]:
    """The ids of the workloads that a dry run shows."""
    for line in output.splitlines():
        if line.endswith(": numpy"):
            yield line.removesuffix(": numpy")


def dry(folder: Path, *arguments: object) -> list[str]:
    """The ids of the workloads that `rnnbench run` would measure."""
    words = ("--dry-run", "--backend=numpy", *map(str, arguments))
    code, output = asked(folder / "reports", *words)
    assert code == 0, output
    assert not (folder / "reports").exists()
    return list(shown(output))


def test_a_file_of_one_workload_is_that_net(tmp_path: Path) -> None:
    text = f'{TINY}cell = "gru"\nvocab = 9\nclasses = 3\nreadout = "last_step"\nno-bias = true\n'
    forward, bptt = workloads(tmp_path, text)
    spec = ModelSpec(
        cell="gru",
        input_size=4,
        hidden_size=5,
        bias=False,
        vocab_size=9,
        readout="last_step",
        output_size=3,
    )
    assert forward.spec == bptt.spec == spec
    assert (forward.batch, forward.steps, forward.task) == (2, 3, "custom")
    assert forward.id == "forward[custom-gru-my-net-cpu-float32]"
    assert bptt.id == "bptt[custom-gru-my-net-cpu-float32]"
    assert bptt.shape == "many-to-one"


EVERY_OPTION = """
task = "custom"
size = "base"
phase = "train_step"
device = "cuda"
dtype = "float64"
optimizer = "sgd"
threads = "default"
cell = "lstm"
batch = 2
steps = 3
input = 4
hidden = 5
layers = 2
vocab = 9
classes = 0
readout = "every_step"
loss = "cross_entropy"
time-reduction = "sum"
no-bias = true
frozen-embedding = true
bidirectional = true
dropout = 0.5
initial-state = true
stateful = false
weighted = true
values = "normal"
lengths = "sorted"
padding = "front"
"""


def test_a_file_can_set_every_option_of_a_workload(tmp_path: Path) -> None:
    written = {line.partition(" = ")[0] for line in EVERY_OPTION.split("\n") if line}
    # Without steps goes the last but one; custom has nothing to learn, and makes its own data.
    others = {"weights", "embedding", "steps-vary", "updates", *map(option, DATA)}
    assert written == {option(name) for name in FIELDS} - others
    (workload,) = workloads(tmp_path, HEAD + EVERY_OPTION)
    assert workload.spec == ModelSpec(
        cell="lstm",
        input_size=4,
        hidden_size=5,
        num_layers=2,
        bidirectional=True,
        bias=False,
        dropout=0.5,
        vocab_size=9,
        train_embedding=False,
        readout="every_step",
        output_size=None,
        loss="cross_entropy",
        time_reduction="sum",
    )
    assert (workload.phase, workload.device, workload.dtype) == ("train_step", "cuda:0", "float64")
    assert workload.optimizer is not None
    assert (workload.optimizer.name, workload.threads) == ("sgd", LEFT_ALONE)
    assert workload.inputs.initial_state
    assert workload.inputs.weighted
    assert (workload.inputs.lengths, workload.inputs.padding) == ("sorted", "front")
    assert workload.name == "custom-lstm-my-net+front-cuda:0-float64"


def test_a_list_is_a_grid_and_its_values_stand_in_the_names(tmp_path: Path) -> None:
    text = f'{HEAD}hidden = [64, 128]\nbidirectional = [false, true]\nphase = "forward"\n'
    assert [one.name for one in workloads(tmp_path, text)] == [
        "custom-lstm-my-net+H64+uni-cpu-float32",
        "custom-lstm-my-net+H64+bi-cpu-float32",
        "custom-lstm-my-net+H128+uni-cpu-float32",
        "custom-lstm-my-net+H128+bi-cpu-float32",
    ]


def test_several_workloads_are_pairs_that_no_grid_can_make(tmp_path: Path) -> None:
    text = 'phase = "bptt"\n[[workload]]\nname = "a"\nsteps = 3\nhidden = 7\n'
    text += '[[workload]]\nname = "b"\nsteps = 5\nhidden = 9\ncell = ["gru", "lstm"]\n'
    found = [(one.name, one.steps, one.spec.hidden_size) for one in workloads(tmp_path, text)]
    assert found == [
        ("custom-lstm-a-cpu-float32", 3, 7),
        ("custom-gru-b-cpu-float32", 5, 9),
        ("custom-lstm-b-cpu-float32", 5, 9),
    ]


def test_what_stands_above_holds_for_all_and_a_workload_may_differ(tmp_path: Path) -> None:
    text = 'hidden = [3, 4]\nphase = "bptt"\n[[workload]]\nname = "a"\n'
    text += '[[workload]]\nname = "b"\nhidden = 9\nphase = "forward"\n'
    assert [(one.phase, one.label) for one in workloads(tmp_path, text)] == [
        ("bptt", "a+H3"),
        ("bptt", "a+H4"),
        ("forward", "b"),
    ]


def test_every_workload_runs_in_the_phases_of_its_own(tmp_path: Path) -> None:
    text = f'{TINY}phase = "forward"\n[[workload]]\nname = "other"\nphase = "train_step"\n'
    assert sorted(dry(tmp_path, write(tmp_path, text))) == [
        "forward[custom-lstm-my-net-cpu-float32]",
        "train_step[custom-lstm-other-cpu-float32]",
    ]


def test_another_task_may_have_a_name_or_be_called_by_its_size(tmp_path: Path) -> None:
    text = (
        f'phase = "bptt"\n{HEAD}task = "sentiment"\n[[workload]]\ntask = "sentiment"\nhidden = 9\n'
    )
    assert [one.name for one in workloads(tmp_path, text)] == [
        "sentiment-rnn_tanh-my-net-cpu-float32",
        "sentiment-rnn_tanh-base+H9-cpu-float32",
    ]


def test_a_byte_order_mark_and_line_ends_of_windows_are_read(tmp_path: Path) -> None:
    text = "\ufeff" + TINY.replace("\n", "\r\n")
    assert workloads(tmp_path, text)[0].spec.hidden_size == 5


def test_the_command_line_overrides_a_file_and_stands_in_the_names(tmp_path: Path) -> None:
    file = write(tmp_path, f"{TINY}[[workload]]\nname = 'other'\ncell = ['gru', 'lstm']\n")
    assert dry(tmp_path, file, "--hidden=128", "--phase=forward", "--dtype=float64") == [
        "forward[custom-lstm-my-net+H128-cpu-float64]",
        "forward[custom-gru-other+H128-cpu-float64]",
        "forward[custom-lstm-other+H128-cpu-float64]",
    ]


def test_the_command_line_alone_makes_a_net_of_ones_own(tmp_path: Path) -> None:
    model = ("--vocab=30000", "--input=300", "--layers=2", "--bidirectional", "--hidden=256")
    more = ("--dropout=0.3", "--classes=5", "--readout=last_step", "--batch=32", "--steps=200")
    found = dry(tmp_path, "--task=custom", *model, *more, "--phase=train_step")
    assert found == [
        "train_step[custom-lstm-base+B32+T200+D300+H256+L2+V30000+C5+last_step+bi+dropout0.3"
        "-cpu-float32]"
    ]


def test_several_files_are_one_run(tmp_path: Path) -> None:
    first = write(tmp_path, TINY)
    second = write(tmp_path, TINY.replace("my-net", "other"), "other.toml")
    assert dry(tmp_path, first, second, "--phase=bptt") == [
        "bptt[custom-lstm-my-net-cpu-float32]",
        "bptt[custom-lstm-other-cpu-float32]",
    ]


def test_a_file_sets_the_variants_and_processes_and_the_command_line_overrides(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    file = write(tmp_path, f'backend = "numpy"\nprocesses = 5\n{TINY}')
    read = workload_file.read(file)
    assert read.of_run == {"backend": "numpy", "processes": "5"}
    assert dry(tmp_path, file, "--phase=bptt") == ["bptt[custom-lstm-my-net-cpu-float32]"]
    # One process is no wish of its own for --serial, five processes are.
    code, output = asked(tmp_path / "reports", "--dry-run", "--serial", str(file))
    assert code == 2, output
    assert "--serial is one process" in output
    code, output = asked(tmp_path / "reports", "--dry-run", "--serial", "--processes=1", str(file))
    assert code == 0, output
    assert pytestconfig.getoption("processes") is None, "the default is no wish of the user"


@pytest.mark.parametrize("form", ["--workload={}", "--workload {}", "{}"])
def test_a_file_is_named_in_each_usual_way(tmp_path: Path, form: str) -> None:
    file = write(tmp_path, TINY)
    words = form.format(file).split()
    assert dry(tmp_path, "-v", *words, "--phase=bptt") == ["bptt[custom-lstm-my-net-cpu-float32]"]


def test_the_value_of_an_option_is_no_workload_file(tmp_path: Path) -> None:
    words = ["--run-name", "a.toml", "-k", "b.toml", "--dry-run", "c.toml", "--reports=d.toml"]
    expected = [*words[:5], "--workload=c.toml", words[-1]]
    assert list(run_command._with_files(words, tmp_path)) == expected


def test_pytest_itself_reads_a_file_and_a_dry_run_shows_the_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path, TINY)
    words = ("-p", "no:faulthandler", "-p", "no:cacheprovider", "--benchmark-only", "--dry-run")
    code = pytest.main([*words, f"--workload={file}", "--backend=numpy"])
    output = capsys.readouterr().out
    assert code == 0, output
    assert "bptt[custom-lstm-my-net-cpu-float32]: numpy" in output
    assert "B 2, T 3, D 4, V -, H 5, L 1, C 10, direction forward, readout every_step" in output
    assert "parameters 260, memory 3.3 KiB" in output


def test_the_example_is_a_file_that_can_be_run(tmp_path: Path) -> None:
    code, text = rnnbench("workload", "--example")
    assert code == 0
    file = write(tmp_path, text)
    code, output = rnnbench("workload", file)
    assert code == 0, output
    ids = [line.partition(": ")[0] for line in output.splitlines()]
    assert len(ids) == len(set(ids)) == 6
    assert sorted(dry(tmp_path, file)) == sorted(ids)
    names = {option(name) for name in FIELDS}
    names -= {"task", "size", "optimizer", "values", "padding", "updates"}
    for name in (*names, *workload_file.OF_RUN):
        assert f"\n{name} = " in text.replace("# ", ""), f"{name} is not in the example"


def test_every_line_of_the_example_that_is_commented_out_can_be_used(tmp_path: Path) -> None:
    _, text = rnnbench("workload", "--example")
    lines = [line.removeprefix("# ") for line in text.splitlines() if " = " in line]
    commented = [line for line in lines if f"# {line}" in text]
    assert len(commented) > 5
    shapes = param_shapes(ModelSpec(cell="lstm", input_size=4, hidden_size=5, output_size=10))
    np.savez(tmp_path / "forecast.npz", **{name: np.ones(shape) for name, shape in shapes.items()})
    (tmp_path / "glove.txt").write_text("a 1 2 3 4\nb 4 3 2 1\n")
    (tmp_path / "reviews.csv").write_text("review,stars\n" + "a,1\nb,2\n" * 9)
    for line in commented:
        name = line.partition(" = ")[0]
        run_option = name in workload_file.OF_RUN
        text = TINY + ("vocab = 7\n" if name == "frozen-embedding" else "")
        if name == "steps-vary":
            text = re.sub(r"^steps = .*\n", "", text, flags=re.MULTILINE)
        if name.replace("-", "_") in DATA:
            others = {"data": 'data = "reviews.csv"\n', "columns": 'columns = "review,stars"\n'}
            others.pop(name, None)
            text = '[[workload]]\nname = "mine"\ntask = "sentiment"\n' + "".join(others.values())
        file = write(tmp_path, f"{line}\n{text}" if run_option else f"{text}{line}\n")
        code, output = rnnbench("workload", file)
        assert code == 0, f"{line}: {output}"


def test_the_command_wants_a_file_or_the_example() -> None:
    for words in ([], ["my-net.toml", "--example"]):
        code, output = rnnbench("workload", *words)
        assert code == 2
        assert "expected either a workload file or --example" in output


# What is wrong with a file: its text, and what the message says besides the name of the file.
WORKLOAD_1 = "workload 1 ('my-net'): "
WRONG_FILES: dict[str, tuple[str | bytes, list[str]]] = {
    "no TOML": (f"{HEAD}hidden = = 5\n", ["is not TOML", "line 3, column 10"]),
    "TOML cut off": (f"{HEAD}hidden = [5,", ["is not TOML", "line 3, column 13"]),
    "TOML cut off after a line": (f"{HEAD}hidden = [5,\n", ["is not TOML", "line 4, column 1"]),
    "a key twice": (f"{HEAD}hidden = 5\nhidden = 6\n", ["is not TOML", "line 4"]),
    "a number of 5000 digits": (f"{HEAD}hidden = {'9' * 5000}\n", ["is not TOML", "digit"]),
    "lists in lists": (f"{HEAD}hidden = {'[' * 5000}", ["nested too deeply", "expected lists of"]),
    "not UTF-8": (HEAD.encode() + b"# \xff\n", ["not text in UTF-8", "0xff in line 3, column 3"]),
    "unknown, near": (f"{HEAD}hiden = 5\n", [WORKLOAD_1, "'hiden'", "Did you mean hidden?"]),
    "underscore": (f"{HEAD}no_bias = true\n", [WORKLOAD_1, "Did you mean no-bias?"]),
    "unknown, far": (f"{HEAD}colour = 5\n", [WORKLOAD_1, "'colour' is unknown; expected task, "]),
    "unknown above": (f"hiden = 5\n{HEAD}", ["above the first workload", "Did you mean hidden?"]),
    "unknown table": (f"{HEAD}[workload.net]\nx = 1\n", [WORKLOAD_1, "'net' is unknown"]),
    "run option below": (f"{HEAD}processes = 2\n", [WORKLOAD_1, "processes", "above the first"]),
    "bool for int": (
        f"{HEAD}hidden = true\n",
        [WORKLOAD_1, "hidden is true, true or false; expected a whole number"],
    ),
    "string for int": (
        f'{HEAD}hidden = "5"\n',
        [WORKLOAD_1, 'hidden is "5", text in quotes; expected a whole number'],
    ),
    "float for int": (
        f"{HEAD}hidden = 5.0\n",
        [WORKLOAD_1, "hidden is 5.0, a number; expected a whole number"],
    ),
    "int for bool": (f"{HEAD}weighted = 1\n", [WORKLOAD_1, "weighted is 1", "true or false"]),
    "int for text": (f"{HEAD}cell = 1\n", [WORKLOAD_1, "cell is 1", "expected text in quotes"]),
    "string for float": (f"{HEAD}dropout = '0.5'\n", [WORKLOAD_1, "dropout", "a number"]),
    "table": (
        f"{HEAD}hidden = {{units = 5}}\n",
        [WORKLOAD_1, "hidden is {units = 5}, a table; expected a whole number"],
    ),
    "date": (f"{HEAD}hidden = 2020-01-02\n", [WORKLOAD_1, "hidden is 2020-01-02, a date"]),
    "list in a list": (f"{HEAD}hidden = [[5]]\n", [WORKLOAD_1, "hidden is [5], a list"]),
    "wrong type in a list": (f"{HEAD}hidden = [5, true]\n", [WORKLOAD_1, "hidden is true"]),
    "int for the variants": (f"backend = 5\n{HEAD}", ["backend is 5", "expected text in quotes"]),
    "text for the processes": (f"processes = 'a'\n{HEAD}", ["processes", "a whole number"]),
    "empty list": (f"{HEAD}hidden = []\n", [WORKLOAD_1, "hidden is an empty list", "at least one"]),
    "0 units": (f"{HEAD}hidden = 0\n", [WORKLOAD_1, "hidden '0'", "at least 1"]),
    "negative": (f"{HEAD}classes = -1\n", [WORKLOAD_1, "classes '-1'", "0 or more"]),
    "unknown cell": (f"{HEAD}cell = 'ltsm'\n", [WORKLOAD_1, "cell 'ltsm'", "Did you mean lstm?"]),
    "unknown task": (f"{HEAD}task = 'custm'\n", [WORKLOAD_1, "Did you mean custom?"]),
    "two of a name": (
        f"{HEAD}[[workload]]\nname = 'b'\n{HEAD}",
        ["two workloads have the name 'my-net'", "workload 1 ", "workload 3 ", "different names"],
    ),
    "no name": ("[[workload]]\nhidden = 5\n", ["workload 1 has no name", 'expected name = "..."']),
    "second without": (f"{HEAD}[[workload]]\nhidden = 5\n", ["workload 2 has no name"]),
    "name with +": ("[[workload]]\nname = 'a+b'\n", ['the name is "a+b"', "letters, digits and"]),
    "empty name": ("[[workload]]\nname = ''\n", ['the name is ""', "letters, digits and ._-"]),
    "name of dots": ("[[workload]]\nname = '..'\n", ['the name is ".."', "letter or digit first"]),
    "name of lines": ('[[workload]]\nname = "a\\nb"\n', [r'the name is "a\nb"', "letters"]),
    "number as name": ("[[workload]]\nname = 5\n", ["the name is 5", "letters, digits", "quotes"]),
    "list as name": ("[[workload]]\nname = ['a']\n", ['the name is ["a"]', "in quotes"]),
    "size as name": ("[[workload]]\nname = 'base'\n", ["workload 1 ('base')", "a size of the"]),
    "nothing": ("", ["has no workload", "expected at least one [[workload]]"]),
    "options alone": ("hidden = 5\n", ["has no workload", "expected at least one [[workload]]"]),
    "empty workloads": ("workload = []\n", ["has no workload", "at least one [[workload]]"]),
    "single brackets": ("[workload]\nname = 'a'\n", ["expected [[workload]], in two pairs"]),
    "text as workload": ("workload = 'a'\n", ["has no workload", "at least one [[workload]]"]),
    # Nets that cannot be.
    "10^9 units": (f"{HEAD}hidden = 1000000000\n", [WORKLOAD_1, "H1000000000", "bytes of memory"]),
    "10^29 units": (
        f"{HEAD}hidden = 1{'0' * 29}\n",
        [WORKLOAD_1, "bytes of memory", "this machine has"],
    ),
    "10^30 units": (f"{HEAD}hidden = 1{'0' * 30}\n", [WORKLOAD_1, "hidden '1000", "whole number"]),
    "no such size": (f"{HEAD}size = 'large'\n", [WORKLOAD_1, "size 'large'", "custom has base"]),
    "labels": (
        f"{HEAD}task = 'sentiment'\nclasses = 0\nhidden = 1\n",
        [WORKLOAD_1, "the labels go up to 1", "F = 1; expected at least 2", "--hidden"],
    ),
    "no such weights": (f"{HEAD}weights = 'a.npz'\n", [WORKLOAD_1, "a.npz'", "file that exists"]),
    "weighted last step": (
        f"{HEAD}weighted = true\nreadout = 'last_step'\n",
        [WORKLOAD_1, "--weighted", "--readout=every_step"],
    ),
    "nothing to freeze": (f"{HEAD}frozen-embedding = true\n", [WORKLOAD_1, "expected --vocab"]),
    "nothing to reduce": (
        f"{HEAD}time-reduction = 'sum'\nreadout = 'last_step'\n",
        [WORKLOAD_1, "nothing to reduce over time", "--readout=every_step"],
    ),
    "denormal bptt": (
        f"{HEAD}values = 'denormal'\nphase = 'bptt'\n",
        [WORKLOAD_1, "denormal", "expected --phase=forward --dtype=float32"],
    ),
}


def _refused(
    monkeypatch: pytest.MonkeyPatch, folder: Path, arguments: list[str], words: list[str]
) -> None:
    """`rnnbench run`, and pytest below it, refuse `arguments` with `words`, and write nothing."""
    codes = []
    main = pytest.main

    def watched(*given: object, **named: object) -> int | pytest.ExitCode:
        codes.append(main(*given, **named))  # type: ignore[arg-type]
        return codes[-1]

    monkeypatch.setattr(run_command.pytest, "main", watched)
    # pytest-benchmark asks git about the commit, for the default of an option.
    monkeypatch.setattr("pytest_benchmark.plugin.get_tag", lambda *_: "none")
    before = sorted(folder.rglob("*"))
    code, output = asked(folder / "reports", "--backend=numpy", *arguments)
    assert code == 2, output
    assert codes == [pytest.ExitCode.USAGE_ERROR], output
    assert "Traceback" not in output
    for word in words:
        assert word in output, output
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("name", WRONG_FILES)
def test_a_wrong_file_is_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    text, words = WRONG_FILES[name]
    file = write(tmp_path, text)
    words = [str(file), *words]
    code, output = rnnbench("workload", file)
    assert code == 2, output
    for word in words:
        assert word in output, output
    _refused(monkeypatch, tmp_path, [str(file)], words)


@pytest.mark.parametrize(
    ("make", "words"),
    [(None, "No such file or directory"), (Path.mkdir, "Is a directory")],
    ids=["missing", "folder"],
)
def test_what_cannot_be_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: object, words: str
) -> None:
    file = tmp_path / "my-net.toml"
    if callable(make):
        make(file)
    expected = [f"{file} cannot be read: {words}", "`rnnbench workload --example` prints"]
    assert rnnbench("workload", file)[0] == 2
    _refused(monkeypatch, tmp_path, [str(file)], expected)


def test_two_files_with_workloads_of_one_name_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = write(tmp_path, TINY), write(tmp_path, TINY, "other.toml")
    words = [f"{first}, workload 1", f"{second}, workload 1", "different names", "'my-net'"]
    _refused(monkeypatch, tmp_path, [str(first), str(second)], words)


def test_files_that_differ_in_the_variants_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = write(tmp_path, f"processes = 2\n{TINY}")
    second = write(tmp_path, TINY.replace("my-net", "other"), "other.toml")
    words = ["the workload files differ in processes", "--processes"]
    _refused(monkeypatch, tmp_path, [str(first), str(second)], words)
    assert len(dry(tmp_path, first, second, "--processes=2")) == 4


CUSTOM = "--task=custom"
WRONG_OPTIONS = {
    "--task=sentiment --classes=0 --hidden=1": ["the labels go up to 1", "F = 1; expected at le"],
    "--task=sentiment --classes=1": ["the labels go up to 1", "there are C = 1", "--classes"],
    f"{CUSTOM} --hidden=1000000000": ["custom cannot be made at base+H1000000000", "bytes"],
    f"{CUSTOM} --steps=1000000000000": ["T1000000000000", "bytes of memory", "this machine has"],
    f"{CUSTOM} --vocab=1000000000": ["vocab1000000000", "bytes of memory"],
    f"{CUSTOM} --hidden={'9' * 5000}": ["--hidden", "expected a whole number"],
    "--task=sentiment --vocab=9": ["sentiment has its own", "no --vocab", "another task: "],
    "--task=hihello --vocab=9": ["hihello has its own", "no --vocab", "custom"],
    "--task=sentiment --readout=every_step": ["sentiment has its own", "no --readout", "custom"],
    "--task=sin_sequence --loss=mse": ["sin_sequence has its own", "no --loss", "custom"],
    "--vocab=9": ["hihello has its own", "custom"],
    f"{CUSTOM} --frozen-embedding": ["no embedding to freeze", "expected --vocab beside it"],
    f"{CUSTOM} --readout=last_step --time-reduction=sum": ["nothing to reduce over time"],
    f"{CUSTOM} --readout=last_step --weighted": ["--weighted", "--readout=every_step"],
    f"{CUSTOM} --values=denormal --phase=bptt": ["--phase=forward --dtype=float32"],
    f"{CUSTOM} --values=denormal --dtype=float64": ["--phase=forward --dtype=float32"],
    f"{CUSTOM} --values=denormal --vocab=9": ["denormal inputs are numbers", "reads no tokens"],
    "--task=sin_sequence --values=denormal": ["sin_sequence are its own", "--task=custom"],
    f"{CUSTOM} --values=denorm": ["--values 'denorm' is unknown", "Did you mean denormal?"],
    f"{CUSTOM} --loss=l2": ["--loss 'l2' is unknown; expected cross_entropy, mse"],
    f"{CUSTOM} --classes=-1": ["--classes '-1'", "0 or more"],
    f"{CUSTOM} --weights=no.npz": ["--weights 'no.npz'", "expected a file that exists"],
    f"{CUSTOM} --embedding=no.txt": ["--embedding 'no.txt'", "expected a file that exists"],
    "--preset=braun2018 --workload=a.toml": ["--preset is a workload file", "no --workload"],
    "--threads=1,deflt": ["--threads 'deflt'", "at least 1, all or default"],
}


@pytest.mark.parametrize("arguments", WRONG_OPTIONS)
def test_wrong_options_of_a_net_are_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: str
) -> None:
    _refused(monkeypatch, tmp_path, arguments.split(), WRONG_OPTIONS[arguments])


def test_a_file_of_the_suite_decides_about_the_phase_of_denormal_inputs(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    net = workload_file.NamedWorkloads("net", {"task": ("custom",), "values": ("denormal",)})
    (workload,) = grid.workloads(options.request(net, {}))
    assert (workload.phase, workload.dtype) == ("forward", "float32")
    with pytest.raises(ValueError, match="denormal inputs are measured in forward"):
        list(grid.workloads(options.request(net, {}, ("bptt",))))


def test_a_preset_is_a_workload_file_and_so_is_a_file_with_a_source(tmp_path: Path) -> None:
    text = f'asks = "How fast?"\nsource = "a paper"\ngpu = false\n{TINY}'
    found = workload_file.read(write(tmp_path, text))
    assert found.about == {"asks": "How fast?", "source": "a paper", "gpu": False, "stated": {}}
    with pytest.raises(ValueError, match="gpu is 1, a whole number; expected true or false"):
        workload_file.read(write(tmp_path, f"gpu = 1\n{TINY}"))

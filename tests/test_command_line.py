"""The command line: words that cannot be, tables, help, pipes, Ctrl-C. What is printed is read.

Almost all of it is asked in this process; a command starts one process at most.
"""

from __future__ import annotations

import csv
import dataclasses
import fcntl
import io
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path

import msgspec
import pytest
import third_party
from here import asked, rnnbench
from pages import report
from record_samples import FULL_RUN, RUN, SELFTEST, WORKLOAD, measurement, rounds, workload
from rich.console import Console
from running import environment, install

from bench import ROOT, session
from bench.cli import app, list_, selftest
from bench.cli import check as check_command
from bench.cli.console import Table, show
from bench.cli.run import help_lines
from bench.config import option_table
from bench.config.options import default_reports
from bench.kit.findings import Findings
from bench.records import store
from bench.records.schema import TensorError
from bench.report.csv import COLUMNS
from bench.report.csv import csv as as_csv
from bench.report.terminal import without_time
from tasks.spec import ModelSpec, OptimizerSpec

WIDTHS = (60, 80, 200)
# One line for most of the 64 options, and the titles of their groups; at a width of 80.
MOST_HELP_LINES = 95

WRONG = [
    (["--task=nope"], ["nope", "hihello, sin_sequence, sentiment"]),
    (["--task="], ["--task", "comma-separated"]),
    (["--backend=tensorfow"], ["tensorfow", "numpy, torch, keras-tensorflow"]),
    (["--cell=rnn"], ["rnn", "rnn_tanh, rnn_relu, gru, lstm"]),
    (["--dtype=int8"], ["int8", "float32, float64"]),
    (["--phase=backward"], ["backward", "forward, bptt"]),
    (["--size=huge"], ["huge", "source, base, large"]),
    (["--size=large", "--task=hihello"], ["large", "hihello has base, source"]),
    (["--device=gpu"], ["gpu", "cpu, cuda"]),
    (["--hidden=0"], ["--hidden", "'0'", "at least 1"]),
    (["--steps=-3"], ["--steps", "'-3'", "at least 1"]),
    (["--batch=many"], ["--batch", "'many'", "at least 1"]),
    (["--layers=1.5"], ["--layers", "'1.5'", "at least 1"]),
    (["--layers=1,,2"], ["--layers", "comma-separated"]),
    (["--threads=0"], ["--threads", "'0'", "at least 1"]),
    (["--threads=100000"], ["--threads 100000", "the cores this process may use"]),
    (["--input=3", "--task=hihello"], ["hihello cannot be made at source+D3", "5"]),
    (["--processes=no"], ["--processes", "'no'"]),
    (["--precision=no"], ["--precision", "number of percent"]),
    (["--precision=0.1%"], ["--precision", "0.5% to 100%"]),
    (["--precision=3%", "--processes=4"], ["--precision chooses", "expected no --processes"]),
    (["--precision=3%", "--benchmark-disable"], ["--precision has no effect"]),
    (["--budget=10"], ["--budget", "90s, 10min or 1h"]),
    (["--budget=0min"], ["--budget", "90s, 10min or 1h"]),
    (["--budget=1h", "--processes=4"], ["--budget chooses", "expected no --processes"]),
    (["--budget=1h", "--benchmark-disable"], ["--budget has no effect"]),
    (["--worker-timeout=-1"], ["--worker-timeout", "'-1'"]),
    (["--run-name=../up"], ["--run-name", "one folder"]),
    (["--dropout=1"], ["--dropout", "'1'", "[0, 1)"]),
    (["--dropout=0.5", "--task=sentiment"], ["at least 2 layers (--layers)"]),
    (["--benchmark-max-time=-1"], ["--benchmark-max-time", "above 0"]),
    (["--benchmark-max-time=nan"], ["--benchmark-max-time", "above 0"]),
    (["--batch=9999999999999999"], ["cannot be made at", "B9999999999999999"]),
    (["--dtype=float16"], ["nothing can run", "float16"]),
    (["--backend=keras-jax", "--dtype=float64"], ["nothing can run", "float32"]),
    (["--benchmark-timer=time.time"], ["--benchmark-timer", "perf_counter"]),
    (["--benchmark-cprofile=tottime"], ["--benchmark-cprofile", "other processes"]),
    (["--benchmark-warmup=on"], ["--benchmark-warmup", "warm-up steps"]),
    (["-n", "2"], ["-n and --dist", "several workloads at once"]),
    (["--benchmark-calibration-precision=5"], ["calibration-precision", "--benchmark-min-time"]),
    (["--benchmark-max-time=abc"], ["--benchmark-max-time 'abc'", "a number of seconds above 0"]),
    (["--benchmark-max-time", "abc"], ["--benchmark-max-time 'abc'", "a number of seconds"]),
    (["--benchmark-min-time=abc"], ["--benchmark-min-time 'abc'", "a number of seconds"]),
    (["--benchmark-min-rounds=2.5"], ["--benchmark-min-rounds '2.5'", "a whole number"]),
    (["--benchmark-min-rounds=0"], ["--benchmark-min-rounds '0'", "at least 1"]),
    (["--benchmark-precision=abc"], ["--benchmark-precision", "--benchmark-max-time"]),
    (["--benchmark-confidence=0.9"], ["--benchmark-confidence", "95 %"]),
    (["--benchmark-disable-gc"], ["--benchmark-disable-gc", "always off"]),
    (["--benchmark-warmup-iterations=5"], ["--benchmark-warmup-iterations", "warm-up steps"]),
    (["--optimizer=sgd"], ["--optimizer has no effect on forward, bptt", "--phase=train_step"]),
    (["--preset=reference", "--optimizer=sgd"], ["--optimizer has no effect on forward, bptt"]),
    (
        ["--phase=forward", "--layers=2", "--dropout=0.5"],
        ["--dropout has no effect on forward", "bptt, train_step"],
    ),
    (["--serial", "--worker-timeout=9"], ["--serial has no workers", "--worker-timeout"]),
    (["--serial", "--processes=2"], ["--serial is one process", "--processes"]),
    (["--serial", "--precision=3%"], ["--serial is one process", "--precision"]),
    (["--serial", "--queue"], ["--serial takes no times", "--queue"]),
    (["--serial", "--max-memory=4G"], ["--serial has no workers", "--max-memory"]),
    (["--serial", "--workload-timeout=4"], ["--serial has no workers", "--workload-timeout"]),
    (["--max-memory=4"], ["--max-memory '4'", "such as 500M or 4G"]),
    (["--workload-timeout=0"], ["--workload-timeout '0'", "above 0"]),
    (["--run-timeout=soon"], ["--run-timeout 'soon'", "above 0"]),
    (["--resume=nowhere"], ["--resume 'nowhere'", "expected the folder of a run"]),
    (["--resume=x", "--run-name=y"], ["--resume goes on in the folder of its run", "--run-name"]),
    (["--resume=x", "--benchmark-disable"], ["--resume has no effect beside"]),
]


@pytest.mark.parametrize(("arguments", "words"), WRONG, ids=[" ".join(a) for a, _ in WRONG])
def test_wrong_use_is_said_before_anything_runs(
    tmp_path: Path, arguments: list[str], words: list[str]
) -> None:
    code, output = asked(tmp_path / "reports", *arguments)
    assert code == 2, output
    assert "Traceback" not in output
    for word in words:
        assert word in output, output
    assert not (tmp_path / "reports").exists()


MISSPELT = [
    (["run", "--hiden=64"], "Did you mean --hidden?"),
    (["run", "--benchmark-maxtime=2"], "Did you mean --benchmark-max-time?"),
    (["run", "--backend=pytorch"], "Did you mean torch?"),
    (["run", "--task=sentimnt"], "Did you mean sentiment?"),
    (["run", "--cell=ltsm"], "Did you mean lstm?"),
    (["run", "--phase=train-step"], "Did you mean train_step?"),
    (["run", "--device=gpu"], "Did you mean cuda?"),
    (["run", "--preset=refrence"], "Did you mean reference?"),
    (["check", "pytorch"], "Did you mean torch?"),
    (["check", "numpy", "--cell=lsmt"], "Did you mean lstm?"),
    (["selftest", "--task=sentimnt"], "Did you mean sentiment?"),
    (["new-backend", "mine", "--from=numpi"], "Did you mean numpy?"),
    (["list", "--quik"], "--quick"),
    (["chekc"], "Did you mean 'check'?"),
]
NOT_NEAR = [
    ["run", "--frobnicate"],
    ["run", "--backend=theano"],
    ["run", "--backend=cupy"],
    ["run", "--dtype=int8"],
    ["run", "--task=mnist"],
    ["run", "--preset=nonsense"],
    ["check", "theano"],
    ["frobnicate"],
]


@pytest.mark.parametrize(("words", "meant"), MISSPELT, ids=[" ".join(w) for w, _ in MISSPELT])
def test_what_is_misspelt_is_suggested(words: list[str], meant: str) -> None:
    code, output = rnnbench(*words)
    assert code == 2, output
    assert meant in output


@pytest.mark.parametrize("words", NOT_NEAR, ids=" ".join)
def test_where_nothing_is_near_nothing_is_suggested(words: list[str]) -> None:
    code, output = rnnbench(*words)
    assert code == 2, output
    assert "mean" not in output


NO_EFFECT = [
    (["list", "--quick", "--wait=3"], "--wait has no effect beside --quick"),
    (["check", "numpy", "--long", "--models=3"], "--models has no effect beside --long"),
    (
        ["selftest", "--pytest-benchmark=0", "--pytest-benchmark-injected"],
        "--pytest-benchmark-injected has no effect without trials",
    ),
]


@pytest.mark.parametrize(("words", "why"), NO_EFFECT, ids=[w[0] for w, _ in NO_EFFECT])
def test_an_option_without_effect_is_refused(words: list[str], why: str) -> None:
    code, output = rnnbench(*words)
    assert code == 2, output
    assert why in output


@pytest.mark.parametrize(
    "words",
    [
        ["--phase=train_step", "--optimizer=sgd"],
        ["--phase=forward,bptt", "--layers=2", "--dropout=0.5"],
        ["--preset=braun2018", "--optimizer=sgd"],
        ["--phase=forward", "--dropout=0"],
    ],
    ids=" ".join,
)
def test_an_option_with_an_effect_is_taken(tmp_path: Path, words: list[str]) -> None:
    code, output = asked(tmp_path, "--dry-run", "--backend=numpy", *words)
    assert code == 0, output


def _examples() -> list[Table]:
    """The tables of `list`, `check` and `selftest`."""
    variants = Table(("variant", "versions", "devices", "from", "in a default run"))
    variants.add_row("keras-tensorflow-train_on_batch", "keras 3.15.1", "cpu", "built in", "no")
    variants.add_row("numpy", "numpy 2.4.6", "cpu, cuda:0", "third-party 1.0", "no, by name")
    findings = Findings("numpy", "cpu", 0)
    line = findings.line("forward and bptt", "float64")
    line.models, line.tensors = 1234, 56789
    error = TensorError(name="grad.l0.bwd.W_hh", error=3.1e-2, bound=8.9e-6)
    findings.worst["float32", "gradients"] = error
    of_check = [check_command._checks(findings), check_command._errors(findings)]
    return [list_._tasks(), list_._presets(), variants, *of_check, selftest._table(SELFTEST)]


def _printed(table: Table, **options: object) -> list[str]:
    out = io.StringIO()
    show(table, Console(file=out, highlight=False, emoji=False, **options))  # type: ignore[arg-type]
    return out.getvalue().splitlines()


@pytest.mark.parametrize("width", WIDTHS)
def test_no_table_is_cut_or_broken_inside_a_word_on_a_terminal(width: int) -> None:
    for table in _examples():
        lines = _printed(table, width=width, force_terminal=True, color_system=None)
        assert max(map(len, lines)) <= width
        words = [word for line in lines for word in line.split()]
        for row in table.rows:
            for word in " ".join(row).split():
                assert word in words, word


@pytest.mark.parametrize("width", WIDTHS)
def test_in_a_pipe_a_row_is_one_whole_line(width: int) -> None:
    for table in _examples():
        lines = _printed(table, width=width, force_terminal=False)
        assert len(lines) == 1 + len(table.rows)
        for row, line in zip((table.headings, *table.rows), lines, strict=True):
            assert re.split(r"\s\s+", line.strip()) == [value for value in row if value]


def test_list_on_a_narrow_terminal_breaks_no_name() -> None:
    main, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    variables = environment({"TERM": "xterm"})
    del variables["COLUMNS"]
    command = [sys.executable, "-m", "bench.cli", "list", "--quick"]
    with subprocess.Popen(
        command, stdout=terminal, stderr=terminal, cwd=ROOT, env=variables
    ) as run:
        os.close(terminal)
        output = b""
        while chunk := _read(main):
            output += chunk
    os.close(main)
    assert run.returncode == 0
    lines = re.sub(r"\x1b\[[\d;?]*[A-Za-z]|\r", "", output.decode()).splitlines()
    assert "keras-tensorflow-train_on_batch" in lines
    assert max(map(len, lines)) <= 60


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # that the other end was closed
        return b""


def test_help_of_run_is_ours_alone_by_groups() -> None:
    code, output = rnnbench("run", "--help")
    assert code == 0
    lines = list(help_lines(80))
    assert len(lines) <= MOST_HELP_LINES
    assert max(map(len, lines)) <= 80
    places = [lines.index(f"{title}:") for title in option_table.GROUPS]
    assert places == sorted(places)
    for group in option_table.GROUPS.values():
        for option in group:
            assert f"--{option.name}" in output
    assert "`pytest --help` shows the options of pytest itself" in output
    assert "--maxfail" not in output


def test_help_of_run_names_the_options_that_pytest_has(pytestconfig: pytest.Config) -> None:
    for group in option_table.GROUPS.values():
        for option in group:
            pytestconfig.getoption(option.destination)
    for name in option_table.REFUSED:
        pytestconfig.getoption(name.removeprefix("--").replace("-", "_"))


@pytest.mark.parametrize("width", WIDTHS)
def test_help_names_every_command_in_whole_sentences(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    with pytest.raises(SystemExit) as end:
        app.app(["--help"], prog_name="rnnbench")
    output = capsys.readouterr().out
    assert end.value.code == 0
    assert max(map(len, output.splitlines())) <= width
    words = " ".join(output.split())
    about = {name: command.__doc__ or "" for name, command in app.COMMANDS.items()}
    about |= {name: str(group.info.help) for name, group in app.GROUPS.items()}
    assert words.startswith(f"Usage: rnnbench {' | '.join(about)} [OPTIONS] rnnbench ")
    assert "..." not in words
    for name, text in about.items():
        sentence = " ".join(text.partition("\n\n")[0].split())
        assert sentence.endswith(".")
        assert f" {name} {sentence}" in words


ENDS_EARLY = """
import sys
from bench.cli import app, console
console.outlive_readers()
for words in (line.split() for line in sys.argv[1:]):
    try:
        app.app(words, prog_name="rnnbench")
    except SystemExit as end:
        print(words[0], end.code, file=sys.__stderr__)
    sys.stdout.flush()
"""


@pytest.mark.slow
def test_no_command_minds_a_reader_that_leaves(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        store.append(tmp_path / name / store.FILE, [RUN, measurement("numpy", rounds(1.0, 1.1))])
    one, two = tmp_path / "one", tmp_path / "two"
    commands = {
        "--help": 0,
        "list --quick": 0,
        "run --help": 0,
        "run --dry-run --backend=numpy": 0,
        "run --backend=pytorch": 2,
        f"report {one} --format=csv": 0,
        f"compare {one} {two}": 0,
        "check --help": 0,
        "check pytorch": 2,
        "selftest --help": 0,
        f"selftest --reports={tmp_path} --name=one": 2,
        "new-backend mine": 0,
    }
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-c", ENDS_EARLY, *commands],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=environment({}, ROOT),
        check=False,
    )
    os.close(writer)
    assert done.returncode == 0, done.stderr
    codes = [f"{words.split()[0]} {code}" for words, code in commands.items()]
    assert [line for line in done.stderr.splitlines() if line in codes] == codes, done.stderr
    assert "BrokenPipe" not in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "mine" / "pyproject.toml").exists()


def test_reports_go_into_the_checkout_or_else_the_current_folder(tmp_path: Path) -> None:
    assert default_reports(ROOT) == ROOT / "reports"
    assert default_reports(ROOT / "docs") == ROOT / "reports"
    assert default_reports(tmp_path) == tmp_path / "reports"


@pytest.mark.slow
def test_a_run_from_elsewhere_says_why_a_named_variant_was_not_measured(tmp_path: Path) -> None:
    plugins = install(tmp_path / "plugins", {"coloured": third_party.ENTRY_POINTS["coloured"]})
    quick = ("--task=hihello", "--phase=forward", "--benchmark-max-time=0.05")
    done = subprocess.run(
        [sys.executable, "-m", "bench.cli", "run", *quick, "--backend=numpy,coloured"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment({}, ROOT, plugins, Path(__file__).parent),
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    where = "forward[hihello-rnn_tanh-source-cpu-float32]"
    why = third_party.EXPECTED["coloured"]
    assert re.search(rf"coloured is refused in {re.escape(where)}: .*{re.escape(why)}", done.stdout)
    (page,) = (tmp_path / "reports").glob("*/report.md")
    assert done.stdout.splitlines()[-1] == f"report: {page.relative_to(tmp_path)}"


def test_a_reason_is_said_once_for_all_workloads() -> None:
    def refused(variant: str, reason: str, phase: str) -> object:
        where = workload(WORKLOAD, phase=phase)
        return measurement(variant, workload=where, status="refused", reason=reason)

    found = [refused("a", "not today", phase) for phase in ("forward", "bptt")]
    found.append(refused("b", "never", "bptt"))
    found.append(measurement("c", workload=WORKLOAD, status="crashed", reason="signal 11"))
    assert list(without_time(found)) == [
        "a is refused in 2 workloads: not today",
        "b is refused in bptt[sentiment-lstm-base-cpu-float32]: never",
        "c crashed in bptt[sentiment-lstm-base-cpu-float32]: signal 11",
    ]


# A shell that starts a test in its background has it ignore SIGINT.
HEEDS_SIGINT = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from bench.cli.app import main
main()
"""


def test_ctrl_c_in_a_run_keeps_what_was_measured(tmp_path: Path) -> None:
    options = ("--task=hihello", "--backend=numpy", "--benchmark-max-time=0.3", "--run-name=run")
    command = [sys.executable, "-c", HEEDS_SIGINT, "run", *options, "--reports=kept"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=environment({}, ROOT),
    ) as run:
        assert run.stderr is not None
        progress = iter(run.stderr.readline, "")
        assert any(line.startswith("[2/2]") for line in progress)
        run.send_signal(signal.SIGINT)
        output, _ = run.communicate(timeout=60)
    assert run.returncode == 130, output
    assert output.splitlines()[-2:] == [
        "interrupted: 1 of 2 workloads were finished, and are kept in kept/run; "
        "`rnnbench report kept/run` makes a report of them, and --resume=kept/run measures "
        "the rest",
        "report: kept/run/report.md",
    ]
    _, found, _ = store.read(tmp_path / "kept" / "run" / store.FILE)
    assert [m.workload.phase for m in found if m.role == "variant"] == ["bptt"]


class _NoPool:
    """A pool of workers that starts none."""

    timeout = 1.0

    def get(self, *_: object) -> object:
        io.FileIO(__file__)  # is left open, as a file is that Ctrl-C finds being read
        raise KeyboardInterrupt

    def keep_only(self, _: object) -> None: ...

    def close(self) -> None: ...


def test_ctrl_c_before_anything_is_measured_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session.SuiteRun, "_make_pool", lambda _: _NoPool())
    there = tmp_path / "there"
    there.mkdir()
    for reports in (tmp_path / "new", there):
        code, output = asked(reports, "--task=hihello", "--backend=numpy")
        assert code == 130, output
        assert "interrupted: no workload was finished; nothing is kept" in output
    assert list(tmp_path.iterdir()) == [there]
    assert not list(there.iterdir())


def test_ctrl_c_in_another_command_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(list_.registry, "table", interrupt)
    assert rnnbench("list") == (130, "interrupted\n")


@pytest.mark.parametrize("trials", [0, 2])
def test_ctrl_c_in_a_selftest_keeps_the_trials(
    trials: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = b'{"variant":"numpy","pair":0,"slowdown":0.0,"first_seconds":1.0,"second_seconds":1.0}'

    def interrupted(plan: object, pool: object, folder: Path, progress: object) -> None:
        (folder / selftest.run.RAW).write_bytes((line + b"\n") * trials)
        raise KeyboardInterrupt

    monkeypatch.setattr(selftest.run, "run", interrupted)
    reports = tmp_path / "reports"
    words = ("--backend=numpy", f"--reports={reports}", "--name=here")
    code, output = rnnbench("selftest", *words)
    assert code == 130, output
    if trials:
        assert f"interrupted: 2 trials are kept in {reports / 'here' / selftest.run.RAW}" in output
    else:
        assert "interrupted: no trial had ended; nothing is kept" in output
    assert reports.exists() == bool(trials)


def test_the_csv_has_the_model_and_the_optimizer() -> None:
    named = {"input_size": "input", "hidden_size": "hidden", "num_layers": "layers"}
    fields = {
        field.name: named.get(field.name, field.name) for field in dataclasses.fields(ModelSpec)
    }
    assert set(fields.values()) <= set(COLUMNS)
    assert len(set(COLUMNS)) == len(COLUMNS)
    optimizer = OptimizerSpec(name="sgd", learning_rate=0.25)
    spec = dataclasses.replace(WORKLOAD.spec, num_layers=2, dropout=0.5, loss="mse")
    where = workload(WORKLOAD, phase="train_step", spec=spec, optimizer=optimizer)
    m = msgspec.structs.replace(measurement("torch", rounds(1.0, 1.1), workload=where), loss=0.7)
    (row,) = csv.DictReader(io.StringIO(as_csv(FULL_RUN, [m])))
    for field, column in fields.items():
        value = getattr(spec, field)
        assert row[column] == ("" if value is None else str(value)), column
    assert row["cell"] == "lstm"
    assert (row["optimizer"], row["learning_rate"]) == ("sgd", "0.25")
    assert row["loss_value"] == "0.7"


@pytest.mark.parametrize(
    ("phase", "dropout", "said"),
    [("bptt", 0.5, True), ("train_step", 0.5, True), ("forward", 0.5, False), ("bptt", 0.0, False)],
)
def test_a_report_says_why_losses_with_dropout_differ(
    phase: str, dropout: float, said: bool
) -> None:
    spec = dataclasses.replace(WORKLOAD.spec, num_layers=2, dropout=dropout)
    where = workload(WORKLOAD, phase=phase, spec=spec)
    page = report(RUN, [measurement("torch", rounds(1.0, 1.1), workload=where)])
    assert ("draws its own masks" in " ".join(page.split())) is said

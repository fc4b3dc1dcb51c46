"""`rnnbench list | run | report`, and their exit status."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import here
import msgspec
import mutants
import pytest
from record_samples import RUN, SELFTEST, sample
from running import environment, install

from backends import registry
from bench import ROOT
from bench.analysis import verdicts
from bench.cli import selftest
from bench.records import schema
from bench.records import store as records
from bench.report.markdown.selftest import HEAD, rows
from bench.selftest import run, store, trials
from tasks import TASKS


def rnnbench(*arguments: str, paths: tuple[Path, ...] = ()) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.cli", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment({}, *paths),
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def absent(folder: Path, *modules: str) -> Path:
    """A folder that, on the path of a Python, leaves it without these frameworks."""
    lines = ["import sys", *(f"sys.modules[{module!r}] = None" for module in modules)]
    (folder / "sitecustomize.py").write_text("\n".join(lines) + "\n")
    return folder


def test_list_names_tasks_sizes_and_variants() -> None:
    code, output = here.rnnbench("list", "--quick")
    assert code == 0, output
    for name in (*TASKS, *registry.table(), "source", "base", "large"):
        assert name in output


def test_list_without_any_framework_says_what_is_missing_and_how_to_get_it(tmp_path: Path) -> None:
    frameworks = ("torch", "tensorflow", "keras", "jax", "flax")
    code, output = rnnbench("list", paths=(absent(tmp_path, *frameworks),))
    assert code == 0, output
    lines = output.splitlines()
    (numpy,) = [line for line in lines if line.startswith("numpy ")]
    assert "cpu" in numpy
    assert "yes" in numpy
    for name, extra in (
        ("torch", "torch"),
        ("keras-tensorflow", "tensorflow"),
        ("keras-jax", "keras,jax"),
        ("jax", "jax"),
    ):
        (problem,) = [line for line in lines if line.startswith(f"{name}: ")]
        assert "is not installed" in problem
        assert f'pip install -e ".[{extra}]" -c constraints.txt' in problem


def test_report_is_made_again_from_the_records_alone(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    records.append(folder / records.FILE, [RUN, *sample()])
    for _ in range(2):
        code, output = here.rnnbench("report", folder)
        assert code == 0, output
        assert "report: " in output
    assert (folder / "report.md").read_text().startswith("# Report ")
    assert "run/report.md" in (tmp_path / "README.md").read_text()
    (tmp_path / "README.md").write_text("# Mine\n")
    code, output = here.rnnbench("report", folder)
    assert code == 0, output
    assert "stays as it is" in output
    assert (tmp_path / "README.md").read_text() == "# Mine\n"


@pytest.mark.parametrize("content", [None, "", "not a record\n"])
def test_a_report_of_nothing_is_wrong_use(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "measurements.jsonl").write_text(content)
    code, output = here.rnnbench("report", tmp_path)
    assert code == 2, output
    assert "measurements.jsonl" in output


@pytest.mark.slow
def test_run_exits_with_what_happened(tmp_path: Path) -> None:
    plugins = install(tmp_path / "plugins", mutants.ENTRY_POINTS)
    paths = (plugins, Path(__file__).parent)
    short = ("--task=hihello", "--phase=bptt", "--benchmark-max-time=0.05")
    expected = {"correct": 0, "slightly-off": 1, "unheard-of": 2}
    for name, status in expected.items():
        reports = f"--reports={tmp_path / name}"
        code, output = rnnbench("run", *short, f"--backend={name}", reports, paths=paths)
        assert code == status, output


@pytest.mark.slow
def test_a_selftest_of_seconds_says_what_it_found_and_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(store.FOLDER, str(tmp_path / "state"))
    options = "--backend numpy --task hihello --size base --pairs 2 --repeats 1 --seconds 0.05"
    options += " --pytest-benchmark 1 --pytest-benchmark-injected"
    reports = ["--reports", str(tmp_path / "reports"), "--name", "here"]
    code, output = rnnbench("selftest", *options.split(), *reports)
    assert code == 0, output
    assert "Two processes of the same program differ by" in output
    ours, baseline = trials.read_raw(tmp_path / "reports" / "here" / run.RAW)
    assert len(ours) == 2 * (2 + len(run.SLOWDOWNS)), "and one each of microseconds"
    assert "where steps take microseconds" in output
    assert "rounds a process are best" in output
    assert len(baseline) == 2 * (1 + len(run.SLOWDOWNS))
    assert all(len(trial.first_seconds) >= 10 for trial in ours)
    found = msgspec.json.decode(
        (tmp_path / "reports" / "here" / run.RESULT).read_bytes(), type=schema.Selftest
    )
    assert {t.slowdown for t in found.trials} == {0.0, *run.SLOWDOWNS}
    quiet = found.disturbed <= verdicts.MOST_DISTURBED  # which is up to who else runs here
    assert store.load() == (found if quiet else None)
    assert ("Later runs on this machine use these figures." in output) == quiet
    table = (tmp_path / "reports" / "here" / "report.md").read_text()
    assert "| numpy " in table
    assert "20 %" in table


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--task", "nope"), "hihello"),
        (("--phase", "nope"), "train_step"),
        (("--threads", "9999"), "expected at most"),
        (("--threads", "-1"), "--threads"),
        (("--name", "here"), "File exists"),
    ],
)
def test_a_selftest_that_cannot_be_is_wrong_use(
    arguments: tuple[str, str], words: str, tmp_path: Path
) -> None:
    (tmp_path / "here").mkdir()
    code, output = here.rnnbench(
        "selftest", "--backend", "numpy", "--reports", tmp_path, *arguments
    )
    assert code == 2, output
    assert words in output


def test_the_table_of_a_selftest_is_never_cut(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    selftest._print(SELFTEST)
    printed = capsys.readouterr().out.splitlines()
    for row in (HEAD, *rows(SELFTEST)):
        assert any(all(value in line for value in row) for line in printed), row


def test_a_selftest_of_what_is_not_there_is_wrong_use() -> None:
    code, output = here.rnnbench("selftest", "--backend", "tensorlow")
    assert code == 2
    assert "tensorlow" in output
    assert "torch" in output, "the known ones are listed"

"""What a user types, and what they read then."""

from __future__ import annotations

import getpass
import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from running import Ran, command, environment, install, suite

from backends import registry
from bench import ROOT
from bench.records import provenance


def test_wrong_use_is_an_error_of_pytest(tmp_path: Path) -> None:
    ran = suite(tmp_path / "reports", "--backend=pytorch")
    assert ran.code == pytest.ExitCode.USAGE_ERROR, ran.output
    assert "ERROR: backend 'pytorch' is unknown" in ran.output
    assert "Did you mean torch?" in ran.output
    assert "Traceback" not in ran.output


def test_two_backends_of_one_name_are_an_error_that_names_both(tmp_path: Path) -> None:
    plugins = install(tmp_path / "plugins", {"torch": "mutants:correct"})
    ran = suite(tmp_path / "reports", paths=(plugins, Path(__file__).parent))
    assert ran.code == pytest.ExitCode.USAGE_ERROR, ran.output
    assert "two backends are named 'torch': one built in, one from third-party 1.0" in ran.output


def test_a_report_folder_that_cannot_be_written_is_said_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    ran = suite(tmp_path / "file", "--task=hihello", "--backend=numpy")
    assert ran.code == pytest.ExitCode.USAGE_ERROR
    assert "cannot be written" in ran.output
    assert "--reports" in ran.output
    assert "Traceback" not in ran.output


def _in_the_way(folder: Path, content: str) -> Path:
    """A folder that, on the path of a Python, changes what it finds at its start."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(content)
    return folder


@pytest.mark.slow
def test_a_framework_that_is_absent_is_skipped_with_its_command(tmp_path: Path) -> None:
    absent = _in_the_way(tmp_path / "absent", "import sys\nsys.modules['torch'] = None\n")
    arguments = ["--task=hihello", "--phase=forward", "--benchmark-max-time=0.05", "-rs"]
    ran = suite(tmp_path / "reports", *arguments, "-k", "torch or numpy", paths=(absent,))
    assert ran.code == 0, ran.output
    assert "torch is not installed" in ran.output
    assert 'pip install -e ".[torch]" -c constraints.txt' in ran.output
    statuses = {variant: m.status for (_, variant), m in ran.measurements().items()}
    assert statuses == {"numpy": "ok", "torch": "skipped", "keras-torch": "skipped"}
    assert "torch is not installed" in (ran.folder / "report.md").read_text()

    named = suite(tmp_path / "named", *arguments, "--backend=torch,numpy", paths=(absent,))
    assert named.code == pytest.ExitCode.USAGE_ERROR
    assert 'pip install -e ".[torch]"' in named.output
    assert "Traceback" not in named.output


@pytest.mark.slow
def test_a_framework_that_is_broken_is_skipped_with_the_first_line(tmp_path: Path) -> None:
    package = tmp_path / "broken" / "torch"
    package.mkdir(parents=True)
    error = "raise ImportError('libtorch_cpu.so: undefined symbol\\nmore\\nlines')\n"
    (package / "__init__.py").write_text(error)
    arguments = ["--task=hihello", "--phase=forward", "--benchmark-max-time=0.05", "-rs"]
    broken = (package.parent,)
    ran = suite(tmp_path / "reports", *arguments, "-k", "torch or numpy", paths=broken)
    assert ran.code == 0, ran.output
    assert "libtorch_cpu.so: undefined symbol" in ran.output
    statuses = {variant: m.status for (_, variant), m in ran.measurements().items()}
    assert statuses == {"numpy": "ok", "torch": "skipped", "keras-torch": "skipped"}

    named = suite(tmp_path / "named", *arguments, "--backend=torch", paths=broken)
    assert named.code == pytest.ExitCode.USAGE_ERROR
    assert "libtorch_cpu.so: undefined symbol" in named.output
    assert "Traceback" not in named.output


@pytest.mark.slow
@pytest.mark.skipif(
    registry.missing(registry.find("torch")) is not None, reason="torch is not installed"
)
def test_a_device_that_is_not_there_is_said_with_what_was_found(tmp_path: Path) -> None:
    # The 99th GPU: absent on any machine that runs this.
    ran = suite(tmp_path / "reports", "--device=cuda:99", "--backend=numpy,torch", "--task=hihello")
    assert ran.code == pytest.ExitCode.USAGE_ERROR, ran.output
    assert "--device cuda:99 is not available here" in ran.output
    assert "numpy cannot use it" in ran.output
    assert "Traceback" not in ran.output
    assert not list((tmp_path / "reports").glob("*/report.md"))


def test_dry_run_lists_the_workloads_and_starts_nothing(tmp_path: Path) -> None:
    ran = suite(tmp_path / "reports", "--dry-run", "--size=base", "--hidden=32,64", "--layers=2")
    assert ran.code == 0, ran.output
    for label in ("base+H32+L2", "base+H64+L2"):
        for phase in ("forward", "bptt"):
            assert f"{phase}[sentiment-rnn_tanh-{label}-cpu-float32]" in ran.output
    assert f"{12 * len(registry.default_names())} tests in 12 workloads, about " in ran.output
    assert not (tmp_path / "reports").exists()


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Ran]]:
    """Two runs of the same workloads, saved as pytest-benchmark saves them."""
    storage = tmp_path_factory.mktemp("storage")
    ran = [
        suite(
            tmp_path_factory.mktemp("reports"),
            "--task=hihello,sentiment",
            "--size=source",
            "--backend=numpy",
            "--benchmark-max-time=0.1",
            "--benchmark-min-rounds=12",
            "--benchmark-autosave",
            f"--benchmark-storage={storage}",
        )
        for _ in range(2)
    ]
    return storage, ran


@pytest.mark.slow
def test_two_saved_runs_compare(saved: tuple[Path, list[Ran]]) -> None:
    storage, ran = saved
    assert [r.code for r in ran] == [0, 0], ran[0].output
    assert ran[0].last_line == f"report: {ran[0].folder / 'report.md'}"
    done = subprocess.run(
        [sys.executable, "-m", "pytest_benchmark", f"--storage={storage}", "compare"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    for name in ("test_bptt[hihello-rnn_tanh-source-cpu-float32-numpy]", "(0001_", "(0002_"):
        assert name in done.stdout, done.stdout + done.stderr


def test_the_json_says_what_was_measured(saved: tuple[Path, list[Ran]]) -> None:
    _, ran = saved
    content = json.loads((ran[0].folder / "benchmark.json").read_text())
    assert len(content["benchmarks"]) == 4
    measured = ran[0].measurements()
    for bench in content["benchmarks"]:
        info = bench["extra_info"]
        assert bench["group"] == f"{info['phase']}[{bench['param'].removesuffix('-numpy')}]"
        recorded = measured[bench["group"], "numpy"]
        assert bench["stats"]["rounds"] == len(recorded.round_seconds) >= 12
        assert bench["stats"]["data"] == pytest.approx(recorded.round_seconds, rel=1e-6)
        assert info["spec"]["cell"] == "rnn_tanh"
        assert info["spec"]["hidden_size"] == (5 if info["task"] == "hihello" else 3)
        assert (info["device"], info["dtype"]) == ("cpu", "float32")
        assert info["threads"] >= 1
        assert "numpy" in info["path"]
        assert info["loss"] == pytest.approx(recorded.loss)
        assert 0 <= info["worst_error"] <= info["worst_error_bound"]
        assert info["worst_tensor"]
        assert info["tensors_compared"] > 5


def test_nothing_written_names_the_machine_or_its_user(saved: tuple[Path, list[Ran]]) -> None:
    storage, ran = saved
    names = {socket.gethostname(), str(ROOT), str(storage)} - {"", "localhost"}
    if getpass.getuser() != "root":  # "root" is an ordinary word of a report's "rootdir"
        names.add(getpass.getuser())
    written = [path for path in ran[0].folder.rglob("*") if path.is_file()]  # figures too
    files = [*written, *storage.rglob("*.json"), ran[0].reports / "README.md"]
    assert {file.name for file in files} >= {"report.md", "measurements.jsonl", "benchmark.json"}
    for file in files:
        content = file.read_text()
        found = [name for name in names if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", content)]
        assert not found, file.name


def test_paths_in_what_a_framework_says_do_not_get_into_a_report() -> None:
    said = "ImportError: /home/alice/.venv/lib/libtorch_cpu.so: undefined symbol (~/x/y.py, line 3)"
    cut = "ImportError: libtorch_cpu.so: undefined symbol (y.py, line 3)"
    assert provenance.without_paths(said) == cut
    harmless = "forward/backward at 1/2 of and/or ratio 3/4"
    assert provenance.without_paths(harmless) == harmless
    arguments = ["--benchmark-only", "--reports", "/tmp/x", "--run-name=y", "--task=hihello"]
    root = Path("/home/alice/rnnbench")
    assert provenance.command(arguments, root) == "pytest --benchmark-only --task=hihello"
    suite = ["--rootdir", str(root), "-c", f"{root}/pyproject.toml", f"{root}/bench/suite"]
    assert provenance.command([*suite, *arguments], root) == (
        "pytest --benchmark-only --task=hihello"
    )
    for needed in (["bench/suite", "-v"], ["--benchmark-only", "bench/suite/a.py", "bench/suite"]):
        assert provenance.command(needed, root) == f"pytest {' '.join(needed)}"
    assert provenance.command([f"{root}/bench/suite/test_bptt.py", "-k", "torch"], root) == (
        "pytest bench/suite/test_bptt.py -k torch"
    )


def test_groups_and_parameters_are_distinct(saved: tuple[Path, list[Ran]]) -> None:
    _, ran = saved
    content = json.loads((ran[0].folder / "benchmark.json").read_text())
    params = {tuple(sorted(bench["params"].items())) for bench in content["benchmarks"]}
    expected = {
        ("cell", "rnn_tanh"),
        ("device", "cpu"),
        ("dtype", "float32"),
        ("size", "source"),
        ("task", "hihello"),
        ("variant", "numpy"),
    }
    assert tuple(sorted(expected)) in params


def test_the_checks_alone_time_and_write_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        command(
            "bench/suite",
            "--benchmark-disable",
            "--task=hihello",
            "--backend=numpy",
            f"--reports={tmp_path / 'reports'}",
        ),
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout
    assert not (tmp_path / "reports").exists()


@pytest.mark.slow
def test_dropout_is_checked_without_and_timed_with(tmp_path: Path) -> None:
    ran = suite(
        tmp_path,
        "--task=hihello",
        "--layers=2",
        "--dropout=0.4",
        "--phase=forward,bptt,train_step",
        "--backend=numpy",
        "--benchmark-max-time=0.1",
    )
    assert ran.code == 0, ran.output
    found = ran.measurements()
    assert len(found) == 3
    for (workload, _), m in found.items():
        assert "source+L2+C5+dropout0.4" in workload
        assert m.workload.spec.dropout == 0.4
        assert m.round_seconds
        assert m.agreement is not None
        assert {"outputs", "states"} <= set(m.agreement.kinds)
        assert ("gradients" in m.agreement.kinds) == (m.workload.phase != "forward")


@pytest.mark.slow
def test_processes_are_fresh_ones_of_one_workload(tmp_path: Path) -> None:
    ran = suite(
        tmp_path,
        "--task=hihello",
        "--phase=forward",
        "--backend=numpy",
        "--processes=2",
        "--benchmark-max-time=0.1",
    )
    assert ran.code == 0, ran.output
    (found,) = ran.measurements().values()
    assert len(found.processes) == 2
    starts = {process.cold.start_seconds for process in found.processes}
    assert len(starts) == 2, "both processes report the same start"

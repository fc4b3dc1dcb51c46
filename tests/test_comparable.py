"""What `rnnbench compare` reads, and which runs it compares."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from compared import FEW, rnnbench, run_data, two_workloads, write
from record_samples import (
    FULL_RUN,
    RUN,
    WORKLOAD,
    Records,
    measurement,
    parted,
    rounds,
    workload,
    workload_records,
)

from bench.compare import changes, runs
from bench.compare.matching import IncomparableError, match
from bench.compare.runs import WorkloadKey
from bench.records.schema import Measurement, Run


def dtype64() -> Records:
    return [*parted(workload_records(2, FEW, dtype="float64"))[0]]


MISMATCHES: dict[str, tuple[Records, Run, str]] = {
    "dtype": (dtype64(), FULL_RUN, "dtype: float32 / float64"),
    "threads": (
        [*parted(workload_records(2, FEW, threads=1))[0]],
        FULL_RUN,
        "threads: 2 / 1",
    ),
    "spec": (
        workload_records(2, FEW, hidden_size=99),
        FULL_RUN,
        "hidden_size 128 / 99",
    ),
    "size": (
        workload_records(2, FEW, hidden_size=99, overridden=("hidden",)),
        FULL_RUN,
        "size: base / base+H99",
    ),
    "machine": (
        workload_records(2, FEW),
        msgspec.structs.replace(
            FULL_RUN, machine=msgspec.structs.replace(RUN.machine, cpu="Other CPU")
        ),
        "machine: Example CPU 9000, 2 cores / Other CPU, 2 cores",
    ),
}


@pytest.mark.parametrize("what", MISMATCHES)
def test_what_differs_is_refused_unless_told_so_and_then_said(tmp_path: Path, what: str) -> None:
    records, run, reason = MISMATCHES[what]
    base = write(tmp_path / "base", workload_records(1, FEW))
    other = write(tmp_path / "other", records, run)
    code, output = rnnbench(base, other)
    assert code == 2, output
    assert reason in output
    assert "--force" in output
    code, output = rnnbench(base, other, "--force")
    assert code == 0, output
    assert "Compared only because of --force" in output
    assert reason in output.replace("\\_", "_")
    assert "| torch " in output


def test_runs_without_a_common_workload_are_refused_even_with_force(tmp_path: Path) -> None:
    base = write(tmp_path / "base", workload_records(1, FEW))
    other = write(tmp_path / "other", workload_records(2, FEW, task="hihello"))
    for force in ([], ["--force"]):
        code, output = rnnbench(base, other, *force)
        assert code == 2
        assert "no workload in common" in output


def test_a_serial_run_is_never_compared(tmp_path: Path) -> None:
    base = run_data(tmp_path, "a", workload_records(1, FEW))
    serial = msgspec.structs.replace(FULL_RUN, serial=True)
    other = run_data(tmp_path, "b", workload_records(2, FEW), serial)
    with pytest.raises(IncomparableError, match="a --serial run"):
        match(base, other, force=True)
    benchmark = {
        "group": "bptt[...], torch alone (--serial)",
        "fullname": "bench/suite/test_bptt.py::test_bptt[...]",
        "extra_info": {"variant": "torch", "workload": WORKLOAD, "serial": True},
        "stats": {"data": [1.0, 1.1]},
    }
    file = tmp_path / "benchmark.json"
    file.write_bytes(msgspec.json.encode({"benchmarks": [benchmark], "machine_info": {}}))
    with pytest.raises(IncomparableError, match="a --serial run"):
        match(runs.read(file), runs.read(file), force=True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run"], "two or more"),
        (["run", "run", "--fail-if-slower", "a lot"], "number of percent"),
        (["run", "run", "--fail-if-slower", ""], "number of percent"),
        (["run", "nowhere"], "does not exist; expected the folder of a run"),
        (["run", "run/report.md"], "is made for reading; expected the folder of its run"),
        (["run", "."], "expected the folder of a run, one of those in it, such as"),
        (["run", "run", "--fail-if-unclear"], "without --fail-if-slower"),
        (["run", "broken.json"], "not JSON of pytest-benchmark"),
        (["run", "no-rounds.json"], "--benchmark-save-data"),
    ],
)
def test_wrong_use_is_said(tmp_path: Path, arguments: list[str], words: str) -> None:
    write(tmp_path / "run", workload_records(1, FEW))
    (tmp_path / "broken.json").write_text("{}")
    stats = {"fullname": "test_a", "stats": {"median": 1.0}}
    (tmp_path / "no-rounds.json").write_text(
        json.dumps({"benchmarks": [stats], "machine_info": {}, "commit_info": {}})
    )
    placed = [str(tmp_path / a) if a.startswith(("r", "n", "b", ".")) else a for a in arguments]
    code, output = rnnbench(*placed)
    assert code == 2, output
    assert words in output.replace("\n", " ")
    assert "Traceback" not in output


TEST = """
def test_sum(benchmark):
    benchmark(sum, range(1000))


def test_sorted(benchmark):
    benchmark(sorted, range(1000))
"""


def test_files_of_pytest_benchmark_are_read(tmp_path: Path) -> None:
    (tmp_path / "test_own.py").write_text(TEST)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_own.py"]
    subprocess.run(
        [*command, "--benchmark-max-time=0.05", "--benchmark-json=own.json"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    content = json.loads((tmp_path / "own.json").read_text())
    for benchmark in content["benchmarks"]:
        if benchmark["name"] == "test_sum":
            benchmark["stats"]["data"] = [3 * value for value in benchmark["stats"]["data"]]
    (tmp_path / "slow.json").write_text(json.dumps(content))
    code, output = rnnbench(
        tmp_path / "own.json", tmp_path / "slow.json", "--fail-if-slower", "50%"
    )
    assert code == 1, output
    assert "Slower: test_own.py::test_sum. Faster: nothing." in output
    assert rnnbench(tmp_path / "own.json", tmp_path / "own.json")[0] == 0


def test_our_own_json_and_our_records_are_the_same_run(tmp_path: Path) -> None:
    records = [measurement("torch", rounds(0.04, 0.041, 0.042))]
    folder = write(tmp_path / "run", list(records))
    (m,) = records
    benchmark = {
        "group": m.workload.id,
        "fullname": "bench/suite/test_bptt.py::test_bptt[...]",
        "extra_info": {
            "variant": "torch",
            "workload": msgspec.to_builtins(m.workload),
            "versions": m.versions,
        },
        "stats": {"data": list(m.round_seconds)},
    }
    machine = {"cpu": {"brand_raw": "Example CPU 9000", "count": 2}}
    content = {"benchmarks": [benchmark], "machine_info": machine, "commit_info": {"id": "abc"}}
    file = folder / "benchmark.json"
    file.write_text(json.dumps(content))
    here, there = runs.read(folder), runs.read(file)
    result = changes.compare(here, match(here, there).other)
    (change,) = result.changes
    assert change.seconds_ratio == 1.0
    assert change.judged.verdict in ("same", "unclear")


@pytest.mark.parametrize("overridden", [(), ("threads",)])
def test_runs_with_other_threads_are_compared_if_told_so(
    tmp_path: Path, overridden: tuple[str, ...]
) -> None:
    one = workload_records(2, FEW, threads=1, overridden=("threads",))
    base = write(tmp_path / "two", workload_records(1, FEW, overridden=overridden))
    other = write(tmp_path / "one", [r for r in one if isinstance(r, Measurement)])
    code, output = rnnbench(base, other)
    assert code == 2
    assert "threads: 2 / 1" in output
    assert "size:" not in output
    code, output = rnnbench(base, other, "--force")
    assert code == 0, output
    assert "| torch " in output


def test_threads_that_were_named_and_threads_that_were_not_are_the_same(tmp_path: Path) -> None:
    base = write(tmp_path / "two", workload_records(1, FEW))
    named = workload_records(2, FEW, overridden=("threads",))
    code, output = rnnbench(base, write(tmp_path / "named", named))
    assert code == 0, output
    assert "--force" not in output


def test_a_label_that_holds_a_hyphen_is_matched_by_its_fields(tmp_path: Path) -> None:
    dropped = {"num_layers": 2, "dropout": 1e-5, "overridden": ("dropout",)}
    label = workload(**dropped).label
    assert label == "base+dropout1e-05"
    base = write(tmp_path / "base", workload_records(1, FEW, **dropped))
    assert rnnbench(base, write(tmp_path / "same", workload_records(2, FEW, **dropped)))[0] == 0
    other = workload_records(2, FEW, dtype="float64", **dropped)
    code, output = rnnbench(base, write(tmp_path / "other", other), "--force")
    assert code == 0, output
    assert "dtype: float32 / float64" in output
    assert f"bptt[sentiment-lstm-{label}-cpu] " in output
    code, output = rnnbench(base, write(tmp_path / "plain", workload_records(3, FEW)))
    assert code == 2
    assert f"size: {label} / base" in output


def test_a_key_is_written_as_its_workload_is_named() -> None:
    named = workload(overridden=("threads", "hidden"), hidden_size=99)
    assert named.id == "bptt[sentiment-lstm-base+H99+threads2-cpu-float32]"
    key = WorkloadKey.of(named)
    assert str(key) == "bptt[sentiment-lstm-base+H99-cpu-float32]"
    assert str(replace(key, size=None, dtype=None, threads=None)) == "bptt[sentiment-lstm-cpu]"
    assert str(WorkloadKey(test="test_a.py::test_sum")) == "test_a.py::test_sum"


def test_runs_that_differ_in_two_things_are_compared_if_told_so(tmp_path: Path) -> None:
    base = write(tmp_path / "base", workload_records(1, FEW))
    other = write(tmp_path / "other", workload_records(2, FEW, size="large", dtype="float64"))
    assert rnnbench(base, other)[0] == 2
    code, output = rnnbench(base, other, "--force")
    assert code == 0, output
    assert "dtype: float32 / float64" in output
    assert "size: base / large" in output


def test_workloads_of_one_run_alone_are_counted(tmp_path: Path) -> None:
    base = write(tmp_path / "both", two_workloads(1))
    other = write(tmp_path / "one", workload_records(5, FEW, processes=3))
    code, output = rnnbench(base, other)
    assert code == 0, output
    assert "Left out, because only one of the runs has them: 1 workload of both." in output
    assert "Left out" not in rnnbench(base, base)[1]


def test_foreign_tests_are_no_drift_controls_of_each_other(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    def file(name: str, scale: float) -> Path:
        benchmarks = [
            {
                "group": "x",
                "fullname": f"test_a.py::test_{number}",
                "stats": {"data": (scale * rng.normal(1e-4, 1e-6, 2000)).tolist()},
            }
            for number in range(5)
        ]
        written = tmp_path / name
        written.write_text(json.dumps({"benchmarks": benchmarks, "machine_info": {}}))
        return written

    code, output = rnnbench(file("a.json", 1.0), file("b.json", 1.6), "--fail-if-slower=5%")
    assert code == 1, output
    assert output.count("FAILED: ") == 5
    assert "that is the machine" not in output

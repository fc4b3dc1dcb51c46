"""`rnnbench compare`: what changed from run to run, and what may not be compared."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from record_samples import (
    FULL_RUN,
    PACES,
    RUN,
    SPEC,
    cell_records,
    measurement,
    parted,
    rounds,
    stopped,
)
from typer.testing import CliRunner

from bench import cli, compare, record, sides
from bench.comparable import IncomparableError, match
from bench.record import Measurement, Race, Run
from bench.sides import Side

FEW = {name: PACES[name] for name in ("numpy", "torch", "jax")}


def write(folder: Path, records: list[Measurement | Race], run: Run = FULL_RUN) -> Path:
    folder.mkdir(parents=True)
    named = msgspec.structs.replace(run, name=folder.name)
    record.append(folder / "measurements.jsonl", [named, *records])
    return folder


def side(tmp_path: Path, name: str, records: list[Measurement | Race], run: Run = FULL_RUN) -> Side:
    return sides.read(write(tmp_path / name, records, run))


def called(result: compare.Result, verdict: str) -> set[str]:
    """Names of all that are `verdict`, in a cell or over all cells."""
    changes = {c.base.name for c in result.changes if c.judged.verdict == verdict}
    return changes | {n for n, judged in result.variants.items() if judged.verdict == verdict}


def rnnbench(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(cli.app, ["compare", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def pair(tmp_path: Path, seed: int, **second: object) -> compare.Result:
    base = side(tmp_path, f"a{seed}", cell_records(2 * seed, rounds=15, processes=2))
    other = side(tmp_path, f"b{seed}", cell_records(2 * seed + 1, rounds=15, processes=2, **second))
    return compare.compare(base, other)


def test_runs_of_the_same_code_are_told_apart_no_oftener_than_they_may(tmp_path: Path) -> None:
    results = [pair(tmp_path, seed) for seed in range(40)]
    alarms = sum(bool(called(r, "slower") | called(r, "faster")) for r in results)
    assert alarms <= 4  # of 40 runs with seven variants each; 5 % are 2
    changes = [change for result in results for change in result.changes]
    assert len(changes) == 280
    within = [c.judged.estimate.interval[0] <= 1 <= c.judged.estimate.interval[1] for c in changes]
    assert np.mean(within) >= 0.9


def test_one_variant_slowed_by_a_tenth_is_named_alone(tmp_path: Path) -> None:
    found = [called(pair(tmp_path, s, slower={"torch": 1.1}), "slower") for s in range(20)]
    assert sum(names == {"torch"} for names in found) >= 17
    quicker = called(pair(tmp_path, 99, slower={"torch": 0.8}), "faster")
    assert quicker == {"torch"}


def test_a_machine_that_is_slower_as_a_whole_slows_nothing(tmp_path: Path) -> None:
    base = side(tmp_path, "a", cell_records(1))
    other = side(tmp_path, "b", cell_records(2, scale=1.3))
    result = compare.compare(base, other)
    assert not called(result, "slower")
    assert 1.1 < next(iter(result.floors.values())) < 1.6
    assert all(change.seconds_ratio > 1.1 for change in result.changes)


def test_without_a_yardstick_only_large_changes_are_told(tmp_path: Path) -> None:
    def alone(seed: int, slower: float) -> list[Measurement | Race]:
        records = cell_records(seed, FEW, slower={"torch": slower})
        return [m for m in parted(records)[0] if m.variant == "torch"]

    base = side(tmp_path, "a", alone(1, 1.0))
    slight = compare.compare(base, side(tmp_path, "b", alone(2, 1.05)))
    large = compare.compare(base, side(tmp_path, "c", alone(2, 2.0)))
    assert [change.yardsticks for change in slight.changes] == [0]
    assert slight.changes[0].judged.verdict == "unclear"
    assert large.changes[0].judged.verdict == "slower"


def test_a_control_is_no_yardstick_of_its_own_variant(tmp_path: Path) -> None:
    only = {"numpy": PACES["numpy"]}
    base = side(tmp_path, "a", cell_records(1, only, processes=3))
    other = side(tmp_path, "b", cell_records(2, only, processes=3, slower={"numpy": 1.3}))
    result = compare.compare(base, other)
    assert [change.yardsticks for change in result.changes] == [1]  # the floor
    assert called(result, "slower") == {"numpy"}


def test_who_changed_is_no_yardstick_of_the_others(tmp_path: Path) -> None:
    base = side(tmp_path, "a", cell_records(1, FEW, processes=3))
    other = side(tmp_path, "b", cell_records(2, FEW, processes=3, slower={"torch": 2.0}))
    result = compare.compare(base, other)
    assert {change.base.name: change.yardsticks for change in result.changes} == {
        "numpy": 2,  # jax and the floor
        "torch": 4,  # numpy, its control, jax and the floor
        "jax": 3,
    }
    assert called(result, "slower") == {"torch"}
    assert not called(result, "faster")


def two_cells(seed: int, **changes: Any) -> list[Measurement | Race]:
    base = cell_records(seed, FEW, processes=3)
    return base + cell_records(seed + 1, FEW, processes=3, task="sin_sequence", **changes)


def test_cells_together_are_surer_than_one_and_no_surer_than_their_offset(tmp_path: Path) -> None:
    result = compare.compare(side(tmp_path, "a", two_cells(10)), side(tmp_path, "b", two_cells(20)))
    for name, judged in result.variants.items():
        alone = [c.judged.estimate.half_width for c in result.changes if c.base.name == name]
        offset = FULL_RUN.offset.variants.get(name, FULL_RUN.offset.spread) / 3**0.5
        assert 1.96 * offset < judged.estimate.half_width < max(alone)


def test_a_disturbed_cell_has_no_part_in_what_holds_over_all(tmp_path: Path) -> None:
    base = side(tmp_path, "a", two_cells(10))
    loud = two_cells(20, disturbed=60, slower={"torch": 3.0})
    assert not compare.compare(base, side(tmp_path, "b", loud)).variants


def test_an_entry_of_another_version_is_no_yardstick(tmp_path: Path) -> None:
    newer = [
        msgspec.structs.replace(r, versions={"numpy": "3.0"}) if isinstance(r, Measurement) else r
        for r in cell_records(2)
    ]
    result = compare.compare(side(tmp_path, "a", cell_records(1)), side(tmp_path, "b", newer))
    assert {change.yardsticks for change in result.changes} == {0}


def test_a_disturbed_run_decides_nothing(tmp_path: Path) -> None:
    base = side(tmp_path, "a", cell_records(1))
    other = side(tmp_path, "b", cell_records(2, disturbed=60, slower={"torch": 2.0}))
    result = compare.compare(base, other)
    assert {change.judged.verdict for change in result.changes} == {"unclear"}


def dtype64() -> list[Measurement | Race]:
    return [*parted(cell_records(2, FEW, dtype="float64"))[0]]


MISMATCHES: dict[str, tuple[list[Measurement | Race], Run, str]] = {
    "dtype": (dtype64(), FULL_RUN, "dtype: float32 / float64"),
    "threads": (
        [*parted(cell_records(2, FEW, threads=1))[0]],
        FULL_RUN,
        "threads: 2 / 1",
    ),
    "spec": (
        cell_records(2, FEW, spec={**SPEC, "hidden_size": 99}),
        FULL_RUN,
        "hidden_size 128 / 99",
    ),
    "size": (cell_records(2, FEW, size="base+H99"), FULL_RUN, "size: base / base+H99"),
    "machine": (
        cell_records(2, FEW),
        msgspec.structs.replace(
            FULL_RUN, machine=msgspec.structs.replace(RUN.machine, cpu="Other CPU")
        ),
        "machine: Example CPU 9000, 2 cores / Other CPU, 2 cores",
    ),
}


@pytest.mark.parametrize("what", MISMATCHES)
def test_what_differs_is_refused_unless_told_so_and_then_said(tmp_path: Path, what: str) -> None:
    records, run, reason = MISMATCHES[what]
    base = write(tmp_path / "base", cell_records(1, FEW))
    other = write(tmp_path / "other", records, run)
    code, output = rnnbench(base, other)
    assert code == 2, output
    assert reason in output
    assert "--force" in output
    code, output = rnnbench(base, other, "--force")
    assert code == 0, output
    assert "compared because of --force" in output
    assert reason in output.replace("\\_", "_")
    assert "| torch " in output


def test_runs_without_a_common_cell_are_refused_even_with_force(tmp_path: Path) -> None:
    base = write(tmp_path / "base", cell_records(1, FEW))
    other = write(tmp_path / "other", cell_records(2, FEW, task="hihello"))
    for force in ([], ["--force"]):
        code, output = rnnbench(base, other, *force)
        assert code == 2
        assert "no cell in common" in output


def test_a_serial_run_is_never_compared(tmp_path: Path) -> None:
    base = side(tmp_path, "a", cell_records(1, FEW))
    serial = msgspec.structs.replace(FULL_RUN, serial=True)
    other = side(tmp_path, "b", cell_records(2, FEW), serial)
    with pytest.raises(IncomparableError, match="times of --serial"):
        match(base, other, force=True)
    benchmark = {
        "group": "bptt[...], torch alone (--serial)",
        "fullname": "bench/suite/test_bptt.py::test_bptt[...]",
        "extra_info": {"variant": "torch", "spec": {}, "batch": 1, "steps": 1, "serial": True},
        "stats": {"data": [1.0, 1.1]},
    }
    file = tmp_path / "benchmark.json"
    file.write_text(json.dumps({"benchmarks": [benchmark], "machine_info": {}}))
    with pytest.raises(IncomparableError, match="times of --serial"):
        match(sides.read(file), sides.read(file), force=True)


def test_it_fails_where_something_is_surely_slower_by_as_much(tmp_path: Path) -> None:
    base = write(tmp_path / "base", cell_records(1, processes=3))
    same = write(tmp_path / "same", cell_records(2, processes=3))
    slow = write(tmp_path / "slow", cell_records(3, processes=3, slower={"torch": 1.15}))
    assert rnnbench(base, same, "--fail-if-slower", "5%")[0] == 0
    code, output = rnnbench(base, slow, "--fail-if-slower", "5%")
    assert code == 1
    assert "FAILED: torch takes 1.1" in output
    assert "Slower: torch. Faster: nothing." in output
    assert rnnbench(base, slow, "--fail-if-slower=40%")[0] == 0
    assert rnnbench(base, slow)[0] == 0
    assert rnnbench(base, same, slow, "--fail-if-slower", "5")[0] == 1


def test_it_fails_where_a_variant_has_lost_its_time(tmp_path: Path) -> None:
    base = write(tmp_path / "base", cell_records(1, FEW))
    records = [
        r for r in cell_records(2, FEW) if not (isinstance(r, Measurement) and r.variant == "torch")
    ]
    crashed = write(tmp_path / "crashed", [*records, stopped("torch", "crashed", "signal 11")])
    absent = write(tmp_path / "absent", records)
    code, output = rnnbench(base, crashed, "--fail-if-slower", "5%")
    assert code == 1
    assert "torch has no time in bptt[sentiment-lstm-base-cpu-float32] of crashed" in output
    assert rnnbench(base, absent, "--fail-if-slower", "5%")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run"], "two or more"),
        (["run", "run", "--fail-if-slower", "a lot"], "number of percent"),
        (["run", "run", "--fail-if-slower", ""], "number of percent"),
        (["run", "nowhere"], "does not exist; expected the folder of a run"),
        (["run", "broken.json"], "no JSON of pytest-benchmark"),
        (["run", "no-rounds.json"], "--benchmark-save-data"),
    ],
)
def test_wrong_use_is_said(tmp_path: Path, arguments: list[str], words: str) -> None:
    write(tmp_path / "run", cell_records(1, FEW))
    (tmp_path / "broken.json").write_text("{}")
    stats = {"fullname": "test_a", "stats": {"median": 1.0}}
    (tmp_path / "no-rounds.json").write_text(
        json.dumps({"benchmarks": [stats], "machine_info": {}, "commit_info": {}})
    )
    placed = [str(tmp_path / a) if a.startswith(("r", "n", "b")) else a for a in arguments]
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
    info = {"variant": "torch", "spec": m.spec, "batch": m.batch, "steps": m.steps, "threads": 2}
    benchmark = {
        "group": m.cell,
        "fullname": "bench/suite/test_bptt.py::test_bptt[...]",
        "extra_info": {**info, "versions": m.versions},
        "stats": {"data": list(m.round_seconds)},
    }
    machine = {"cpu": {"brand_raw": "Example CPU 9000", "count": 2}}
    content = {"benchmarks": [benchmark], "machine_info": machine, "commit_info": {"id": "abc"}}
    file = folder / "benchmark.json"
    file.write_text(json.dumps(content))
    here, there = sides.read(folder), sides.read(file)
    result = compare.compare(here, match(here, there).other)
    (change,) = result.changes
    assert change.seconds_ratio == 1.0
    assert change.judged.verdict in ("same", "unclear")


@pytest.mark.parametrize("size", ["base", "base+threads2"])
def test_runs_with_other_threads_are_compared_if_told_so(tmp_path: Path, size: str) -> None:
    one = cell_records(2, FEW, threads=1, size="base+threads1")
    base = write(tmp_path / "two", cell_records(1, FEW, size=size))
    other = write(tmp_path / "one", [r for r in one if isinstance(r, Measurement)])
    code, output = rnnbench(base, other)
    assert code == 2
    assert "threads: 2 / 1" in output
    assert "size:" not in output
    code, output = rnnbench(base, other, "--force")
    assert code == 0, output
    assert "| torch " in output


def test_threads_that_were_named_and_threads_that_were_not_are_the_same(tmp_path: Path) -> None:
    base = write(tmp_path / "two", cell_records(1, FEW))
    named = cell_records(2, FEW, size="base+threads2")
    code, output = rnnbench(base, write(tmp_path / "named", named))
    assert code == 0, output
    assert "--force" not in output


def test_runs_that_differ_in_two_things_are_compared_if_told_so(tmp_path: Path) -> None:
    base = write(tmp_path / "base", cell_records(1, FEW))
    other = write(tmp_path / "other", cell_records(2, FEW, size="large", dtype="float64"))
    assert rnnbench(base, other)[0] == 2
    code, output = rnnbench(base, other, "--force")
    assert code == 0, output
    assert "dtype: float32 / float64" in output
    assert "size: base / large" in output


def test_cells_of_one_run_alone_are_counted(tmp_path: Path) -> None:
    base = write(tmp_path / "both", two_cells(1))
    other = write(tmp_path / "one", cell_records(5, FEW, processes=3))
    code, output = rnnbench(base, other)
    assert code == 0, output
    assert "Left out, for they are in one of the runs alone: 1 cell of both." in output
    assert "Left out" not in rnnbench(base, base)[1]


def test_the_tests_of_strangers_are_no_yardsticks_of_each_other(tmp_path: Path) -> None:
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


def test_where_the_variants_change_and_the_floor_does_not_it_is_said(tmp_path: Path) -> None:
    base = write(tmp_path / "a", cell_records(1, FEW, processes=3))
    all_slower = dict.fromkeys(FEW, 1.3)
    other = write(tmp_path / "b", cell_records(2, FEW, processes=3, slower=all_slower))
    warning = "a change that all of them share is not seen below"
    assert warning in rnnbench(base, other)[1].replace("\n", " ")
    whole = write(tmp_path / "c", cell_records(2, FEW, processes=3, scale=1.3))
    assert warning not in rnnbench(base, whole)[1].replace("\n", " ")


def test_no_name_of_a_run_reaches_the_terminal_as_a_command(tmp_path: Path) -> None:
    name = "torch\x1b[31m"
    pace = {name: PACES["torch"]}
    base = write(tmp_path / "a", cell_records(1, pace, processes=3))
    other = write(tmp_path / "b", cell_records(2, pace, processes=3, slower={name: 2.0}))
    code, output = rnnbench(base, other, "--fail-if-slower=5%")
    assert code == 1
    assert "FAILED: torch" in output
    assert "\x1b" not in output

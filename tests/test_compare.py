"""`rnnbench compare`: what changed from run to run."""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path

import msgspec
import numpy as np
import pytest
from compared import FEW, called, rnnbench, run_data, two_workloads, write
from record_samples import FULL_RUN, PACES, Records, parted, sample, stopped, workload_records

from bench.analysis.verdicts import Comparison, Estimate
from bench.compare import changes, matching, power, runs
from bench.compare.power import Judged
from bench.records.schema import Measurement
from bench.records.workload import GivenFile
from tasks.inputs import InputOptions
from tasks.spec import OptimizerSpec


def pair(tmp_path: Path, seed: int, **second: object) -> changes.Result:
    base = run_data(tmp_path, f"a{seed}", workload_records(2 * seed, rounds=15, processes=2))
    other = run_data(
        tmp_path, f"b{seed}", workload_records(2 * seed + 1, rounds=15, processes=2, **second)
    )
    return changes.compare(base, other)


def test_runs_of_the_same_code_are_called_different_no_oftener_than_they_may(
    tmp_path: Path,
) -> None:
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
    base = run_data(tmp_path, "a", workload_records(1))
    other = run_data(tmp_path, "b", workload_records(2, scale=1.3))
    result = changes.compare(base, other)
    assert not called(result, "slower")
    assert 1.1 < next(iter(result.baselines.values())) < 1.6
    assert all(change.seconds_ratio > 1.1 for change in result.changes)


def test_without_drift_controls_only_large_changes_are_called(tmp_path: Path) -> None:
    def alone(seed: int, slower: float) -> Records:
        records = workload_records(seed, FEW, slower={"torch": slower})
        return [m for m in parted(records)[0] if m.variant == "torch"]

    base = run_data(tmp_path, "a", alone(1, 1.0))
    slight = changes.compare(base, run_data(tmp_path, "b", alone(2, 1.05)))
    large = changes.compare(base, run_data(tmp_path, "c", alone(2, 2.0)))
    assert [change.drift_controls for change in slight.changes] == [0]
    assert slight.changes[0].judged.verdict == "unclear"
    assert large.changes[0].judged.verdict == "slower"


def test_a_control_is_no_drift_control_of_its_own_variant(tmp_path: Path) -> None:
    only = {"numpy": PACES["numpy"]}
    base = run_data(tmp_path, "a", workload_records(1, only, processes=3))
    other = run_data(tmp_path, "b", workload_records(2, only, processes=3, slower={"numpy": 1.3}))
    result = changes.compare(base, other)
    assert [change.drift_controls for change in result.changes] == [1]  # the GEMM baseline
    assert called(result, "slower") == {"numpy"}


def test_who_changed_is_no_drift_control_of_the_others(tmp_path: Path) -> None:
    base = run_data(tmp_path, "a", workload_records(1, FEW, processes=3))
    other = run_data(tmp_path, "b", workload_records(2, FEW, processes=3, slower={"torch": 2.0}))
    result = changes.compare(base, other)
    assert {change.base.name: change.drift_controls for change in result.changes} == {
        "numpy": 2,  # jax and the GEMM baseline
        "torch": 4,  # numpy, its control, jax and the GEMM baseline
        "jax": 3,
    }
    assert called(result, "slower") == {"torch"}
    assert not called(result, "faster")


def test_workloads_together_are_surer_than_one_and_no_surer_than_their_processes(
    tmp_path: Path,
) -> None:
    result = changes.compare(
        run_data(tmp_path, "a", two_workloads(10)), run_data(tmp_path, "b", two_workloads(20))
    )
    for name, judged in result.variants.items():
        alone = [c.judged.estimate.half_width for c in result.changes if c.base.name == name]
        between = FULL_RUN.between_process
        deviation = between.variants.get(name, between.deviation) / 3**0.5
        assert 1.96 * deviation < judged.estimate.half_width < max(alone)


def test_a_disturbed_workload_has_no_part_in_what_holds_over_all(tmp_path: Path) -> None:
    base = run_data(tmp_path, "a", two_workloads(10))
    loud = two_workloads(20, disturbed=60, slower={"torch": 3.0})
    assert not changes.compare(base, run_data(tmp_path, "b", loud)).variants


def test_a_candidate_of_another_version_is_no_drift_control(tmp_path: Path) -> None:
    newer = [
        msgspec.structs.replace(r, versions={"numpy": "3.0"}) if isinstance(r, Measurement) else r
        for r in workload_records(2)
    ]
    result = changes.compare(
        run_data(tmp_path, "a", workload_records(1)), run_data(tmp_path, "b", newer)
    )
    assert {change.drift_controls for change in result.changes} == {0}


def test_a_disturbed_run_decides_nothing(tmp_path: Path) -> None:
    base = run_data(tmp_path, "a", workload_records(1))
    other = run_data(tmp_path, "b", workload_records(2, disturbed=60, slower={"torch": 2.0}))
    result = changes.compare(base, other)
    assert {change.judged.verdict for change in result.changes} == {"unclear"}


def test_it_fails_where_something_is_surely_slower_by_as_much(tmp_path: Path) -> None:
    base = write(tmp_path / "base", workload_records(1, processes=3))
    same = write(tmp_path / "same", workload_records(2, processes=3))
    slow = write(tmp_path / "slow", workload_records(3, processes=3, slower={"torch": 1.15}))
    assert rnnbench(base, same, "--fail-if-slower", "5%")[0] == 0
    code, output = rnnbench(base, slow, "--fail-if-slower", "5%")
    assert code == 1
    assert "FAILED: torch takes 1.1" in output
    assert "Slower: torch. Faster: nothing." in output
    assert rnnbench(base, slow, "--fail-if-slower=40%")[0] == 0
    assert rnnbench(base, slow)[0] == 0
    assert rnnbench(base, same, slow, "--fail-if-slower", "5")[0] == 1


def test_what_cannot_be_ruled_out_fails_if_that_is_asked(tmp_path: Path) -> None:
    base = write(tmp_path / "base", workload_records(1, processes=3))
    same = write(tmp_path / "same", workload_records(2, processes=3))
    unclear = ("--fail-if-slower=3%", "--fail-if-unclear")
    code, output = rnnbench(base, same, *unclear)
    assert code == 1
    assert re.search(r"FAILED: \w+ may take .* which does not rule out 1.03", output)
    assert rnnbench(base, same, unclear[0])[0] == 0
    assert rnnbench(base, same, "--fail-if-slower=60%", unclear[1])[0] == 0
    loud = write(tmp_path / "loud", workload_records(2, processes=3, disturbed=60))
    code, output = rnnbench(base, loud, "--fail-if-slower=60%", unclear[1])
    assert code == 1
    assert "FAILED: torch was disturbed in bptt[" in output
    code, output = rnnbench(base, same, unclear[1])
    assert code == 2
    assert "without --fail-if-slower" in output


def test_a_slow_down_below_the_limit_whose_interval_reaches_it_is_unclear(tmp_path: Path) -> None:
    base = write(tmp_path / "base", workload_records(1, FEW, processes=3))
    slow = write(tmp_path / "slow", workload_records(2, FEW, processes=3, slower={"torch": 1.3}))
    result = changes.compare(runs.read(base), runs.read(slow))
    (torch,) = (c.judged for c in result.changes if c.base.name == "torch")
    assert torch.verdict == "slower"
    between = f"--fail-if-slower={100 * (torch.estimate.interval[1] - 1) - 0.5:.1f}"
    assert rnnbench(base, slow, between)[0] == 0
    code, output = rnnbench(base, slow, between, "--fail-if-unclear")
    assert code == 1
    assert "FAILED: torch may take 1.3" in output


def test_a_variant_that_the_second_run_lacks_is_named_and_rules_nothing_out(
    tmp_path: Path,
) -> None:
    base = write(tmp_path / "base", workload_records(1, FEW, processes=3))
    few = [
        record
        for record in workload_records(2, FEW, processes=3)
        if not (isinstance(record, Measurement) and record.variant == "torch")
    ]
    other = write(tmp_path / "other", few)
    for pair in ((base, other), (other, base)):
        code, output = rnnbench(*pair, "--fail-if-slower=90%")
        assert code == 0
        assert "only one of the runs has them: torch in 1 workload of base." in output
    code, output = rnnbench(base, other, "--fail-if-slower=90%", "--fail-if-unclear")
    assert code == 1
    assert "FAILED: torch was not measured in 1 workload of other" in output


def test_records_without_a_positive_time_are_refused(tmp_path: Path) -> None:
    base = write(tmp_path / "base", workload_records(1, FEW))
    lines = (base / "measurements.jsonl").read_text().splitlines(keepends=True)
    for number, text in enumerate(("0.0", "-1.0")):
        broken = tmp_path / f"broken{number}"
        broken.mkdir()
        changed = [re.sub(r'"seconds":\[[^]]*\]', f'"seconds":[{text}]', line) for line in lines]
        (broken / "measurements.jsonl").write_text("".join(changed))
        code, output = rnnbench(base, broken)
        assert code == 2
        assert "has a round without a positive time in" in " ".join(output.split())
    (tmp_path / "folder" / "measurements.jsonl").mkdir(parents=True)
    code, output = rnnbench(base, tmp_path / "folder")
    assert code == 2
    assert "does not exist" in output


def test_it_says_what_the_runs_can_show_and_what_would_show_more(tmp_path: Path) -> None:
    base = write(tmp_path / "base", workload_records(1, processes=3))
    same = write(tmp_path / "same", workload_records(2, processes=3))
    output = rnnbench(base, same, "--fail-if-slower=3%")[1]
    assert re.search(r"not sure to show a slow-down of 3 %. That takes about \d+ processes", output)
    assert "comparisons would show a slow-down of 90 %" in rnnbench(
        base, same, "--fail-if-slower=90%"
    )[1]  # fmt: skip
    result = changes.compare(runs.read(base), runs.read(same))
    for each in power.of(result, [""] * len(result.changes)):
        needed = each.processes_for(0.03)
        more = Judged(
            **{**vars(each), "comparison": _sharper(each.comparison, each.processes, needed)}
        )
        assert more.least <= 1.0301
    absurd = power.sentence(power.of(result, [""] * len(result.changes)), 0.011)
    assert "more than 100 processes, or a quieter machine," in absurd


def test_rounds_without_any_scatter_need_no_more_processes() -> None:
    exact = Comparison(Estimate(0.0, 0.0, 8.0, math.log1p(0.01)), "same")
    judged = Judged("torch", "", exact, 1, 3, 1)
    assert judged.least == pytest.approx(1.01)
    assert judged.processes_for(0.005) is None, "within what counts as no difference"


def _sharper(found: Comparison, processes: int, more: int | None) -> Comparison:
    """The same with `more` processes."""
    assert more is not None
    error = found.estimate.standard_error * math.sqrt(processes / more)
    return Comparison(dataclasses.replace(found.estimate, standard_error=error), found.verdict)


def test_the_columns_reconcile(tmp_path: Path) -> None:
    base = write(tmp_path / "base", workload_records(1, processes=3))
    other = write(tmp_path / "other", workload_records(2, processes=3, scale=1.4))
    rows = [
        line.split("|")
        for line in rnnbench(base, other)[1].splitlines()
        if line.startswith("| bptt")
    ]
    assert len(rows) == len(PACES)
    for row in rows:
        uncorrected, drift, ratio = map(float, row[5:8])
        assert uncorrected / drift == pytest.approx(ratio, abs=0.011)


def test_one_control_alone_is_no_diagnosis_of_the_machine(tmp_path: Path) -> None:
    only = {"numpy": PACES["numpy"]}
    base = write(tmp_path / "a", workload_records(1, only, processes=3))
    other = write(tmp_path / "b", workload_records(2, only, processes=3))
    output = rnnbench(base, other)[1].replace("\n", " ")
    assert "it cannot be told whether the machine changed, or the baseline alone" in output
    assert "unchanged programs took" not in output


def test_a_third_party_variant_stands_in_the_head_with_its_versions(tmp_path: Path) -> None:
    pace = {"mylib": PACES["torch"], "numpy": PACES["numpy"]}

    def run(name: str, seed: int, version: str) -> Path:
        records = [
            msgspec.structs.replace(r, versions={"rnnbench-mylib": version})
            if isinstance(r, Measurement) and r.variant == "mylib"
            else r
            for r in workload_records(seed, pace, processes=3)
        ]
        return write(tmp_path / name, records)

    versions = ("0.1, commit 111111111111", "0.2, commit 222222222222")
    base, other = (run(v[:3], n, v) for n, v in enumerate(versions))
    head = rnnbench(base, other)[1].partition("| workload")[0]
    assert f"mylib: rnnbench-mylib {versions[0]} / " in head
    assert versions[1] in head


def test_it_fails_where_a_variant_has_lost_its_time(tmp_path: Path) -> None:
    base = write(tmp_path / "base", workload_records(1, FEW))
    records = [
        r
        for r in workload_records(2, FEW)
        if not (isinstance(r, Measurement) and r.variant == "torch")
    ]
    crashed = write(tmp_path / "crashed", [*records, stopped("torch", "crashed", "signal 11")])
    absent = write(tmp_path / "absent", records)
    code, output = rnnbench(base, crashed, "--fail-if-slower", "5%")
    assert code == 1
    assert "torch has no time in bptt[sentiment-lstm-base-cpu-float32] of crashed" in output
    assert rnnbench(base, absent, "--fail-if-slower", "5%")[0] == 0


def test_where_the_variants_change_and_the_gemm_baseline_does_not_it_is_said(
    tmp_path: Path,
) -> None:
    base = write(tmp_path / "a", workload_records(1, FEW, processes=3))
    all_slower = dict.fromkeys(FEW, 1.3)
    other = write(tmp_path / "b", workload_records(2, FEW, processes=3, slower=all_slower))
    warning = "A change that all variants share does not show below"
    assert warning in rnnbench(base, other)[1].replace("\n", " ")
    whole = write(tmp_path / "c", workload_records(2, FEW, processes=3, scale=1.3))
    assert warning not in rnnbench(base, whole)[1].replace("\n", " ")


def test_no_name_of_a_run_reaches_the_terminal_as_a_command(tmp_path: Path) -> None:
    name = "torch\x1b[31m"
    pace = {name: PACES["torch"]}
    base = write(tmp_path / "a", workload_records(1, pace, processes=3))
    other = write(tmp_path / "b", workload_records(2, pace, processes=3, slower={name: 2.0}))
    code, output = rnnbench(base, other, "--fail-if-slower=5%")
    assert code == 1
    assert "FAILED: torch" in output
    assert "\x1b" not in output


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("initial_state", {"inputs": InputOptions(initial_state=True)}),
        ("stateful", {"stateful": True}),
        ("weighted", {"inputs": InputOptions(weighted=True)}),
        ("values", {"inputs": InputOptions(values="denormal")}),
        ("weights", {"weights": GivenFile(name="a.npz", sha256="0" * 64)}),
        ("embedding", {"embedding": GivenFile(name="a.txt", sha256="0" * 64)}),
        ("optimizer", {"optimizer": OptimizerSpec("sgd")}),
    ],
)
def test_what_a_name_hides_keeps_two_runs_from_being_compared(
    name: str, change: dict[str, object]
) -> None:
    measurement = next(m for m in sample() if m.role == "variant")
    named = msgspec.structs.replace(measurement.workload, given_name="mine")
    facts = matching._facts(named)
    other = matching._facts(msgspec.structs.replace(named, **change))
    assert [field for field in facts if facts[field] != other[field]] == [name]

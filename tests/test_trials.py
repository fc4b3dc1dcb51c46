"""What a selftest comes to, from trials whose deviation between processes and scatter are known."""

from __future__ import annotations

import contextlib
import math
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec
import numpy as np
import psutil
import pytest
from record_samples import WORKLOAD

from bench.analysis import verdicts
from bench.config import grid
from bench.config.grid import Request
from bench.records import machine, schema
from bench.report.markdown import selftest as report
from bench.selftest import background_load, run, store, trials
from bench.selftest.trials import BaselineTrial, Trial
from bench.workers.process import WorkerDiedError, WorkerRaisedError

WHEN = "2026-01-02T03:04:05+00:00"
ROUNDS = tuple(1.0 + 0.01 * number for number in range(12))


def made(
    deviation: float, pairs: int, repeats: int = 3, noise: float = 0.005, variant: str = "a"
) -> list[Trial]:
    """Trials of `pairs` between which the standard deviation is `deviation`."""
    rng = np.random.default_rng(pairs)
    found = []
    for pair in range(pairs):
        lasting = deviation * rng.standard_normal()
        for slowdown in (*[0.0] * repeats, 0.05, 0.10):
            first = np.exp(noise * rng.standard_normal(12))
            second = np.exp(lasting + math.log1p(slowdown) + noise * rng.standard_normal(12))
            found.append(
                Trial(
                    variant=variant,
                    pair=pair,
                    slowdown=slowdown,
                    first_seconds=tuple(first),
                    second_seconds=tuple(second),
                )
            )
    return found


def test_short_steps_have_a_deviation_of_their_own() -> None:
    long = made(0.05, pairs=200)
    short = [msgspec.structs.replace(t, short=True) for t in made(0.01, pairs=210)]
    found = trials.between_process([*long, *(trial for trial in short if not trial.slowdown)], WHEN)
    assert found.deviation == pytest.approx(0.05, rel=0.15)
    assert found.of_short_steps is not None
    assert found.of_short_steps.deviation == pytest.approx(0.01, rel=0.15)
    assert found.of_short_steps.degrees == 210 + verdicts.PRIOR_PAIRS
    assert trials.between_process(long, WHEN).of_short_steps is None


@pytest.mark.parametrize("deviation", [0.005, 0.02, 0.06])
def test_the_deviation_between_processes_is_found(deviation: float) -> None:
    found = trials.between_process(made(deviation, pairs=200), WHEN)
    assert found.deviation == pytest.approx(deviation, rel=0.15)
    assert found.variants["a"] == pytest.approx(deviation, rel=0.15)
    assert found.degrees == 200 + verdicts.PRIOR_PAIRS
    assert found.measured == WHEN


def test_few_pairs_that_lie_together_by_chance_are_not_believed_to_have_none() -> None:
    found = trials.between_process(made(0.0, pairs=4), WHEN)
    assert found.deviation > 0.3 * verdicts.ASSUMED.deviation
    many = trials.between_process(made(0.0, pairs=400), WHEN)
    assert many.deviation < 0.1 * verdicts.ASSUMED.deviation


def test_more_processes_are_recommended_where_they_lie_farther_apart() -> None:
    counts = []
    for deviation in (0.005, 0.02, 0.04):
        members = made(deviation, pairs=100)
        counts.append(trials.recommended_processes(members, trials.between_process(members, WHEN)))
    assert counts[0] == 1
    assert counts == sorted(counts)
    assert counts[2] > counts[1] > 1


def test_the_recommended_number_finds_five_per_cent_in_half_of_the_cases() -> None:
    members = made(0.02, pairs=120)
    count = trials.recommended_processes(members, trials.between_process(members, WHEN))
    table = trials.summarise(members, [], (1, count), WHEN)
    row = {(t.slowdown, t.processes): t for t in table}
    assert row[0.05, count].called / len(row[0.05, count].ratios) >= 0.5
    same = row[0.0, 1]
    assert same.called == same.wrong <= 0.05 * len(same.ratios)
    assert same.covered >= 0.9 * len(same.ratios)
    assert len(same.ratios) == 3 * 120
    assert len(row[0.0, count].ratios) == 3 * (120 // count)
    assert not row[0.05, count].wrong


def test_disturbed_trials_are_never_called() -> None:
    members = [msgspec.structs.replace(t, disturbed=1.0) for t in made(0.001, pairs=8)]
    table = trials.summarise(members, [], (1,), WHEN)
    assert table
    assert not any(t.called for t in table)


def test_the_ratios_of_the_pytest_benchmark_baseline_stand_beside_ours() -> None:
    beside = BaselineTrial(
        variant="a", pair=0, slowdown=0.0, first_seconds=1.0, second_seconds=1.25
    )
    table = trials.summarise(made(0.01, pairs=4), [beside], (1,), WHEN)
    assert {t.slowdown: t.pytest_benchmark for t in table} == {0.0: (1.25,), 0.05: (), 0.10: ()}


def test_no_trial_without_a_slow_down_is_an_error() -> None:
    with pytest.raises(ValueError, match="expected one or more"):
        trials.between_process([t for t in made(0.01, pairs=2) if t.slowdown], WHEN)


def test_a_selftest_is_kept_for_this_machine_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(store.FOLDER, str(tmp_path))
    assert store.load() is None
    assert store.between_process(None) is verdicts.ASSUMED
    members = made(0.01, pairs=4)
    here = machine.describe()
    result = schema.Selftest(
        started=WHEN,
        machine=here,
        workload=WORKLOAD,
        seconds=1.0,
        trials=tuple(trials.summarise(members, [], (1,), WHEN)),
        between_process=trials.between_process(members, WHEN),
        recommended_processes=2,
        others_cores=0.0,
        disturbed=0.0,
    )
    store.save(result)
    assert store.load() == result
    assert store.between_process(store.load()) == result.between_process
    other = msgspec.structs.replace(here, cpu="another processor")
    store.save(msgspec.structs.replace(result, machine=other, recommended_processes=9))
    assert store.load() == result
    store.path().write_text("torn")
    assert store.load() is None


class Pairs:
    """Takes the place of workers: notes who is alive, and lets a minute pass a trial."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, plan: run.Plan, build_minutes: float = 0.0
    ) -> None:
        self.plan, self.minutes, self.build_minutes = plan, 0.0, build_minutes
        self.building: list[int] = []  # processes beside this one, whenever a model is built
        self.trying: list[int] = []  # and whenever a trial runs
        monkeypatch.setattr(run, "_timed_model", lambda *_: self.built())
        monkeypatch.setattr(run, "_trial", lambda *of: self.tried(of[5]))
        monkeypatch.setattr(run.time, "monotonic", lambda: 60.0 * self.minutes)

    @staticmethod
    def others() -> int:
        return sum(background_load._BURN in p.cmdline() for p in psutil.Process().children())

    def built(self) -> None:
        self.building.append(self.others())
        self.minutes += self.build_minutes

    def tried(self, share: float) -> Trial:
        self.trying.append(self.others())
        self.minutes += 1
        return Trial(
            variant="a", pair=0, slowdown=share, first_seconds=ROUNDS, second_seconds=ROUNDS
        )

    def run(self, folder: Path) -> schema.Selftest:
        return run.run(self.plan, mock.Mock(), folder, lambda _: None)


def plan_of(**changes: Any) -> run.Plan:
    one = {"phases": ("bptt",), "devices": ("cpu",), "dtypes": ("float32",), "threads": (1,)}
    request = Request(tasks=("hihello",), **one)  # type: ignore[arg-type]
    few = {"pairs": 3, "repeats": 2, "injected": 0, "pytest_benchmark": 0}
    few["pytest_benchmark_injected"] = False
    return run.Plan(next(grid.workloads(request)), ["a", "b"], **few | changes)


@pytest.mark.parametrize(
    ("minutes", "build_minutes", "made"),
    [(None, 0, 12), (4.5, 0, 5), (4.0, 0, 4), (100.0, 0, 12), (4.5, 1, 2), (6.5, 1, 3)],
)
def test_no_trial_begins_after_the_limit(
    minutes: float | None,
    build_minutes: float,
    made: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pairs = Pairs(monkeypatch, plan_of(minutes=minutes), build_minutes)
    result = pairs.run(tmp_path)
    assert len(pairs.trying) == len(trials.read_raw(tmp_path / run.RAW)[0]) == made
    assert result.left_out == 12 - made
    said = " ".join(report.findings(result))
    assert ("The time was used up" in said) == (made < 12)
    monkeypatch.setenv(store.FOLDER, str(tmp_path))
    assert (run.keep(result, pairs.plan) is None) == (made < 12)


def test_a_selftest_that_has_no_time_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="used up"):
        Pairs(monkeypatch, plan_of(minutes=2.0), build_minutes=1.0).run(tmp_path)


def test_a_limited_pair_begins_with_what_all_others_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(10):
        plan = plan_of(minutes=0.5, injected=3, seed=seed)
        (folder := tmp_path / str(seed)).mkdir()
        assert Pairs(monkeypatch, plan).run(folder).left_out == plan.all_pairs * plan.trials - 1


def test_the_background_load_runs_during_the_trials_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = Pairs(monkeypatch, plan_of(background_load=True))
    pairs.run(tmp_path)
    assert pairs.building == [0] * 12
    assert pairs.trying == [1] * 12
    assert Pairs.others() == 0


def test_a_machine_on_which_no_number_of_processes_is_enough_is_reported() -> None:
    members = made(pairs=40, deviation=0.30)
    assert trials.recommended_processes(members, trials.between_process(members, WHEN)) == 0


def test_what_fails_costs_its_pair_alone_and_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = Pairs(monkeypatch, plan_of())
    count = 0

    def tried(share: float) -> Trial:
        nonlocal count
        count += 1
        if count == 2:
            raise WorkerRaisedError("no module named pytest", "")
        if count == 3:
            raise WorkerDiedError("gone", "")
        return pairs.tried(share)

    monkeypatch.setattr(run, "_trial", lambda *of: tried(of[5]))
    result = pairs.run(tmp_path)
    assert len(pairs.trying) == 12 - 1 - 2, "one trial, and a pair"
    assert result.left_out == 3
    assert result.problems == ("a: no module named pytest", "b: gone")
    said = report.findings(result)
    assert any("Some trials failed: 3 requested trials" in line for line in said)
    assert "b: gone" in report.page(result)
    hostile = msgspec.structs.replace(result, problems=("# a: <lambda>() [x](http://y)",))
    assert "\\# a: &lt;lambda>() [x\\](http://y)" in report.page(hostile)
    monkeypatch.setenv(store.FOLDER, str(tmp_path))
    assert run.keep(result, pairs.plan) is None


def test_a_disturbed_selftest_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(store.FOLDER, str(tmp_path))
    pairs = Pairs(monkeypatch, plan_of())
    result = pairs.run(tmp_path)
    assert run.keep(result, pairs.plan) is not None
    disturbed = msgspec.structs.replace(result, disturbed=0.5)
    assert run.keep(disturbed, pairs.plan) is None


def test_the_pytest_benchmark_baseline_is_slowed_down_where_ours_is() -> None:
    many = {"pytest_benchmark": 2, "injected": 1, "pytest_benchmark_injected": True}
    assert plan_of(**many).baseline_slowdowns == run.SLOWDOWNS
    for less in ({"pytest_benchmark": 0}, {"injected": 0}, {"pytest_benchmark_injected": False}):
        assert plan_of(**many | less).baseline_slowdowns == ()
    assert plan_of(**many).trials == 2 + 4 + 2 + 4


def test_the_background_load_ends_with_what_started_it(tmp_path: Path) -> None:
    starter = (
        "import os, subprocess, sys; "
        "command = [sys.executable, '-c', sys.argv[1], str(os.getpid())]; "
        "print(subprocess.Popen(command).pid, flush=True)"
    )
    done = subprocess.run(
        [sys.executable, "-c", starter, background_load._BURN],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    number = int(done.stdout)
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(number).wait(20)
    assert not psutil.pid_exists(number) or psutil.Process(number).status() == "zombie"


def test_what_a_workload_has_less_time_for_takes_more_processes() -> None:
    members = made(pairs=40, deviation=0.01)
    found = trials.between_process(members, WHEN)
    counts = [trials.recommended_processes(members, found, seconds) for seconds in (0.5, 50.0)]
    assert counts[0] < counts[1]

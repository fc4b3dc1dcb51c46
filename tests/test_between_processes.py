"""What recorded processes come to, where the truth is known."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import numpy as np
import pytest

from tools.between_processes import arms, evaluate
from tools.between_processes.recorded import Process

APART, QUIET, SCATTER, FASTER = 0.03, 0.004, 0.02, 0.95


def recorded(sets: int, rounds: int = 24) -> Iterator[Process]:
    """Processes of two arms that differ in how far they lie apart, and by 5 % in speed."""
    rng = np.random.default_rng(5)
    for number in range(sets):
        mood = 1 + 0.2 * rng.random(rounds)  # of the machine, the same for the whole set
        for arm, apart, pace in ((arms.NOW, APART, 1.0), ("thresholds", QUIET, FASTER)):
            for copy in (0, 1):
                offset = np.exp(apart / np.sqrt(2) * rng.standard_normal())
                scatter = np.exp(SCATTER * rng.standard_normal(rounds))
                seconds = 0.01 * pace * offset * mood * scatter
                yield Process(
                    set=number,
                    variant="numpy",
                    arm=arm,
                    copy=copy,
                    workload="bptt-some-net",
                    before_seconds=1.0,
                    rounds_seconds=1.0,
                    seconds=tuple(seconds.tolist()),
                    page_faults=440.0 if arm == arms.NOW else 0.0,
                    switches=1.0,
                    peak_bytes=2**20,
                    disturbed=0.0,
                )


PROCESSES = list(recorded(60))


def test_the_deviation_and_speed_of_each_arm_come_out() -> None:
    _, _, now, quiet = evaluate.of_arms(PROCESSES)
    found = re.search(r"apart\s+([\d.]+) % \(([\d.]+) to ([\d.]+)\)", now)
    assert found is not None
    deviation, low, high = (float(number) / 100 for number in found.groups())
    assert low <= APART <= high
    assert low < deviation < high
    assert "faults   440.0" in now
    assert "120 processes" in now
    ratio = re.search(r"time ([\d.]+) \(([\d.]+) to ([\d.]+)\)", quiet)
    assert ratio is not None
    _, low, high = map(float, ratio.groups())
    assert low <= FASTER <= high
    apart = re.search(r"apart\s+([\d.]+) %", quiet)
    assert apart is not None
    assert float(apart[1]) < 1.2, "the scatter of the rounds is no offset"


def test_the_verdicts_keep_what_they_promise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "DRAWN", 40)
    monkeypatch.setattr(evaluate, "RESAMPLED", 3)
    said = [line for line in evaluate.of_verdicts(PROCESSES) if line.startswith("    ")]
    assert [line.split("A/A")[0].strip() for line in said] == [
        *(f"K = {count}" for count in evaluate.COUNTS),
        "--precision 3%",
        "--precision 2%",
    ]
    powers = []
    for line in said:
        false, covered, three, five, ten, twenty = map(int, re.findall(r"(\d+) % \(", line))
        assert false <= 5
        assert covered >= 90
        assert three <= five <= ten <= twenty, "a larger slow-down is found more often"
        powers.append(ten)
    assert powers[3] > powers[0], "and with more processes"
    assert powers[5] == 100, "2 % of precision find 10 % always"


def test_trials_that_were_slowed_for_real_are_judged_as_they_came() -> None:
    quiet = [one for one in PROCESSES if one.arm != arms.NOW]
    made = []
    for first, second in zip(quiet[::2], quiet[1::2], strict=True):
        slowed = tuple(1.1 * value for value in first.seconds)
        live = first.set < 3
        made.append(_with(first, first.seconds if live else ()))
        made.append(_with(second, slowed if live else ()))
    *_, said = evaluate.live(made)
    assert "3 of 3 called slower, 3 intervals contain the truth; ratios 1.100, 1.100" in said


def _with(one: Process, slowed: tuple[float, ...]) -> Process:
    fields = {name: getattr(one, name) for name in one.__struct_fields__}
    return Process(**fields | {"arm": arms.NOW, "slowed_seconds": slowed})


def test_an_arm_changes_the_environment_inside_its_block_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MALLOC_TOP_PAD_", "7")
    monkeypatch.delenv("MALLOC_TRIM_THRESHOLD_", raising=False)
    with arms.within(arms.ARMS["thresholds"]):
        assert os.environ["MALLOC_TOP_PAD_"] != "7"
        assert "MALLOC_TRIM_THRESHOLD_" in os.environ
    assert os.environ["MALLOC_TOP_PAD_"] == "7"
    assert "MALLOC_TRIM_THRESHOLD_" not in os.environ

"""A report says how quiet the machine was, and what of it may not be believed."""

from __future__ import annotations

import re

import msgspec
import numpy as np
from pages import report, rows
from record_samples import (
    FULL_RUN,
    RUN,
    Records,
    parted,
    sample,
    workload_records,
)

from bench.analysis import estimators, text
from bench.records.schema import WorkloadRecord


def changed(records: Records, **changes: object) -> list[WorkloadRecord]:
    """Of the workloads, each with these fields of its processes replaced."""
    return [
        msgspec.structs.replace(
            record,
            processes=tuple(msgspec.structs.replace(p, **changes) for p in record.processes),
        )
        for record in parted(records)[1]
    ]


def test_a_busy_machine_is_warned_of_at_the_top() -> None:
    busy = msgspec.structs.replace(RUN, cores_busy_before=1.5)
    assert "Warning" not in report(RUN, sample())
    assert "load before this run was 1.50 cores" in report(busy, sample()).split("## ")[0]


def test_a_disturbed_run_says_so_at_its_top_and_decides_nothing() -> None:
    records = workload_records(5)
    blocks = parted(records)[1][0].processes[0].blocks
    around = changed(records, disturbed=blocks // 2)
    markdown = report(FULL_RUN, parted(records)[0], around)
    top, rest = markdown.split("## ", 1)
    assert "**Warning: a disturbed run.**" in top
    assert "undecided, because the machine was too busy" in rest
    assert " ? |" in rest
    assert "#1 |" not in rest
    assert "? stands for an undecided rank" in rest
    assert rows(markdown, "keras-torch")[1][5] == "unclear"
    assert "** is fastest" not in rest
    quiet = report(FULL_RUN, *parted(records))
    assert "Warning" not in quiet
    assert rows(quiet, "keras-torch")[1][5] == "slower"


def test_a_false_alarm_of_the_control_is_said_at_the_top() -> None:
    measurements, around = parted(workload_records(5))
    (again,) = [m for m in measurements if m.role == "control"]
    (process,) = again.processes
    late = msgspec.structs.replace(process, seconds=tuple(2 * s for s in process.seconds))
    slow = msgspec.structs.replace(again, processes=(late,))
    others = [m for m in measurements if m.role != "control"]
    top = report(FULL_RUN, [*others, slow], around).split("## ")[0]
    assert "a false alarm.** In bptt[sentiment-lstm-base-cpu-float32], the A/A control" in top
    assert "control reports numpy as different from itself" in top
    assert "false alarm" not in report(FULL_RUN, measurements, around).split("## ")[0]


def test_controls_and_gemm_baselines_are_no_variants() -> None:
    markdown = report(FULL_RUN, *parted(workload_records(5)))
    assert "| gemm baseline " not in markdown
    assert "numpy (2)" not in markdown
    assert "7 of 7 measurements agree" in markdown
    assert "A/A control: the ratio of numpy to itself, measured twice, is " in markdown
    assert "The GEMM baseline, these products alone, takes " in markdown
    assert "in openblas 0.3.31" in markdown


def test_what_stands_beside_the_time() -> None:
    measurements, around = parted(
        workload_records(5, {"numpy": (0.0100, 0.3), "jax": (0.0300, 2.0)})
    )
    section = report(FULL_RUN, measurements, around).split("### ")[1]
    beside = next(row for row in rows(section, "numpy") if "FLOP/s" in row[1])
    seconds = np.median(measurements[0].round_seconds)
    assert beside[1] == f"{412e6 / seconds / 1e9:.1f} GFLOP/s"
    share, low, high = map(float, re.findall(r"[\d.]+", beside[2]))
    assert 50 < low < share < high < 70  # 6 ms of 10
    assert beside[3] == text.mebibytes(measurements[0].processes[0].peak_host_bytes or 0)
    assert re.fullmatch(r"\d+ of 48", beside[4])
    assert int(beside[4].split()[0]) >= 1
    assert "The matrix products of a step take 412 MFLOP." in section
    assert "70 % of it in timed steps" in section
    assert "Start, build, check and warm-up took 21.0 s before them" in section
    assert "Clock: 2,445 (2,400 to 2,450) MHz." in section
    assert "reason to stop: time used up" in section


def test_throttling_of_a_gpu_is_said_at_the_top() -> None:
    measurements, _ = parted(workload_records(5))
    around = changed(workload_records(5), throttled=("power cap",), gpu_celsius=(60.0, 71.0))
    markdown = report(FULL_RUN, measurements, around)
    assert "the GPU reduced its clock:** power cap" in markdown.split("## ")[0]
    assert "GPU temperature: 66 (60 to 71) °C." in markdown


def test_a_serial_run_shows_times_and_compares_nothing() -> None:
    serial = msgspec.structs.replace(FULL_RUN, serial=True, selftest=None)
    measurements, around = parted(workload_records(5))
    taken = [msgspec.structs.replace(m, serial=True) for m in measurements]
    markdown = report(serial, taken, around)
    assert "A serial run." in markdown.split("## ")[0]
    before = markdown.split("## How to read this")[0]
    for word in ("#1", "slower", "** is fastest", "95 %", "A/A control: ", "ratios-"):
        assert word not in before, word
    assert "7 variants timed and not compared." in markdown
    assert text.duration(estimators.median_seconds(parted(workload_records(5))[0][0])) in markdown


def test_the_difference_between_processes_is_said_to_be_measured_or_assumed() -> None:
    assert "differ by 2.0 % (standard deviation, assumed;" in report(RUN, sample())
    measured = "differ by 1.5 % (standard deviation, measured 2026-11-20 10:00 UTC)"
    assert measured in report(FULL_RUN, *parted(workload_records(5)))


def test_the_selftest_is_a_table_or_how_to_make_one() -> None:
    assert "No selftest has been made on this machine" in report(RUN, sample())
    markdown = report(FULL_RUN, *parted(workload_records(5)))
    section = markdown.split("## Selftest")[1].split("\n## ")[0]
    (first, second) = rows(section, "numpy")
    assert first[1:] == [
        *("-", "1", "1.005", "0.992 - 1.018", "0 of 4", "0", "4 of 4", "0.915 - 1.185")
    ]
    assert second[1:3] == ["10 %", "2"]
    assert second[-1] == ""
    assert "10 pairs of processes per variant" in markdown

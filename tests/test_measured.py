"""What a run leaves beside the times of its variants; and a run within one process."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from running import Ran, suite

from bench.records import schema, store
from bench.records.schema import Measurement, WorkloadRecord
from tasks.flops import step_flops

pytestmark = pytest.mark.slow
OPTIONS = ("--task=hihello,sin_sequence", "--phase=bptt", "--benchmark-max-time=0.1")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    found = suite(tmp_path_factory.mktemp("reports"), *OPTIONS, "--backend=numpy", "--processes=2")
    assert found.code == 0, found.output
    return found


def _all(ran: Ran) -> tuple[schema.Run, list[Measurement], list[WorkloadRecord]]:
    return store.read(ran.folder / "measurements.jsonl")


def test_a_control_and_the_baseline_run_in_the_same_rounds(ran: Ran) -> None:
    _, measurements, records = _all(ran)
    workloads = list(dict.fromkeys(m.workload for m in measurements))
    assert workloads == [record.workload for record in records]
    assert len(workloads) == 2
    for workload in workloads:
        of = {m.role: m for m in measurements if m.workload == workload}
        assert set(of) == {"variant", "control", "gemm baseline"}
        assert of["control"].variant == of["variant"].variant == "numpy"
        assert of["control"].agreement is not None
        counts = {tuple(len(p.seconds) for p in m.processes) for m in of.values()}
        assert len(counts) == 1
        for rounds in zip(*(m.processes for m in of.values()), strict=True):
            places = zip(*(p.position for p in rounds), strict=True)
            assert all(sorted(place) == [0, 1, 2] for place in places)
        assert of["gemm baseline"].path, "the BLAS has a name"
        assert of["gemm baseline"].agreement is None


def test_latency_throughput_memory_and_cold_start_are_recorded(ran: Ran) -> None:
    _, measurements, _ = _all(ran)
    for m in measurements:
        assert len(m.processes) == 2
        for process in m.processes:
            assert len(process.seconds) >= 10
            assert len(process.throughput_seconds) == len(process.seconds[::3])
            assert all(seconds > 0 for seconds in process.throughput_seconds)
            assert process.device_seconds == ()
            assert process.cold.start_seconds > 0
        assert m.processes[0].cold != m.processes[1].cold, "fresh processes"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is read from /proc")
def test_memory_of_a_fresh_process_differs_from_that_of_a_used_one(
    ran: Ran, tmp_path: Path
) -> None:
    for m in _all(ran)[1]:
        for fresh in m.processes:
            assert fresh.held_host_bytes == 0
            assert fresh.peak_host_bytes is not None
            assert fresh.peak_host_bytes > 0
    _, measurements, _ = _all(suite(tmp_path, *OPTIONS, "--backend=numpy"))
    first, other = dict.fromkeys(m.workload for m in measurements)
    for m in measurements:
        (used,) = m.processes
        assert used.peak_host_bytes is not None
        assert used.held_host_bytes is not None
        if m.workload == first:
            assert used.held_host_bytes == 0
        else:
            assert m.workload == other
            assert 0 < used.held_host_bytes <= used.peak_host_bytes


def test_a_record_says_where_the_time_of_its_workload_went_and_why_it_ended(ran: Ran) -> None:
    _, measurements, records = _all(ran)
    for record in records:
        workload = record.workload
        m = next(m for m in measurements if m.workload == workload)
        flops = step_flops(workload.spec, workload.batch, workload.steps, workload.phase)
        assert record.flops == flops
        assert len(record.processes) == 2
        for process, rounds in zip(record.processes, m.processes, strict=True):
            assert process.rounds == len(rounds.seconds) == len(process.others_cores)
            assert 0 < process.timed_seconds < process.rounds_seconds
            assert process.before_seconds > 0
            assert process.after_seconds > 0
            assert process.stopped in ("narrow enough", "time used up")
            assert process.blocks == 3 * process.rounds + process.repeated
            assert process.disturbed <= process.blocks
        assert 0.0 <= record.disturbed <= 1.0


def test_the_gradients_through_time_stand_in_the_record(ran: Ran) -> None:
    for record in _all(ran)[2]:
        assert len(record.gradient_norms) == record.workload.steps
        assert all(norm > 0 for norm in record.gradient_norms)


def test_a_run_knows_how_far_its_processes_lie_apart(ran: Ran) -> None:
    run, _, _ = _all(ran)
    assert run.format == schema.FORMAT
    assert run.between_process.deviation > 0
    assert not run.serial


@pytest.fixture(scope="module")
def serial(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("serial")
    return suite(folder, "--serial", *OPTIONS, "--backend=numpy", "-s", "-v")


def test_a_serial_run_times_and_is_marked_and_never_compared(serial: Ran) -> None:
    assert serial.code == 0, serial.output
    run, measurements, records = _all(serial)
    assert run.serial
    assert [m.role for m in measurements] == ["variant", "variant"]
    assert all(m.serial and m.status == "ok" and len(m.round_seconds) >= 10 for m in measurements)
    assert [record.processes for record in records] == [(), ()]
    assert "alone (--serial)" in serial.output


def test_a_serial_run_is_one_process(tmp_path: Path) -> None:
    wrong = suite(tmp_path / "reports", "--serial", "--processes=2")
    assert wrong.code == pytest.ExitCode.USAGE_ERROR
    assert "--serial is one process" in wrong.output


def test_the_value_of_a_round_is_the_median_of_its_steps(ran: Ran) -> None:
    _, measurements, _ = _all(ran)
    compared = 0
    for process in (process for m in measurements for process in m.processes):
        if sum(map(len, process.step_seconds)) != process.steps:
            continue  # a sample
        for raw, value in zip(process.step_seconds, process.seconds, strict=True):
            assert value == pytest.approx(np.median(raw), abs=2e-9)
            compared += 1
    assert compared >= 10

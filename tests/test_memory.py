"""Memory of a build, in a process that built others before; and what is read from it."""

from __future__ import annotations

import platform
import sys
import tracemalloc
from pathlib import Path

import msgspec
import numpy as np
import pytest
from record_samples import RUN, measurement, rounds

from backends.jax.xla import XlaPeak
from backends.numpy.backend import NumpyBackend
from bench.analysis import memory
from bench.records import store
from bench.records.schema import Measurement, ProcessRounds
from bench.report.markdown import tables
from bench.workers.memory import MemoryCount, _resident_bytes
from tasks import TASKS
from tasks.spec import init_params

MIB = 2**20


@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is read from /proc")
def test_what_a_workload_before_left_is_counted_apart() -> None:
    count = MemoryCount()
    count.imported()
    count.begin()
    kept = np.ones(200 * MIB, np.uint8)
    count.settle()
    assert host(count) == (pytest.approx(200 * MIB, rel=0.1), 0)
    count.begin()
    np.ones(400 * MIB, np.uint8)
    count.settle()
    np.ones(100 * MIB, np.uint8)
    count.settle()  # once a workload
    peak, held = host(count)
    assert held == pytest.approx(200 * MIB, rel=0.1)
    assert peak - held == pytest.approx(100 * MIB, rel=0.1), "not what was needed before it ran"
    del kept
    with count.uncounted():
        profiler = np.ones(300 * MIB, np.uint8)
    count.begin()
    count.settle()
    assert host(count)[0] < 20 * MIB
    del profiler


def host(count: MemoryCount) -> tuple[int, int]:
    """Peak and held bytes."""
    found = count.read()
    peak, held = found["peak_host_bytes"], found["held_host_bytes"]
    assert peak is not None
    assert held is not None
    return peak, held


@pytest.mark.parametrize(
    ("counted", "expected"),
    [([0, 700, 700, 700], [700, None]), ([0, 700, 700, 900], [700, 900]), ([None] * 4, [None] * 2)],
)
def test_a_device_count_that_cannot_begin_again_is_believed_where_it_rose(
    counted: list[int | None], expected: list[int | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    left = iter(counted)
    monkeypatch.setattr(XlaPeak, "_counted", lambda self, device: next(left))
    peak, found = XlaPeak(), []
    for _ in expected:
        peak.begin("cuda:0")
        found.append(peak.read("cuda:0"))
    assert found == expected


@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is read from /proc")
def test_nothing_is_reported_where_the_kernel_does_not_count_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bench.workers.memory._forget_peak", lambda: False)
    count = MemoryCount()
    count.imported()
    count.begin()
    count.settle()
    assert count.read()["peak_host_bytes"] is None


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc gives memory back on request")
def test_memory_that_a_read_frees_stays_for_the_steps_after_it() -> None:
    """Given back to the system, they would take it again page by page, in their time."""
    count = MemoryCount()
    count.imported()
    count.begin()
    count.settle()
    with count.paused():
        blocks = [bytes(1000) for _ in range(50_000)]  # 50 MB in small blocks
        above = bytes(1000)  # so that they are no free top of the heap
        held = _resident_bytes("VmRSS")
        del blocks
    left = _resident_bytes("VmRSS")
    assert above
    assert held is not None
    assert left is not None
    assert left > held - 25e6


def process(start: float, peak: int, held: int | None = None) -> ProcessRounds:
    made = rounds(0.04)
    return msgspec.structs.replace(
        made,
        cold=msgspec.structs.replace(made.cold, start_seconds=start),
        peak_host_bytes=peak,
        held_host_bytes=held,
        peak_device_bytes=2 * peak,
    )


def test_what_was_counted_is_read_again(tmp_path: Path) -> None:
    of = [measurement("torch", process(0.1, 60 * MIB), process(0.2, 70 * MIB, 0))]
    store.append(tmp_path / "new.jsonl", [RUN, *of])
    assert store.read(tmp_path / "new.jsonl")[1] == of


@pytest.mark.parametrize(
    ("processes", "words"),
    [
        ((process(0.1, 74 * MIB, 0),), "74.0 MiB"),
        ((process(0.1, 80 * MIB, 32 * MIB),), "48.0 to 80.0 MiB"),
        ((process(0.1, 80 * MIB, 32 * MIB), process(0.2, 74 * MIB, 0)), "74.0 MiB"),
        ((process(0.1, 70 * MIB, 0), process(0.2, 74 * MIB, 0)), "74.0 MiB"),
    ],
)
def test_one_number_where_a_process_was_fresh_and_two_where_none_was(
    processes: tuple[ProcessRounds, ...], words: str
) -> None:
    m: Measurement = measurement("torch", *processes)
    assert tables.host_memory(m) == words


def test_nothing_is_said_where_nothing_was_counted() -> None:
    m = measurement("torch", rounds(0.04))
    assert tables.host_memory(m) == ""
    assert memory.on_device(m) is None


def test_a_numpy_model_holds_the_buffers_of_one_phase() -> None:
    task = TASKS["sentiment"]
    spec, batch = task.spec(task.sizes["base"], cell="lstm"), task.batch(task.sizes["base"], seed=0)

    def held(*phases: str) -> int:
        model = NumpyBackend().build(
            spec, init_params(spec, 0), device="cpu", dtype="float32", optimizer=None
        )
        placed = model.place(batch)
        tracemalloc.start()
        for phase in phases:
            getattr(model, phase)(placed)
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return size

    assert held("bptt", "forward", "bptt") == pytest.approx(held("bptt"), rel=0.05)
    assert held("bptt") > 1.3 * held("forward") > 0


@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is read from /proc")
def test_what_is_read_during_the_rounds_is_not_counted() -> None:
    count = MemoryCount()
    count.imported()
    count.begin()
    count.settle()
    np.ones(100 * MIB, np.uint8)
    with count.paused():
        np.ones(400 * MIB, np.uint8)
    assert host(count)[0] == pytest.approx(100 * MIB, rel=0.1), "the peak before stays"
    np.ones(200 * MIB, np.uint8)
    assert host(count)[0] == pytest.approx(200 * MIB, rel=0.1), "and counting goes on"

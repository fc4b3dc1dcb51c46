"""Memory of a build, in an interpreter that built others before; and what is read from it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from record_samples import RUN, measurement, rounds

from bench import record
from bench.memory import MemoryCount
from bench.record import Measurement, Rounds
from bench.report import memory

MIB = 2**20


def counting(values: list[int | None]) -> Callable[[], int | None]:
    """A framework's own counter: these values, one after the other."""
    left = iter(values)
    return lambda: next(left)


@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is read from /proc")
def test_what_a_build_before_left_is_told_apart() -> None:
    count = MemoryCount(lambda: None)
    count.imported()
    count.begin()
    kept = np.ones(200 * MIB, np.uint8)
    first = host(count)
    assert first == (pytest.approx(200 * MIB, rel=0.1), 0)
    count.begin()
    np.ones(100 * MIB, np.uint8)
    peak, held = host(count)
    assert held == pytest.approx(200 * MIB, rel=0.1)
    assert peak - held == pytest.approx(100 * MIB, rel=0.1)
    del kept
    count.begin()
    assert host(count)[0] < 20 * MIB, "the peak of the builds before is forgotten"


def host(count: MemoryCount) -> tuple[int, int]:
    """Peak and held bytes."""
    found = count.read()
    peak, held = found["peak_host_bytes"], found["held_host_bytes"]
    assert peak is not None
    assert held is not None
    return peak, held


@pytest.mark.parametrize(
    ("counted", "expected"),
    [
        ([700, 700, 700], [700, None]),  # since the start, and this build needed no more
        ([700, 700, 900], [700, 900]),  # since the start, and it needed more
        ([700, 700, 300], [700, 300]),  # begun again at the build
        ([None, None, None], [None, None]),
    ],
)
def test_a_device_count_that_did_not_begin_again_is_not_believed(
    counted: list[int | None], expected: list[int | None]
) -> None:
    count = MemoryCount(counting(counted))
    found = []
    for _ in expected:
        count.begin()
        found.append(count.read()["peak_device_bytes"])
    assert found == expected


def process(start: float, peak: int, held: int | None = None) -> Rounds:
    made = rounds(0.04)
    return msgspec.structs.replace(
        made,
        cold=msgspec.structs.replace(made.cold, start_seconds=start),
        peak_host_bytes=peak,
        held_host_bytes=held,
        peak_device_bytes=2 * peak,
    )


def test_older_records_tell_memory_of_the_first_cell_of_an_interpreter_alone(
    tmp_path: Path,
) -> None:
    of = [
        measurement("torch", process(0.1, 50 * MIB)),
        measurement("torch", process(0.1, 60 * MIB), process(0.2, 70 * MIB)),
        measurement("numpy", process(0.1, 10 * MIB)),
    ]
    file = tmp_path / "measurements.jsonl"
    record.append(file, [msgspec.structs.replace(RUN, format=2), *of])
    found = [m.processes for m in record.read(file)[1]]
    assert [[p.peak_host_bytes for p in each] for each in found] == [
        [50 * MIB],
        [None, 70 * MIB],
        [10 * MIB],
    ]
    assert [[p.held_host_bytes for p in each] for each in found] == [[0], [None, 0], [0]]
    assert found[1][0].peak_device_bytes is None
    record.append(tmp_path / "new.jsonl", [RUN, *of])
    assert record.read(tmp_path / "new.jsonl")[1] == of


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
    processes: tuple[Rounds, ...], words: str
) -> None:
    m: Measurement = measurement("torch", *processes)
    assert memory.words(memory.on_host(m)) == words


def test_nothing_is_said_where_nothing_was_counted() -> None:
    m = measurement("torch", rounds(0.04))
    assert memory.words(memory.on_host(m)) == ""
    assert memory.on_device(m) is None

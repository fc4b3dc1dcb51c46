"""Records keep what was measured, whatever happens to the file afterwards."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import msgspec
import pytest
from pages import report
from record_samples import RUN, sample

from bench.records import schema, store


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "measurements.jsonl"
    store.append(file, [RUN, *sample()])
    return file


def test_what_is_written_is_read_again(file: Path) -> None:
    assert store.read(file) == (RUN, sample(), [])
    assert file.read_bytes().count(b"\n") == 1 + len(sample())


def test_lines_are_appended(file: Path) -> None:
    before = file.read_bytes()
    store.append(file, sample()[:1])
    assert file.read_bytes().startswith(before)
    assert store.read(file)[1] == [*sample(), sample()[0]]


@pytest.mark.parametrize("cut", [1, 2, 50, 300])
def test_a_torn_last_line_is_left_out(file: Path, cut: int) -> None:
    whole = file.read_bytes()
    file.write_bytes(whole[:-cut])
    run, kept, _ = store.read(file)
    if cut == 1:  # without its newline a line is still whole
        assert (run, kept) == (RUN, sample())
    else:
        assert kept == sample()[:-1]
        assert run.damaged[0].startswith(f"line {1 + len(sample())} cannot be read: ")


def test_every_cut_of_a_korean_line_is_survived(tmp_path: Path) -> None:
    file = tmp_path / "measurements.jsonl"
    korean = msgspec.structs.replace(sample()[4], reason="오류")
    store.append(file, [RUN, korean])
    whole = file.read_bytes()
    start = whole.index("오류".encode())
    for end in range(start, start + 8):
        file.write_bytes(whole[:end])
        run, kept, _ = store.read(file)
        assert (kept, len(run.damaged)) == ([], 1)


GARBAGE = (
    b"not json",
    b'{"record":"measurement"}',
    b"\0" * 4096,
    b"[" * 100_000,
    b'{"record":"x"}',
)


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
def test_a_damaged_line_is_named_and_left_out(file: Path, garbage: bytes) -> None:
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:2], garbage + b"\n", *lines[2:]]))
    run, kept, _ = store.read(file)
    assert kept == sample()
    (damaged,) = run.damaged
    assert damaged.startswith("line 3 cannot be read: ")
    page = report(run, kept)
    assert "**Warning: damaged records.**" in page
    assert "line 3 cannot be read" in page


def test_a_damaged_first_line_is_an_error_that_names_it(file: Path) -> None:
    file.write_bytes(b"x" + file.read_bytes())
    with pytest.raises(ValueError, match=r"contains no run; .*line 1 cannot be read"):
        store.read(file)


def test_a_run_that_was_resumed_says_when(file: Path) -> None:
    again = msgspec.structs.replace(RUN, started="2031-01-01T00:00:00+00:00")
    store.append(file, [again])
    run, kept, _ = store.read(file)
    assert (run.started, run.resumed) == (RUN.started, (again.started,))
    assert kept == sample()


def test_lines_are_appended_whole_or_not_at_all(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = file.read_bytes()
    real = os.write

    def full(out: int, content: bytes) -> int:
        if len(content) < 100:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(out, content[:-50])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        store.append(file, sample())
    assert file.read_bytes() == before


@pytest.mark.parametrize("other", [schema.FORMAT - 1, schema.FORMAT + 1])
def test_another_format_is_refused(tmp_path: Path, other: int) -> None:
    file = tmp_path / "measurements.jsonl"
    store.append(file, [msgspec.structs.replace(RUN, format=other)])
    with pytest.raises(ValueError, match=f"format {other}; this version reads format"):
        store.read(file)


def test_a_file_without_a_run_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "measurements.jsonl"
    file.write_bytes(b"")
    with pytest.raises(ValueError, match="contains no run"):
        store.read(file)
    store.append(file, sample()[:1])
    with pytest.raises(ValueError, match="contains no run"):
        store.read(file)


def test_a_workload_is_named_by_all_that_makes_it() -> None:
    assert sample()[0].workload.id == "bptt[sentiment-lstm-base-cpu-float32]"
    assert sample()[0].round_seconds == (0.040, 0.042, 0.044, 0.041, 0.043, 0.045)


@pytest.mark.parametrize("cut", [1, 2, 50, 300])
def test_appending_after_a_torn_line_loses_nothing_else(file: Path, cut: int) -> None:
    whole = file.read_bytes()
    file.write_bytes(whole[:-cut])
    store.append(file, sample()[:1])
    kept = sample() if cut == 1 else sample()[:-1]
    assert store.read(file) == (RUN, [*kept, sample()[0]], [])


def test_a_file_is_kept_with_some_workloads(file: Path) -> None:
    wanted = {sample()[0].workload}
    store.keep(file, wanted)
    run, kept, _ = store.read(file)
    assert run == RUN
    assert kept == [m for m in sample() if m.workload in wanted]
    assert [path.name for path in file.parent.iterdir()] == [file.name]

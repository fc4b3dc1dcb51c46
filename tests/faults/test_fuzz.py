"""Damaged records, workload files and options: each is read, or refused as documented.

`make prove` reads 100,000 inputs, `make test-all` a few hundred of each kind.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from record_samples import RUN, sample

from bench.config import option_table, options, workload_file
from bench.measurement.plan import Plan
from bench.records import store

FEW, MANY = 300, {"records": 40_000, "files": 30_000, "options": 30_000}
TOKENS = (
    *(b"null", b"true", b"-1", b"0", b"1e999", b"9" * 400, b'"', b"{", b"}", b"[", b"]", b","),
    *(b":", b"\n", b"\0", b"\xff", b"\\ud800", b"[" * 2000, b'""', b"{}", b"[]", b"=", b"#"),
    *(b'"format":6', b"../../x", b"\x1b[2J", b"nan", b"1970-01-01", "오류".encode()),
)
FILE = b"""\
backend = "numpy"
[[workload]]
name = "mine"
cell = ["lstm", "gru"]
batch = 3
steps = [4, 8]
hidden = 5
bidirectional = true
dropout = 0.5
layers = 2
"""


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """The content after some edits, each of which may be anywhere."""
    for _ in range(draw(st.integers(1, 5))):
        begin = draw(st.integers(0, len(content)))
        end = min(len(content), begin + draw(st.sampled_from((0, 0, 1, 2, 8, 100))))
        piece = draw(st.one_of(st.sampled_from(TOKENS), st.binary(max_size=6), st.just(b"")))
        content = content[:begin] + piece + content[end:]
    return content


def _counted(count: int) -> Callable[[Any], Any]:
    return settings(max_examples=count, deadline=None, database=None)


# Small records: as many kinds of fields, in few bytes.
RECORDS = store.lines([msgspec.structs.replace(RUN, selftest=None), *sample()[3:5]])


def _read_records(folder: Path, content: bytes) -> None:
    file = folder / store.FILE
    file.write_bytes(content)
    try:
        run, measurements, about = store.read(file)
    except ValueError:
        return
    assert len(measurements) + len(about) + len(run.damaged) <= content.count(b"\n") + 1


def _read_file(folder: Path, content: bytes) -> None:
    file = folder / "net.toml"
    file.write_bytes(content)
    try:
        found = workload_file.read(file)
    except ValueError:
        return
    assert found.workloads


class Config:
    """What `options.read` asks of pytest's configuration."""

    args: tuple[str, ...] = ()

    def __init__(self, given: dict[str, Any]) -> None:
        every = [*option_table.OWN, *option_table.PYTEST_BENCHMARK]
        self._values = {option.destination: option.default for option in every}
        self._values |= {o.destination: False for o in option_table.OWN if not o.metavar}
        self._values |= {"benchmark_max_time": "1.0", "benchmark_min_time": "0.000005"}
        self._values |= {"benchmark_min_rounds": "5", "benchmark_disable": False}
        self._values |= {"benchmark_enable": False, **given}
        words = [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
        self.invocation_params = SimpleNamespace(args=words, dir=Path.cwd())

    def getoption(self, name: str) -> Any:
        return self._values[name.replace("-", "_")]

    def getini(self, name: str) -> list[str]:
        return []


def _values(option: option_table.Option) -> st.SearchStrategy[Any]:
    """Words that may stand for an option: good ones, near ones, and anything."""
    good = (
        "1",
        "2,3",
        "numpy",
        "hihello",
        "custom",
        "lstm,gru",
        "forward",
        "float64",
        "cpu",
        "mse",
    )
    odd = ("", ",", "0", "-1", "1e999", "nan", "inf", "9" * 400, "1,,2", "cuda:9" + "9" * 40, "\0")
    odd += ("../x", "/", "~", "\x1b[2J", "오류", "²", "4G", "1e3M", "x" * 5000, "all", "a=b", "--")
    words = st.one_of(st.sampled_from((*good, *odd)), st.text(max_size=12))
    return words.map(lambda word: [word]) if option.repeats else words


@st.composite
def asked(draw: st.DrawFn) -> dict[str, Any]:
    given = {}
    for _ in range(draw(st.integers(1, 4))):
        option = draw(st.sampled_from(option_table.OWN))
        given[option.destination] = draw(_values(option)) if option.metavar else True
    return given


def _read_options(given: dict[str, Any]) -> None:
    config: Any = Config(given)
    said = "nothing"
    try:
        found = options.read(config)
        Plan(found, options.settings(config, found)).workloads()
    except pytest.UsageError as error:
        said = str(error)
    assert said
    assert not [c for c in said if unicodedata.category(c) in ("Cc", "Cf", "Cs")]


def _test_records(count: int) -> Callable[[Path], None]:
    def run(folder: Path) -> None:
        @_counted(count)
        @given(damaged(RECORDS))
        def read(content: bytes) -> None:
            _read_records(folder, content)

        read()

    return run


def _test_files(count: int) -> Callable[[Path], None]:
    def run(folder: Path) -> None:
        @_counted(count)
        @given(damaged(FILE))
        def read(content: bytes) -> None:
            _read_file(folder, content)

        read()

    return run


def _test_options(count: int) -> Callable[[Path], None]:
    def run(_: Path) -> None:
        @_counted(count)
        @given(asked())
        def read(given: dict[str, Any]) -> None:
            _read_options(given)

        read()

    return run


KINDS = {"records": _test_records, "files": _test_files, "options": _test_options}


@pytest.mark.parametrize("kind", KINDS)
def test_some_inputs(kind: str, tmp_path: Path) -> None:
    KINDS[kind](FEW)(tmp_path)


@pytest.mark.prove
@pytest.mark.parametrize("kind", KINDS)
def test_a_hundred_thousand_inputs(kind: str, tmp_path: Path) -> None:
    assert sum(MANY.values()) == 100_000
    KINDS[kind](MANY[kind])(tmp_path)

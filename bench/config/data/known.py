"""The data that a run was asked for: read once, and known by what was asked from then on."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.analysis import text
from bench.config.data import reading
from bench.config.data.lines import checked_encoding, checked_file, sha256
from bench.config.data.reading import LONGEST_NAME, SHAPES
from bench.records.workload import DataSet, Workload
from tasks import TASKS
from tasks.given_data import GivenData
from tasks.task import Task

TOKENS = ("spaces", "characters")
ENCODING = "utf-8"
MOST_WORDS = 10_000  # of a vocabulary
LEAST_COUNT = 1
_DIGITS = 9  # of the number of a column

OPTIONS = ("data", "columns", "encoding", "tokens", "max_vocab", "min_count")
OWN_TOKENS = {"pos_tagging": TOKENS, "charseq": ("spaces",)}  # and what does not go with them

_READ: dict[tuple[str, DataSet], tuple[GivenData, list[str]]] = {}


def read(asked: Mapping[str, Sequence[Any]], tasks: Sequence[str]) -> DataSet | None:
    """The data set that the options ask for, once it is read for the one task; None without any.

    `asked` are the values of options by their names, as `fields.DATA` has them. Raises ValueError.
    """
    given = {name: asked[name] for name in OPTIONS if name in asked}
    if several := [option for option, values in given.items() if len(values) > 1]:
        raise ValueError(f"--{_written(several[0])} makes no grid; expected one value")
    one = {name: values[0] for name, values in given.items()}
    if "data" not in one:
        if one:
            raise ValueError(f"--{_written(next(iter(one)))} has no effect without --data")
        return None
    if len(tasks) != 1 or tasks[0] not in SHAPES:
        raise ValueError(f"--data is of one task; expected --task= and one of {', '.join(SHAPES)}")
    name, path = tasks[0], one["data"]
    for owner, others in OWN_TOKENS.items():
        if name == owner and one.get("tokens") in others:
            raise ValueError(f"{name} has its own tokens; expected no --tokens={one['tokens']}")
    data = DataSet(
        name=path.name,
        sha256=sha256(path),
        columns=one.get("columns", ()),
        encoding=one.get("encoding", ENCODING),
        tokens=one.get("tokens", "characters" if name == "charseq" else "spaces"),
        max_vocab=one.get("max_vocab", MOST_WORDS),
        min_count=one.get("min_count", LEAST_COUNT),
    )
    if (name, data) not in _READ:
        found = reading.read(path, name, data)
        if sha256(path) != data.sha256:
            raise ValueError(f"{path} has changed while it was read; expected one that stays")
        _READ[name, data] = found
    return data


def task(name: str, data: DataSet | None) -> Task:
    """The task of that name, on the data of a run where there is one."""
    return TASKS[name] if data is None else _READ[name, data][0]


def of_workload(workload: Workload) -> Task:
    """The task of a workload."""
    return task(workload.task, workload.data)


def in_words(name: str, data: DataSet) -> list[str]:
    """What was read, a line each."""
    return _READ[name, data][1]


def file(name: str, word: str) -> Path:
    return checked_file(name, word)


def encoding(name: str, word: str) -> str:
    return checked_encoding(name, word)


def columns(name: str, word: str) -> tuple[str, str]:
    """Two columns, by name or both by number."""
    found = tuple(part.strip() for part in unicodedata.normalize("NFC", word).split(","))
    numbers = [part.isdecimal() for part in found]
    too_long = any(numbers) and max(map(len, found)) > _DIGITS
    if len(found) != 2 or not all(found) or len({*numbers}) > 1 or too_long:
        raise ValueError(
            f"--{name} {text.plain(word, LONGEST_NAME)!r}: expected the columns of text and "
            "label, as document,label, or their numbers, as 6,1"
        )
    return found[0], found[1]


def _written(name: str) -> str:
    return name.replace("_", "-")

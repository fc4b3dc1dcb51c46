"""Workload files: nets of one's own as TOML, one `[[workload]]` each.

A workload has a name and the options of a run; a list of values makes a grid. Options above the
first workload hold for all of them. A preset is such a file, and says what it asks.
"""

from __future__ import annotations

import datetime
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.config import text_file, validation
from bench.config.fields import FIELDS, FILES, SIZES, Values, option

# Of a preset; `stated` holds the options as its source has them, beside those of the file.
ABOUT: Mapping[str, type] = {
    "asks": str,
    "source": str,
    "differs": str,
    "gpu": bool,
    "needs": str,
    "stated": dict,
}
OF_RUN: Mapping[str, type] = {"backend": str, "processes": int}  # never of one workload
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
DEFAULT_TASK = "custom"

_KINDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text in quotes",
    dict: "a table",
    list: "a list",
    datetime.date: "a date",
    datetime.datetime: "a date",
    datetime.time: "a time",
}


@dataclass(frozen=True)
class NamedWorkloads:
    """One `[[workload]]`: a grid under one name."""

    name: str  # "" if it is called by its size, as on the command line
    values: Values
    where: str = ""  # its file and its place there, for messages

    @property
    def several(self) -> frozenset[str]:
        """The options that have more than one value."""
        return frozenset(name for name, found in self.values.items() if len(found) > 1)


@dataclass(frozen=True)
class WorkloadFile:
    """What a file holds."""

    workloads: tuple[NamedWorkloads, ...]  # at least one
    of_run: Mapping[str, str]  # OF_RUN, as the command line has them
    about: Mapping[str, Any]  # ABOUT


def read(path: Path) -> WorkloadFile:
    """Read a file. Raises ValueError that says what was expected, what came and where."""
    content = _toml(path)
    tables = content.pop("workload", None)
    if isinstance(tables, dict):
        raise ValueError(f"{path}: expected [[workload]], in two pairs of brackets")
    if not isinstance(tables, list) or not tables or not all(isinstance(t, dict) for t in tables):
        raise ValueError(f"{path} has no workload; expected at least one [[workload]]")
    where = f"{path}, above the first workload"
    beside = {**ABOUT, **OF_RUN}
    about = {name: content.pop(name) for name in beside if name in content}
    for name, value in about.items():
        for one in value if name == "backend" and isinstance(value, list) else [value]:
            _expect_kind(where, name, one, (beside[name],))
    about["stated"] = _values(f"{path}, stated", about.get("stated", {}), path)
    shared = _values(where, content, path, known=beside)
    found = tuple(_workload(path, number, table, shared) for number, table in enumerate(tables, 1))
    expect_different(found)
    return WorkloadFile(
        found,
        {name: _as_word(about[name]) for name in OF_RUN if name in about},
        {name: about[name] for name in ABOUT if name in about},
    )


def expect_different(workloads: Sequence[NamedWorkloads]) -> None:
    """Raise ValueError where a name comes twice."""
    first: dict[str, NamedWorkloads] = {}
    for workload in workloads:
        other = first.setdefault(workload.name, workload)
        if workload.name and other is not workload:
            raise ValueError(
                f"two workloads have the name {workload.name!r}: {other.where}, and "
                f"{workload.where}; expected different names"
            )


def _toml(path: Path) -> dict[str, Any]:
    text = text_file.read(path, "a workload file, such as `rnnbench workload --example` prints")
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError(f"{path} is nested too deeply; expected lists of values") from error
    except ValueError as error:  # TOMLDecodeError, or what int() says of too many digits
        lines = text.split("\n")
        end = f"at line {len(lines)}, column {len(lines[-1]) + 1}"
        raise ValueError(
            f"{path} is not TOML: {str(error).replace('at end of document', end)}"
        ) from error


def _workload(path: Path, number: int, table: dict[str, Any], shared: Values) -> NamedWorkloads:
    given = table.pop("name", None)
    where = f"{path}, workload {number}"
    if isinstance(given, str):
        where += f" ({given!r})"
    own = _values(where, table, path)
    values = {**shared, **own}
    tasks = values.setdefault("task", (DEFAULT_TASK,))
    if given is None and DEFAULT_TASK in tasks:
        raise ValueError(f"{where} has no name; expected name = \"...\"")  # fmt: skip
    if given is not None and not (isinstance(given, str) and NAME.fullmatch(given)):
        raise ValueError(
            f"{where}: the name is {_shown(given)}; expected letters, digits and ._- in quotes, "
            "a letter or digit first"
        )
    if given in SIZES:
        raise ValueError(f"{where}: the name is that of a size of the tasks; expected another")
    return NamedWorkloads(given or "", values, where)


def _values(
    where: str, table: Mapping[str, Any], path: Path, known: Mapping[str, type] | None = None
) -> dict[str, tuple[Any, ...]]:
    """The options of a table; `known` are the names that may stand beside them."""
    found = {}
    for written, value in table.items():
        name = written.replace("-", "_")
        if written != option(name) or name not in FIELDS:
            raise ValueError(f"{where}: {_unknown(written, known)}")
        field = FIELDS[name]
        words = []
        for one in value if isinstance(value, list) else [value]:
            _expect_kind(where, written, one, field.kinds)
            # A file is named from the folder of the workload file.
            word = str(path.parent / one) if name in FILES else _as_word(one)
            words.append(word)
        if not words:
            raise ValueError(f"{where}: {written} is an empty list; expected at least one value")
        if field.joined:
            words = [",".join(words)]
        try:
            found[name] = field.values(written, words)
        except ValueError as error:
            raise ValueError(f"{where}: {str(error).removeprefix('--')}") from error
    return found


def _unknown(name: str, beside: Mapping[str, type] | None) -> str:
    if beside is None and name in (*ABOUT, *OF_RUN):
        return f"{name} holds for the whole file; expected it above the first [[workload]]"
    known = [*map(option, FIELDS), *(beside or ["name"])]
    near = validation.did_you_mean(name, known)
    listed = f"; expected {', '.join(known)}"
    return f"{name!r} is unknown{near or listed}"


def _expect_kind(where: str, name: str, value: Any, kinds: tuple[type, ...]) -> None:
    """Raise ValueError unless the type of `value` is one of `kinds`; true is no whole number."""
    if type(value) not in kinds:
        expected = " or ".join(dict.fromkeys(_KINDS[kind] for kind in kinds))
        came = _KINDS.get(type(value), type(value).__name__)
        raise ValueError(f"{where}: {name} is {_shown(value)}, {came}; expected {expected}")


def _shown(value: Any) -> str:
    """A value as the file has it."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key} = {_shown(each)}' for key, each in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_shown, value))}]"
    if isinstance(value, str | bool):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _as_word(value: Any) -> str:
    """As the command line has it."""
    if isinstance(value, list):
        return ",".join(map(_as_word, value))
    return str(value).lower() if isinstance(value, bool) else str(value)

"""Texts with a label each: GLUE's and NSMC's TSV, CSV, and the lines of fastText.

A TSV has no quotes: a quotation mark that opens a text is one of its characters. In a CSV they
enclose fields, as RFC 4180 has it.
"""

from __future__ import annotations

import csv
import itertools
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.config.data.lines import LONGEST, lines

EXPECTED = "a text and its label in each line"
PUBLISHED = (("sentence", "label"), ("document", "label"), ("text", "label"))  # GLUE, NSMC
FASTTEXT = "__label__"
_BLANK = f"{{}} has blank lines alone; expected {EXPECTED}"

Numbered = Iterator[tuple[int, str]]


@dataclass(frozen=True)
class Row:
    """A text, its label, and the line where it begins."""

    line: int
    text: str
    label: str


@dataclass(frozen=True)
class Table:
    """What was found in a file, and its rows, which are read only once."""

    format: str
    columns: tuple[str, ...]
    rows: Iterator[Row]


def read(path: Path, columns: Sequence[str], encoding: str, left_out: Counter[str]) -> Table:
    """`columns` are those of text and label, by name or by number from 1; () for published ones.

    A file whose columns have numbers has no line of names. `left_out` counts the lines and texts
    that are left out. Raises ValueError, naming the line.
    """
    numbered = lines(path, encoding, EXPECTED)
    not_blank = _not_blank(numbered, left_out)
    first = next(not_blank, None)
    while first is not None and not first[1].strip():  # tabs alone
        left_out["blank lines"] += 1
        first = next(not_blank, None)
    if first is None:
        raise ValueError(_BLANK.format(path))
    records = itertools.chain([first], not_blank)
    if first[1].lstrip().startswith(FASTTEXT):
        if columns:
            raise ValueError(f"{path} has labels of fastText; expected no --columns")
        return Table("fastText", (), _fasttext(path, records, left_out))
    if path.suffix.lower() == ".csv":
        # A field may hold blank lines.
        whole = itertools.chain([first], numbered)
        return _table(path, "CSV", _csv(path, whole, first[0] - 1, left_out), columns)
    if "\t" not in first[1]:
        raise ValueError(
            f"{path}, line {first[0]}: no tab, and no {FASTTEXT}; expected {EXPECTED}, separated "
            "by a tab, or a file named .csv"
        )
    return _table(path, "TSV", _tsv(path, records), columns)


def _not_blank(numbered: Numbered, left_out: Counter[str]) -> Numbered:
    for number, text in numbered:
        if text.strip() or "\t" in text:  # a tab parts fields, which may be empty
            yield number, text
        else:
            left_out["blank lines"] += 1


def _fasttext(path: Path, numbered: Numbered, left_out: Counter[str]) -> Iterator[Row]:
    for number, line in numbered:
        words = line.split(maxsplit=1)
        if not words:
            left_out["blank lines"] += 1
            continue
        if not words[0].startswith(FASTTEXT) or words[0] == FASTTEXT:
            raise ValueError(f"{path}, line {number}: no label; expected {FASTTEXT}NAME and a text")
        text = words[1] if len(words) > 1 else ""
        if text.startswith(FASTTEXT):
            raise ValueError(f"{path}, line {number}: more than one label; expected one of them")
        yield Row(number, text, words[0].removeprefix(FASTTEXT))


def _tsv(path: Path, numbered: Numbered) -> Iterator[tuple[int, list[str]]]:
    for number, line in numbered:
        yield number, line.split("\t")


def _csv(
    path: Path, numbered: Numbered, last: int, left_out: Counter[str]
) -> Iterator[tuple[int, list[str]]]:
    """The fields of each row, and the line where it begins: a field may hold line breaks.

    `last` is the line before the first. Spaces before a field are no part of it: else the quotes of
    `text, "label"` would be.
    """

    def ended() -> Iterator[str]:
        nonlocal last
        for number, line in numbered:
            last = number
            yield f"{line}\n"

    reader = csv.reader(ended(), strict=True, skipinitialspace=True)
    while True:
        begin = last + 1
        before = csv.field_size_limit(LONGEST)  # of the whole process
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise ValueError(
                f"{path}, line {last}: {error}, in the row that begins in line {begin}; expected "
                'fields as in CSV: "said ""so"", and more",label'
            ) from error
        finally:
            csv.field_size_limit(before)
        if any(field.strip() for field in fields) or len(fields) > 1:
            yield begin, fields
        else:
            left_out["blank lines"] += 1


def _table(
    path: Path, kind: str, records: Iterator[tuple[int, list[str]]], columns: Sequence[str]
) -> Table:
    begin, first = next(records, (0, []))
    if not first:
        raise ValueError(_BLANK.format(path))
    if columns and all(word.isdecimal() for word in columns):
        wanted = tuple(int(word) - 1 for word in columns)
        if not 0 <= min(wanted) <= max(wanted) < len(first):
            raise ValueError(
                f"{path} has no column {','.join(columns)}; expected numbers from 1 to "
                f"{len(first)}, as line {begin} has fields"
            )
        records = itertools.chain([(begin, first)], records)
    else:
        first = [unicodedata.normalize("NFC", name) for name in first]
        columns = columns or _published(path, first)
        wanted = tuple(_place(path, name, first) for name in columns)
    if wanted[0] == wanted[1]:
        raise ValueError(f"{path}: text and label are one column; expected two different ones")
    return Table(kind, tuple(columns), _rows(path, records, begin, len(first), wanted))


def _published(path: Path, names: list[str]) -> tuple[str, str]:
    for pair in PUBLISHED:
        if {*pair} <= {*names}:
            return pair
    known = " or ".join(",".join(pair) for pair in PUBLISHED)
    raise ValueError(
        f"{path} has no columns {known}; expected those of text and label with --columns, of "
        f"{_listed(names)}, or their numbers where line 1 is no line of names"
    )


def _place(path: Path, name: str, names: list[str]) -> int:
    if names.count(name) != 1:
        found = "two columns" if name in names else "no column"
        raise ValueError(f"{path} has {found} {name!r}; expected one of {_listed(names)}")
    return names.index(name)


def _listed(names: list[str]) -> str:
    shown = [name if len(name) <= 40 else f"{name[:40]} …" for name in names[:20]]
    return ", ".join([*shown, *(["…"] if len(names) > 20 else [])])


def _rows(
    path: Path,
    records: Iterator[tuple[int, list[str]]],
    begin: int,
    count: int,
    wanted: tuple[int, ...],
) -> Iterator[Row]:
    for number, fields in records:
        if len(fields) != count:
            raise ValueError(
                f"{path}, line {number}: {len(fields)} fields; expected {count}, as in line {begin}"
            )
        text, label = (fields[place] for place in wanted)
        yield Row(number, text, label.strip())

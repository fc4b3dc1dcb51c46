"""Data of one's own: each format as it is published, bad files, batches, nets that learn them."""

from __future__ import annotations

import csv
import gzip
import json
import os
import resource
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import msgspec
import numpy as np
import pytest
from commands import measured, rnnbench
from record_samples import measurement, rounds
from running import command, environment

from bench import ROOT
from bench.compare import matching
from bench.config import batches, fields, workload_file
from bench.config.data import known, lines
from bench.config.grid import workloads
from bench.config.options import request
from bench.config.protocol import Settings
from bench.config.workload_file import NamedWorkloads
from bench.measurement import resume
from bench.measurement.case import Case
from bench.measurement.estimate import print_plan
from bench.measurement.plan import Plan
from bench.records import provenance
from bench.records.schema import Run
from bench.records.workload import DataSet, Workload
from tasks.batch import check_batch, step_weight
from tasks.given_data import GivenData, split

TEXTS = Path(__file__).parent / "texts"
# Of each file: the task, the options beside it, and what the first lines of a run say.
FILES: dict[str, tuple[str, dict[str, str], list[str]]] = {
    "sst2.tsv": (
        "sentiment",
        {},
        [
            "sst2.tsv (TSV, columns sentence and label): 240 rows, 240 texts",
            "labels: 0 50.0 %, 1 50.0 %",
            "192 to train on, 48 held out",
        ],
    ),
    "nsmc.txt": (
        "sentiment",
        {"tokens": "characters"},
        ["columns document and label): 240 rows, 238 texts; left out: empty texts 2"],
    ),
    "excel.csv": ("sentiment", {}, ["(CSV, columns text and label): 60 rows, 60 texts"]),
    "sentiment140.csv": (
        "sentiment",
        {"columns": "6,1", "encoding": "latin-1"},
        ["(CSV, columns 6 and 1): 60 rows, 60 texts", "labels: 0 53.3 %, 4 46.7 %"],
    ),
    "fasttext.txt": (
        "sentiment",
        {"max_vocab": "20", "min_count": "2"},
        ["(fastText): 60 rows", "labels: bad 53.3 %, good 46.7 %", "vocabulary: 20 of 73 words"],
    ),
    "tagged.conllu": (
        "pos_tagging",
        {},
        ["60 sentences; left out: empty nodes 1, ranges of words 1, words without a tag 1"],
    ),
    "verse.txt": ("charseq", {}, ["(text): 48 lines, 1,656 characters"]),
    "verse-ko.txt": ("charseq", {}, ["(text): 64 lines, 960 characters"]),
}


def asked(task: str, path: Path, **options: str) -> DataSet:
    values = fields.from_words({name: (word,) for name, word in {**options, "data": path}.items()})
    found = known.read(values, (task,))
    assert found is not None
    return found


def refusal(task: str, path: Path, **options: str) -> str:
    """Why a file is refused; empty if it is read."""
    try:
        asked(task, path, **options)
    except ValueError as error:
        return str(error)
    return ""


def read(task: str, path: Path, **options: str) -> GivenData:
    found = known.task(task, asked(task, path, **options))
    assert isinstance(found, GivenData)
    return found


def texts(task: GivenData, count: int = 400) -> list[str]:
    """What its batches hold, whole."""
    size = task.sizes["base"].with_overrides(batch=count, steps=200)
    return [" ".join(task.decode(row)) for row in task.batch(size, 0).x]


@pytest.mark.parametrize("name", FILES)
def test_each_format_is_read_as_it_is_published(name: str) -> None:
    task, options, expected = FILES[name]
    data = asked(task, TEXTS / name, **options)
    said = "\n".join(known.in_words(task, data))
    for words in expected:
        assert words in said
    assert data.name == name
    assert len(data.sha256) == 64
    assert str(TEXTS) not in repr(data)


def test_a_quotation_mark_that_opens_a_text_of_a_tsv_swallows_nothing() -> None:
    found = texts(read("sentiment", TEXTS / "sst2.tsv"), 2000)
    assert '" quoted at its start , and never closed' in found
    assert 'a " single mark in the middle' in found


def test_quotes_of_a_csv_enclose_commas_quotes_and_line_breaks() -> None:
    found = texts(read("sentiment", TEXTS / "excel.csv"), 2000)
    assert 'said "so", and left' in found
    assert not any("\r" in text or "\ufeff" in text for text in found)


def test_blank_lines_are_left_out_but_within_a_field_of_a_csv(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("\n\ntext,label\n\n" + '"one\n\ntwo",1\nthree,2\n  \n' * 9 + '"a\n\n",x\n')
    with pytest.raises(ValueError, match=r"line 50: the label is 'x'"):
        asked("sentiment", file)
    file.write_text(file.read_text().removesuffix('"a\n\n",x\n'))
    said = known.in_words("sentiment", asked("sentiment", file))[0]
    assert said.endswith("18 rows, 18 texts; left out: blank lines 12")
    assert {*texts(read("sentiment", file))} == {"one two", "three"}


def test_latin_1_is_read_by_column_numbers_and_without_a_line_of_names() -> None:
    task = read("sentiment", TEXTS / "sentiment140.csv", columns="6,1", encoding="latin-1")
    assert "café" in task.words or any("<unk>" in text for text in texts(task))
    with pytest.raises(ValueError, match=r"line 3 is not utf-8: byte 0xe9 in column \d+"):
        asked("sentiment", TEXTS / "sentiment140.csv", columns="6,1")


def test_korean_is_read_by_space_or_by_character(tmp_path: Path) -> None:
    for tokens, word in (("spaces", "배우들"), ("characters", "배")):
        assert word in read("sentiment", TEXTS / "nsmc.txt", tokens=tokens).words
    # Files of macOS spell a syllable by its letters: they are put together again.
    apart = tmp_path / "nfd.txt"
    apart.write_text(unicodedata.normalize("NFD", (TEXTS / "nsmc.txt").read_text()))
    assert "배" in read("sentiment", apart, tokens="characters").words


def test_words_without_a_tag_ranges_and_empty_nodes_are_no_words_of_a_sentence() -> None:
    task = read("pos_tagging", TEXTS / "tagged.conllu")
    assert task.spec("base").output_size == 5
    assert not {"dunno", "seen"} & {*task.words}


def test_the_vocabulary_is_that_of_the_part_to_train_on(tmp_path: Path) -> None:
    file = tmp_path / "each.tsv"
    rows = [f"word{number} same\t{number % 2}" for number in range(50)]
    file.write_text("\n".join(["text\tlabel", *rows]))
    task = read("sentiment", file)
    assert len(task.words) == 2 + 1 + 40
    data = task.training("base", 0, task.spec("base"))
    first_words = data.held_out.x[:, -2]
    assert (first_words == task.words.index("<unk>")).all()
    assert task.words.index("same") == 2, "the most frequent comes first"
    assert len(read("sentiment", file, min_count="2").words) == 3
    assert len(read("sentiment", file, max_vocab="7").words) == 9


def test_a_held_out_text_is_never_trained_on(tmp_path: Path) -> None:
    file = tmp_path / "each.tsv"
    rows = [f"word{number}\t{number % 2}" for number in range(1000)]
    file.write_text("\n".join(["text\tlabel", *rows]))
    task = read("sentiment", file, max_vocab="5000")
    data = task.training("base", 0, task.spec("base"))
    assert (data.held_out.x == 1).all(), "all of them unknown"
    assert len(data.held_out.x) == 200
    epoch = [row for update in range(1, 13) for row in data.batch(update).x[:, -1]]
    assert len({*epoch}) == len(epoch) == 12 * 64
    assert min(epoch) > 1
    assert not np.array_equal(data.batch(1).x, data.batch(13).x), "another order in each epoch"


def test_texts_are_padded_in_front_and_cut_behind(tmp_path: Path) -> None:
    file = tmp_path / "some.tsv"
    rows = ["a b c d e\t1", "a\t0"] * 10
    file.write_text("\n".join(["text\tlabel", *rows]))
    task = read("sentiment", file)
    batch = task.batch(task.sizes["base"].with_overrides(steps=3), 0)
    assert {tuple(task.decode(row)) for row in batch.x} == {("a", "b", "c"), ("a",)}
    short = batch.x[batch.y == 0]
    assert (short[:, :2] == 0).all()
    assert (short[:, 2] != 0).all()


def planned(task: str, path: Path, **options: str) -> list[Workload]:
    words = {"data": path, "task": task, **options}
    values = fields.from_words(
        {n: word.split(",") if n == "task" else (str(word),) for n, word in words.items()}
    )
    return list(workloads(request(NamedWorkloads("", {}), values)))


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("phase", ["bptt", "learn"])
def test_a_workload_of_data_is_one_as_any_other(name: str, phase: str) -> None:
    task, options, _ = FILES[name]
    (workload,) = planned(task, TEXTS / name, phase=phase, **options)
    assert workload.data is not None
    assert f"data-{workload.data.sha256[:8]}" in workload.id
    assert f"data of {name}" in workload.besides
    batch = batches.of_workload(workload, 3)
    check_batch(workload.spec, batch)
    data = batches.training(workload, 0)
    for each in (data.batch(1), data.batch(2), data.held_out):
        check_batch(workload.spec, each)


def test_a_workload_file_names_data_from_its_own_folder(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_bytes((TEXTS / "sentiment140.csv").read_bytes())
    net = tmp_path / "net.toml"
    net.write_text(
        'task = "sentiment"\nencoding = "latin-1"\ncolumns = [6, 1]\n'
        '[[workload]]\nname = "a"\ndata = "mine.csv"\n[[workload]]\nname = "b"\n'
        'data = "mine.csv"\nmax-vocab = 9\n'
    )
    first, second = (
        each
        for named in workload_file.read(net).workloads
        for each in workloads(request(named, {"phase": ("bptt",)}))
    )
    assert (first.label, second.label) == ("a", "b")
    assert first.data is not None
    assert first.data.columns == ("6", "1")
    assert second.spec.vocab_size == 11


@pytest.mark.parametrize("name", ["nsmc.txt", "tagged.conllu"])
def test_lengths_are_those_of_the_texts(name: str) -> None:
    task, options, _ = FILES[name]
    behind, front = planned(task, TEXTS / name, phase="learn", lengths="own", **options)
    for made in (
        lambda each: batches.of_workload(each, 3),
        lambda each: batches.training(each, 0).held_out,
        lambda each: batches.training(each, 0).batch(2),
    ):
        one, other = made(behind), made(front)
        assert one.lengths is not None
        assert other.lengths is None
        for row, (length, same) in enumerate(zip(one.lengths, other.x, strict=True)):
            assert (one.x[row, :length] != 0).all()
            assert np.array_equal(one.x[row, :length], same[-length:])
            if one.y.ndim == 2:
                assert np.array_equal(one.y[row, :length], other.y[row, -length:])
        weights = step_weight(one), step_weight(other)
        if one.y.ndim == 2:
            assert weights[0].sum() == weights[1].sum() == one.lengths.sum()


# Bad files

ROWS = "text\tlabel\n" + "some words here\t1\nother words\t0\n" * 10


def _held_out_alone() -> bytes:
    """Ten texts with one label, but those that are held out."""
    odd = {*split(10)[1].tolist()}
    return "".join(
        f"__label__{'odd' if number in odd else 'same'} a text\n" for number in range(10)
    ).encode()


Bad = tuple[str, bytes, dict[str, str], list[str]]
BAD: dict[str, Bad] = {
    "no such column": ("a.tsv", ROWS.encode(), {"columns": "body,label"}, ["body", "text, label"]),
    "no published column": (
        "a.tsv",
        ROWS.replace("text\tlabel", "a\tb", 1).encode(),
        {},
        ["--columns, of a, b", "document,label"],
    ),
    "no such number": ("a.tsv", ROWS.encode(), {"columns": "3,1"}, ["3,1", "from 1 to 2"]),
    "one class": ("a.tsv", ROWS.replace("\t0", "\t1").encode(), {}, ["one class only, '1'"]),
    "wrong encoding": (
        "a.tsv",
        ROWS.encode() + "영화\t1\n".encode("cp949"),
        {},
        ["line 22", "byte 0xbf in column 1", "--encoding"],
    ),
    "utf-16": ("a.tsv", ROWS.encode("utf-16"), {}, ["line 1 holds a NUL byte", "--encoding"]),
    "too few fields": ("a.tsv", f"{ROWS}lonely\n".encode(), {}, ["line 22: 1 fields; expected 2"]),
    "too many fields": ("a.tsv", f"{ROWS}a\tb\t1\n".encode(), {}, ["line 22: 3 fields"]),
    "too many in CSV": (
        "a.csv",
        f"{ROWS}a\tb\t1\n".replace("\t", ",").encode(),
        {},
        ["line 22: 3 fields; expected 2, as in line 1"],
    ),
    "a quote that never ends": (
        "a.csv",
        (ROWS.replace("\t", ",") + '"open,1\nnext,0\n').encode(),
        {},
        ["the row that begins in line 22", "expected fields as in CSV"],
    ),
    "no number": ("a.tsv", f"{ROWS}a\tgood\n".encode(), {}, ["line 22", "'good'", "a number"]),
    "no label": ("a.tsv", f"{ROWS}a\t\n".encode(), {}, ["line 22: a text without a label"]),
    "empty": ("a.tsv", b"", {}, ["is empty"]),
    "blank": ("a.tsv", b"\n\n", {}, ["blank lines alone"]),
    "blank fields": ("a.csv", b'""\n\n', {}, ["blank lines alone"]),
    "wide blanks": ("a.csv", "\u3000\n".encode(), {}, ["blank lines alone"]),
    "gzip": ("a.tsv", gzip.compress(ROWS.encode()), {}, ["is compressed (gzip)", "unpacked"]),
    "zip": ("a.csv", b"PK\x03\x04\x14\0\0", {}, ["is compressed (zip)"]),
    "a long field": (
        "a.csv",
        b"text,label\n" + b'"' + b"aaaaaaaaa\n" * 120_000 + b'",1\n',
        {},
        ["line 2;"],
    ),
    "a class that is held out alone": (
        "a.tsv",
        _held_out_alone(),
        {},
        ["odd is a label of the part that is held out alone", "no net reaches the target"],
    ),
    "equal numbers": ("a.tsv", ROWS.replace("\t0", "\t01.0").encode(), {}, ["one class only, '1'"]),
    "names that look the same": (
        "a.tsv",
        ("text\tlabel\n" + "a\tcaf\u00e9\nb\tcafe\u0301\n" * 10).encode(),
        {},
        ["one class only, 'caf\u00e9'"],
    ),
    "names alone": ("a.tsv", b"text\tlabel\n", {}, ["a line of names alone"]),
    "too few texts": ("a.tsv", b"text\tlabel\na\t1\nb\t0\n", {}, ["has 2 texts", "at least 10"]),
    "no table": ("a.txt", b"just words\n" * 20, {}, ["line 1: no tab, and no __label__"]),
    "a long line": ("a.tsv", ROWS.encode() + b"a" * 10_000_000 + b"\t1\n", {}, ["line 22 is lo"]),
    "NUL": ("a.tsv", ROWS.encode() + b"a\0b\t1\n", {}, ["line 22 holds a NUL byte in column 2"]),
    "two labels": ("a.txt", b"__label__a x\n" * 9 + b"__label__a __label__b x", {}, ["line 10"]),
    "columns of fastText": ("a.txt", b"__label__a x\n", {"columns": "1,2"}, ["no --columns"]),
    "one column twice": ("a.tsv", ROWS.encode(), {"columns": "text,text"}, ["two different"]),
    "too many labels": (
        "a.tsv",
        ("text\tlabel\n" + "".join(f"a\tname{i}\n" for i in range(1100))).encode(),
        {},
        ["line 1002: more than 1000 different labels"],
    ),
}
WORD = "1\ta\ta\tX\t_\t_\t0\troot\t_\t_\n"
BAD_TAGS: dict[str, Bad] = {
    "no such column": ("a.conllu", WORD.encode(), {"columns": "form,nope"}, ["form,upos"]),
    "fields": ("a.conllu", (WORD + "2\tb\n").encode(), {}, ["line 2: 2 fields", "10 fields"]),
    "no number": ("a.conllu", WORD.replace("1", "x", 1).encode(), {}, ["line 1", "not a valid ID"]),
    "one class": ("a.conllu", f"{WORD}\n".encode() * 12, {}, ["one class only, 'X'"]),
    "no form": ("a.conllu", (WORD + "2\t" + WORD[3:]).encode(), {}, ["line 2: form is empty"]),
    "no tag": ("a.conllu", WORD.replace("X", "").encode(), {}, ["line 1: upos is empty"]),
    "tags that look the same": (
        "a.conllu",
        (WORD.replace("X", "\u00e9") + WORD.replace("X", "e\u0301") + "\n").encode() * 10,
        {},
        ["one class only, '\u00e9'"],
    ),
    "no words": ("a.conllu", b"# text = none\n", {}, ["has 0 texts"]),
}
BAD_CHARACTERS: dict[str, Bad] = {
    "short": ("a.txt", b"abc\n", {}, ["expected at least 10 windows"]),
    "one character": ("a.txt", b"\n" * 500, {}, ["one character only"]),
    "one of a vocabulary": (
        "a.txt",
        b"abc\n" * 99,
        {"max_vocab": "1"},
        ["--max-vocab=1 leaves one"],
    ),
    "none so often": ("a.txt", b"abc\n" * 99, {"min_count": "999"}, ["--min-count=999 times"]),
    "one to train on": ("a.txt", b"a" * 460 + b"b" * 40, {}, ["only in the part to train on"]),
    "columns": ("a.txt", b"abc\n" * 99, {"columns": "1,2"}, ["as one text"]),
    "NUL": ("a.txt", b"abc\n" * 99 + b"\0", {}, ["line 100 holds a NUL byte"]),
}


@pytest.mark.parametrize(
    ("task", "bad"),
    [
        *(pytest.param("sentiment", bad, id=name) for name, bad in BAD.items()),
        *(pytest.param("pos_tagging", bad, id=f"tags: {name}") for name, bad in BAD_TAGS.items()),
        *(pytest.param("charseq", bad, id=f"text: {name}") for name, bad in BAD_CHARACTERS.items()),
    ],
)
def test_a_bad_file_is_refused_by_its_line(task: str, bad: Bad, tmp_path: Path) -> None:
    name, content, options, expected = bad
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=r".") as refused:
        asked(task, tmp_path / name, **options)
    message = str(refused.value)
    for words in [*expected, "expected", name]:
        assert words in message
    assert len(message) < 600


def test_a_line_of_other_white_space_is_blank(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    for blank in ("\t", "\u3000", "\f", " \t "):
        file.write_text(f"{blank}\n" + f"__label__a x y\n{blank}\n__label__b z\n" * 10)
        said = known.in_words("sentiment", asked("sentiment", file))[0]
        assert said.endswith("(fastText): 20 rows, 20 texts; left out: blank lines 11"), blank


def test_a_field_of_a_csv_may_be_as_long_as_a_line(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("text,label\n" + "".join(f"{'a' * 1_000_000},{i % 2}\n" for i in range(10)))
    before = csv.field_size_limit()
    assert "10 rows, 10 texts" in known.in_words("sentiment", asked("sentiment", file))[0]
    assert csv.field_size_limit() == before


def test_a_space_before_a_quote_of_a_csv_is_no_part_of_the_field(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text('text, "label"\n' + 'x, "1"\n "y, z", 0\n' * 10)
    assert "  labels" not in (said := known.in_words("sentiment", asked("sentiment", file))[2])
    assert said == "labels: 0 50.0 %, 1 50.0 %"
    assert {*texts(read("sentiment", file))} == {"x", "y, z"}


def test_numbers_that_are_equal_are_one_class(tmp_path: Path) -> None:
    file = tmp_path / "a.tsv"
    same = [("1", "1.0", "+1", "01"), ("-2", "-2.00", "-02"), ("0", "-0", "0.0"), ("10", "1.5")]
    rows = [f"a\t{label}\n" for labels in same for label in labels] * 10
    file.write_text("text\tlabel\n" + "".join(rows))
    assert known.in_words("sentiment", asked("sentiment", file))[2] == (
        "labels: -2 25.0 %, 0 25.0 %, 1 33.3 %, 1.5 8.3 %, 10 8.3 %"
    )


def test_a_column_is_found_however_its_letters_are_spelt(tmp_path: Path) -> None:
    file = tmp_path / "a.tsv"
    for here, there in (("NFC", "NFD"), ("NFD", "NFC")):
        name = unicodedata.normalize(here, "감상")
        file.write_text(f"{name}\tlabel\n" + "a\t1\nb\t0\n" * 10)
        data = asked("sentiment", file, columns=unicodedata.normalize(there, "감상,label"))
        assert data.columns == ("감상", "label")


def test_a_plain_text_has_the_characters_of_its_file(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    for text, count in (("abc\n" * 99 + "abc", 399), ("abc\r\n" * 99, 396), ("ab" * 99, 198)):
        file.write_bytes(text.encode())
        assert f" {count} characters" in known.in_words("charseq", asked("charseq", file))[0]


def test_a_name_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.tsv")
    Path(path).write_text(ROWS)
    with pytest.raises(ValueError, match=r"the name of the file is not UTF-8"):
        asked("sentiment", Path(path))


def test_a_file_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.tsv"
    file.write_text(ROWS + "changing\t1\n")
    whole = known.reading.read

    def change_first(path: Path, task: str, data: DataSet) -> object:
        path.write_text(ROWS)
        return whole(path, task, data)

    monkeypatch.setattr(known.reading, "read", change_first)
    with pytest.raises(ValueError, match=r"has changed while it was read"):
        asked("sentiment", file)


def test_the_name_of_a_file_reaches_the_terminal_as_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a\x1b[31m\nb.tsv"
    file.write_text(ROWS)
    print_plan({workload: [] for workload in planned("sentiment", file)}, Settings())
    said = capsys.readouterr().out
    assert "data of a [31m b.tsv" in said
    assert "\x1b" not in said


@pytest.mark.parametrize("task", ["sentiment", "multiplication"])
def test_a_batch_that_no_epoch_fills_is_refused_before_anything_runs(
    task: str, tmp_path: Path
) -> None:
    file = tmp_path / "a.tsv"
    file.write_text(ROWS)
    given = {"data": (file,)} if task == "sentiment" else {}
    most = 16 if given else 2048
    for batch, phase in ((most, "learn"), (most + 1, "bptt"), (most + 1, "learn")):
        words = {"task": (task,), "phase": (phase,), "batch": (str(batch),), **given}
        values = fields.from_words({name: tuple(map(str, each)) for name, each in words.items()})
        if (batch, phase) == (most + 1, "learn"):
            with pytest.raises(ValueError, match=rf"B is {batch}; expected at most the {most} "):
                list(workloads(request(NamedWorkloads("", {}), values)))
        else:
            assert list(workloads(request(NamedWorkloads("", {}), values)))


def otherwise(was: Workload, here: Workload) -> list[str]:
    """Why a run of the first is not resumed by options that ask for the second."""
    plan = SimpleNamespace(settings=Settings(), all_cases=[Case(here, "numpy")])
    found = msgspec.structs.replace(measurement("numpy", rounds(1.0)), workload=was)
    run = SimpleNamespace(serial=False, command="rnnbench run")
    return list(resume._unplanned(cast(Plan, plan), cast(Run, run), [found]))


def test_the_same_content_is_the_same_data_under_another_name(tmp_path: Path) -> None:
    (one, other) = (tmp_path / "one.tsv", tmp_path / "other.tsv")
    bptt = {"phase": "bptt"}
    for file in (one, other):
        file.write_text(ROWS)
    (first,), (second,) = planned("sentiment", one, **bptt), planned("sentiment", other, **bptt)
    assert first.data is not None
    assert second.data is not None
    assert (first.data.name, second.data.name) == ("one.tsv", "other.tsv")
    # As a run that is resumed and two runs that are compared have it.
    assert first == second
    assert hash(first) == hash(second)
    assert matching._facts(first) == matching._facts(second)
    assert not otherwise(first, second)
    (fewer,) = planned("sentiment", other, max_vocab="3", **bptt)
    assert fewer != first
    assert matching._facts(fewer) != matching._facts(first)


def test_a_file_that_has_changed_is_said_where_a_run_is_resumed(tmp_path: Path) -> None:
    file = tmp_path / "a.tsv"
    file.write_text(ROWS)
    (before,) = planned("sentiment", file, phase="bptt")
    file.write_text(ROWS + "more words\t1\n")
    (after,) = planned("sentiment", file, phase="bptt")
    (said,) = otherwise(before, after)
    assert said.startswith("the content of a.tsv has changed: sha256 ")
    assert before.data is not None
    assert after.data is not None
    assert f"{before.data.sha256[:8]} in the run, {after.data.sha256[:8]} here" in said


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_read_or_refused(name: str, tmp_path: Path) -> None:
    """Bytes changed, taken out and put in, at random places of a good file."""
    task, options, _ = FILES[name]
    rng, good = np.random.default_rng(5), (TEXTS / name).read_bytes()
    marks = (b"\t", b"\n", b"\r", b'"', b",", b"\0", b"\xff", b"\xed\xa0\x80", b"_", b" ", b"1")
    read_at_all = 0
    for _ in range(60):
        content = bytearray(good)
        for place in rng.integers(len(good), size=rng.integers(1, 6)):
            content[place : place + rng.integers(0, 30)] = rng.choice(marks)
        (tmp_path / name).write_bytes(content)
        message = refusal(task, tmp_path / name, **options)
        read_at_all += not message
        assert not message or "expected" in message
        assert len(message) < 600
    assert read_at_all < 60


@pytest.mark.parametrize("what", ["a directory", "a pipe or a device", "No such file"])
def test_only_a_file_is_read(what: str, tmp_path: Path) -> None:
    path = tmp_path / "there"
    if what == "a directory":
        path.mkdir()
    elif what == "a pipe or a device":
        os.mkfifo(path)  # opening it would wait for ever
    with pytest.raises(ValueError, match=what):
        asked("sentiment", path)


def test_a_file_beyond_the_bound_is_not_read(tmp_path: Path) -> None:
    large = tmp_path / "large.tsv"
    with large.open("wb") as content:
        content.truncate(lines.MOST_BYTES + 1)  # a hole: it takes no room
    with pytest.raises(ValueError, match=r"expected at most 536,870,912"):
        asked("sentiment", large)


@pytest.mark.parametrize(
    ("word", "expected"),
    [("utf-16", "iconv -f utf-16 -t UTF-8"), ("klingon", "is unknown"), ("hex", "is unknown")],
)
def test_an_encoding_that_cannot_be_is_refused(word: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        lines.checked_encoding("encoding", word)


WRONG: list[tuple[list[str], list[str]]] = [
    ([], ["--data is of one task", "sentiment, pos_tagging, charseq"]),
    (["--task=hihello"], ["--data is of one task"]),
    (["--task=sentiment", "--vocab=9"], ["sentiment has its own"]),
    (["--task=sentiment", "--classes=9"], ["sentiment has its own"]),
    (["--task=sentiment", "--size=source"], ["sentiment has base, large"]),
    (["--task=sentiment", "--columns=1,label"], ["document,label", "6,1"]),
    (["--task=sentiment", f"--columns={'1' * 5000},1"], ["document,label", "1 …'", "6,1"]),
    (["--task=pos_tagging", "--tokens=spaces"], ["has its own tokens"]),
    (["--task=charseq", "--steps=5000"], ["T is 5000", "12,"]),
]


@pytest.mark.parametrize(("words", "expected"), WRONG)
def test_options_that_do_not_go_with_data(words: list[str], expected: list[str]) -> None:
    given = dict(word.removeprefix("--").split("=") for word in words)
    with pytest.raises(ValueError, match=r"expected|unknown") as refused:
        planned(given.pop("task", "hihello,ramp"), TEXTS / "sst2.tsv", **given)
    for each in expected:
        assert each in str(refused.value)


def test_nothing_runs_and_nothing_is_written(tmp_path: Path) -> None:
    file, content, _, expected = BAD["no number"]
    (tmp_path / file).write_bytes(content)
    reports = tmp_path / "reports"
    words = ["--task=sentiment", f"--data={tmp_path / file}", f"--reports={reports}"]
    code, output = rnnbench("run", *words)
    assert code == 2
    assert expected[0] in output
    assert "Traceback" not in output
    ran = measured(reports, *words)
    assert ran.code == pytest.ExitCode.USAGE_ERROR
    assert expected[0] in ran.output
    assert not reports.exists()


def test_a_run_says_first_what_it_read(tmp_path: Path) -> None:
    arguments = ["--task=sentiment", f"--data={TEXTS / 'nsmc.txt'}", "--dry-run"]
    code, output = rnnbench("run", *arguments, "--backend=numpy", f"--reports={tmp_path / 'r'}")
    assert code == 0, output
    said, planned_at = output.index("data of sentiment: nsmc.txt (TSV"), output.index("bptt[")
    assert said < planned_at
    assert "labels: 0 50.0 %, 1 50.0 %" in output
    assert "length: at least 2, half of them up to 5, 95 % up to 7, at most 8; T 7" in output


def test_a_command_in_a_record_has_no_folder_of_the_data() -> None:
    for words in (["--data=my secrets/of/x.tsv"], ["--data", "my secrets/of/x.tsv"]):
        found = provenance.command([*words, "--task=sentiment"], ROOT, "rnnbench run")
        assert "secrets" not in found
        assert "x.tsv" in found
    kept = ["--data=a/x.tsv", "--weights=b/y.npz"]
    assert "--weights=b/y.npz" in provenance.command(kept, ROOT, "rnnbench run")


def test_a_record_names_data_by_file_and_hash_alone(tmp_path: Path) -> None:
    folder = tmp_path / "private folder"
    folder.mkdir()
    (folder / "nsmc.txt").write_bytes((TEXTS / "nsmc.txt").read_bytes())
    words = [f"--data={folder / 'nsmc.txt'}", "--task=sentiment", "--phase=forward"]
    ran = measured(tmp_path / "r", *words, "--backend=numpy", "--benchmark-max-time=0.05")
    assert ran.code == 0, ran.output
    found = [file for file in (tmp_path / "r").rglob("*") if file.is_file()]
    written = "\n".join(file.read_text(errors="replace") for file in found)
    assert "nsmc.txt" in written
    for secret in ("private folder", "영화", "배우들", str(tmp_path)):
        assert secret not in written
    record = json.loads(next(line for line in written.splitlines() if '"sha256"' in line))
    assert record["workload"]["data"]["name"] == "nsmc.txt"


# What takes long


def _large(tmp_path: Path, line: Callable[[int], str]) -> Path:
    """A file of 200 MB."""
    file, block = tmp_path / "large.tsv", "".join(line(number) for number in range(20_000))
    with file.open("w") as content:
        content.write("text\tlabel\n")
        for _ in range(200_000_000 // len(block.encode()) + 1):
            content.write(block)
    assert file.stat().st_size >= 200_000_000
    return file


@pytest.mark.prove
@pytest.mark.parametrize("task", ["sentiment", "charseq"])
def test_200_mb_are_read_in_bounded_memory(task: str, tmp_path: Path) -> None:
    def line(number: int) -> str:
        return f"some of {number % 4999} words, and again {number % 37} of them\t{number % 2}\n"

    file = _large(tmp_path, line)
    program = (
        "import sys; sys.path[:0] = ['tests']; from test_own_data import asked, known; "
        f"import pathlib; data = asked({task!r}, pathlib.Path({str(file)!r})); "
        f"print('\\n'.join(known.in_words({task!r}, data))); import resource; "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, 'MiB')"
    )

    def bounded() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (6 * 2**30, 6 * 2**30))

    done = subprocess.run(
        [sys.executable, "-c", program],
        **{"cwd": ROOT, "env": environment({}, ROOT), "timeout": 400, "preexec_fn": bounded},
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-2]) < 1500


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nsmc.txt", "sst2.tsv"])
def test_three_frameworks_learn_it_from_one_command(name: str, tmp_path: Path) -> None:
    """As docs/data.md has it."""
    words = ["--task=sentiment", f"--data={TEXTS / name}", "--phase=learn"]
    ran = measured(tmp_path / "r", *words, "--backend=torch,jax,keras-tensorflow")
    assert ran.code == 0, ran.output
    found = {variant: m for (_, variant), m in ran.measurements().items()}
    assert {*found} == {"torch", "jax", "keras-tensorflow"}
    for m in found.values():
        learned = m.processes[0].learned
        assert learned is not None
        assert learned.reached
        assert learned.scores[0].score < 0.7 < learned.scores[-1].score


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tagged.conllu", "verse-ko.txt"])
def test_the_phases_take_data_with_tags_and_characters(name: str, tmp_path: Path) -> None:
    task, options, _ = FILES[name]
    given = [f"--{fields.option(option)}={word}" for option, word in options.items()]
    done = subprocess.run(
        command(
            *("bench/suite", "--benchmark-disable", f"--task={task}", f"--data={TEXTS / name}"),
            *("--phase=forward,bptt,train_step", "--backend=torch,keras-tensorflow"),
            *given,
        ),
        **{"cwd": ROOT, "env": environment({}, ROOT), "timeout": 300},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout

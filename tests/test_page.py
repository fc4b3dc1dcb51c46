"""The page of runs: its numbers are those of the CSV and the markdown, and it loads nothing."""

from __future__ import annotations

import csv
import hashlib
import html.parser
import importlib.util
import io
import json
import re
from base64 import b64encode
from pathlib import Path
from typing import Any

import here
import msgspec
import pytest
from pages import report
from pages import rows as rows_of
from record_samples import (
    FULL_RUN,
    RUN,
    Records,
    curves,
    full,
    learned_records,
    measurement,
    parted,
    rounds,
    sample,
    stopped,
    streamed_records,
    workload_records,
)
from views_of import views_of

from bench import ROOT
from bench.analysis import scaling
from bench.records import store
from bench.records.schema import Run
from bench.report import words
from bench.report.csv import csv as as_csv
from bench.report.html import curves as page_curves
from bench.report.html import lessons, marks, rows
from bench.report.html.choices import CHOICES
from bench.report.html.data import data
from bench.report.html.page import HERE, SCRIPTS, page
from bench.report.write import write_page

REFERENCE = ROOT / "reports" / "2026-11-22-reference"
MOST_BYTES = 3_000_000
# Columns of the markdown's tables of a workload, and of a page's rows.
MARKDOWN = {
    "rank": "rank",
    "median step": "seconds_text",
    "ratio": "ratio_text",
    "95 % interval": "interval",
    "verdict": "word",
    "back to back": "throughput_seconds_text",
    "IQR": "interquartile_range_text",
    "rate": "flops_per_second_text",
    "memory above import": "memory",
    "peak on device": "peak_device_bytes_text",
    "outliers": "outliers",
    "interpreter": "start_seconds_text",
    "import": "import_seconds_text",
    "build": "build_seconds_text",
    "first call": "first_call_seconds_text",
    "total": "cold_seconds_text",
}
ELSEWHERE = {"alone": "reference", "not measured": "", "one round": "", "not timed": ""}


class Elements(html.parser.HTMLParser):
    """The elements of a page with their attributes, and the text of its scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.found and self.found[-1][0] == "script" and self.cdata_elem == "script":
            self.scripts[-1] += data


def shown(records: Records, run: Run = FULL_RUN) -> list[list[dict[str, Any]]]:
    """The rows of each workload of a page, as it reads them from JSON."""
    found = json.loads(json.dumps(data([(run, *parted(records))]), allow_nan=False))
    return [
        [dict(zip(found["columns"], row, strict=True)) for row in workload["rows"]]
        for workload in found["workloads"]
    ]


def _markdown_tables(markdown: str) -> list[dict[str, dict[str, str]]]:
    """Of each workload's section its variants, each with its columns of every table."""
    workloads = markdown.partition("\n## Workloads")[2].partition("\n## ")[0]
    found = []
    for section in workloads.split("\n### ")[1:]:
        variants: dict[str, dict[str, str]] = {}
        for table in re.findall(r"(?:^\|.*\n)+", section, re.M):
            head, _, *lines = (
                [column.strip() for column in line.strip("|").split(" | ")]
                for line in table.splitlines()
            )
            for name, *columns in lines:
                variants.setdefault(name, {}).update(zip(head[1:], columns, strict=True))
        found.append(variants)
    return found


@pytest.mark.parametrize("records", [full, curves, sample], ids=lambda make: make.__name__)
def test_page_csv_and_markdown_have_the_same_numbers(records: Any) -> None:
    measurements, of_workloads = parted(records())
    lines = csv.DictReader(io.StringIO(as_csv(FULL_RUN, measurements, of_workloads)))
    in_csv = [line for line in lines if line["role"] == "variant"]
    in_markdown = _markdown_tables(report(FULL_RUN, measurements, of_workloads))
    in_page = shown(records())
    assert len(in_markdown) == len(in_page)
    compared = 0
    by_workload: dict[str, list[dict[str, str]]] = {}
    for line, m in zip(in_csv, (m for m in measurements if m.role == "variant"), strict=True):
        by_workload.setdefault(str(m.workload), []).append(line)
    for lines_of, found, table in zip(by_workload.values(), in_page, in_markdown, strict=True):
        assert sorted(line["variant"] for line in lines_of) == sorted(r["variant"] for r in found)
        for line in lines_of:
            row = next(row for row in found if row["variant"] == line["variant"])
            for column in rows.NUMBERS:
                value = "" if row[column] is None else str(row[column])
                assert value == line[column], (line["workload"], line["variant"], column)
                compared += bool(value)
            for title, value in table.get(line["variant"], {}).items():
                if title not in MARKDOWN:
                    continue
                own = row[MARKDOWN[title]]
                expected = value.replace("**", "")
                assert str("" if own is None else own) == ELSEWHERE.get(expected, expected), (
                    line["workload"],
                    line["variant"],
                    title,
                )
                compared += bool(value)
    assert compared > 100


def test_what_was_learned_has_the_numbers_of_the_csv_and_the_markdown() -> None:
    run = FULL_RUN, *parted(learned_records())
    (workload,) = data([run])["workloads"]
    lines = {
        line["variant"]: line
        for line in csv.DictReader(io.StringIO(as_csv(*run)))
        if line["role"] == "variant"
    }
    section = report(*run).partition("## Nets that learn")[2]
    learned = workload["lesson"]["learned"]
    assert {row["variant"] for row in learned} == lines.keys()
    for row in learned:
        line = lines[row["variant"]]
        for column in lessons.NUMBERS:
            assert ("" if row[column] is None else str(row[column])) == line[column], column
        (shown, *_) = rows_of(section, row["variant"])
        _, updates, took, _, _, target, score, loss, parts_at = shown
        assert updates == row["updates_text"]
        assert took == row["update_seconds_text"]
        assert target == row["seconds_to_target_text"]
        assert (score, loss, parts_at) == (row["score_text"], row["loss_text"], row["parted_text"])
    assert [row["variant"] for row in learned if row["seconds_to_target"] is None] == ["torch"]
    for name in ("task", "sentence"):
        assert "".join(text for text, _ in workload["lesson"][name]) in section.replace("\n", " ")
    (plain,) = data([(FULL_RUN, *parted(workload_records(1)))])["workloads"]
    assert plain["lesson"] is None


@pytest.mark.parametrize("steps", [9, 50, 500])
def test_the_steps_of_streams_have_the_quantiles_of_the_csv_and_the_markdown(steps: int) -> None:
    run = FULL_RUN, *parted(streamed_records(steps=steps))
    section = report(*run).partition("## One step at a time")[2]
    lines = csv.DictReader(io.StringIO(as_csv(*run)))
    by_name = {line["variant"]: line for line in lines if line["role"] == "variant"}
    (found,) = shown(streamed_records(steps=steps))
    assert len(found) > 5
    for row in found:
        (in_markdown, *_) = rows_of(section, row["variant"])
        texts = [row[f"{name}_text"] for name in rows.OF_STEPS]
        assert texts == in_markdown[3:6]
        assert texts.count("-") == (steps < 100) + (steps < 10)
        for name in rows.OF_STEPS:
            assert str(row[name]) == by_name[row["variant"]][name]


def test_sentences_are_those_of_the_markdown() -> None:
    found = data([(FULL_RUN, *parted(curves()))])
    markdown = report(FULL_RUN, *parted(curves()))
    plain = markdown.replace("**", "").replace("`", "").replace("\n", " ")
    sentences = [found["runs"][0]["load"], found["runs"][0]["agreement"]]
    sentences += [workload[name] for workload in found["workloads"] for name in ("answer", "cold")]
    assert len(sentences) == 10
    for parts in sentences:
        assert "".join(text for text, _ in parts) in plain


def test_an_answer_is_a_sentence_and_a_name_keeps_its_letters() -> None:
    def answer(records: Records, run: Run = RUN) -> str:
        (workload,) = data([(run, *parted(records))])["workloads"]
        return "".join(text for text, _ in workload["answer"])

    alone = {"numpy": (0.01, 0.3)}
    assert answer(workload_records(1, alone)).startswith("Only numpy has a time, ")
    assert answer(workload_records(1)).startswith("jax ")
    unpaired = [measurement("jax", rounds(0.1, 0.1)), measurement("torch", rounds(0.2, 0.2, 0.2))]
    assert answer(unpaired).startswith("jax takes 100 ms a step; ")
    assert answer([stopped("jax", "crashed", "why")]) == "No variant has a time."


def test_markdown_becomes_parts_and_no_more() -> None:
    assert words.parts("**a** takes `b`, c\\*d\\* &lt;x> \\[y](z)") == [
        ["a", "strong"],
        [" takes ", ""],
        ["b", "code"],
        [", c*d* <x> [y](z)", ""],
    ]
    assert words.parts("") == []


def test_choices_tell_all_workloads_and_curves_from_each_other() -> None:
    plain = workload_records(1)
    for records in (full(), curves(), [*plain, *_with_odd_inputs()]):
        found = data([(FULL_RUN, *parted(records))])
        choices = [tuple(each["choice"]) for each in (*found["workloads"], *found["sweeps"])]
        assert len(choices) > 1
        assert len(set(choices)) == len(choices)
        assert {len(choice) for choice in choices} == {len(CHOICES)}


def _with_odd_inputs() -> Records:
    """The same choice as `workload_records`: what differs is in no label."""
    return workload_records(2, bias=False)


def test_runs_of_one_name_are_numbered() -> None:
    found = data([(FULL_RUN, *parted(curves()))] * 2)
    assert [run["name"] for run in found["runs"]] == ["full", "full (2)"]
    assert len({tuple(workload["choice"]) for workload in found["workloads"]}) == 8
    points = [sweep["points"] for sweep in found["sweeps"]]
    assert points == [[0, 1, 2], [4, 5, 6]]


def test_the_lead_along_a_curve_is_put_into_words() -> None:
    few = {"numpy": (0.01, 0.3), "jax": (0.02, 2.0)}

    def lead(*jax: float) -> str:
        records = [
            record
            for number, factor in enumerate(jax)
            for record in workload_records(
                number, few, slower={"jax": factor}, steps=10 * 2**number, overridden=("steps",)
            )
        ]
        (sweep,) = scaling.find(views_of(records))
        return page_curves.lead(sweep)

    assert lead(1.0, 1.0, 0.1) == (
        "The lead changes with T. First rank at T 10 to 20: numpy; T 40: jax."
    )
    assert lead(1.0, 1.0, 1.0).startswith("The lead does not change with T")
    assert "T 10: numpy; T 20: " in lead(1.0, 0.5, 1.0)
    assert lead(1.0, 0.1, 1.0, 0.1, 1.0, 0.1, 1.0) == "The lead changes with T."


def test_a_variant_has_the_colour_of_the_figures() -> None:
    found = marks.marks(["numpy", "jax", "torch", "torch-cell", "other"])
    assert found["jax"]["colour"] == "#0072B2"
    assert found["numpy"]["colour"] == marks.TEXT
    assert found["torch"]["colour"] == found["torch-cell"]["colour"] == "#D55E00"
    assert len({(each["shape"], *each["dash"]) for each in found.values()}) == len(found)
    for each in (*found.values(), marks.baseline()):
        assert re.fullmatch(r"M[-\d.e ]+([LQC][-\d.e ]+)+Z", each["shape"])
        numbers = [float(number) for number in re.findall(r"[-\d.e]+", each["shape"])]
        assert 0.4 < max(map(abs, numbers)) <= 1.5


def test_the_page_is_one_file_that_loads_nothing(tmp_path: Path) -> None:
    store.append(tmp_path / store.FILE, [FULL_RUN, *curves()])
    page = write_page([tmp_path]).read_text(encoding="utf-8")
    assert {file.name for file in tmp_path.iterdir()} == {store.FILE, "report.html"}
    found = Elements(page)
    for tag, attributes in found.found:
        assert tag not in ("img", "iframe", "object", "embed", "base"), tag
        for name in ("src", "href", "action"):
            assert (attributes.get(name) or "data:").startswith("data:"), (tag, attributes)
    (policy,) = (a["content"] for t, a in found.found if a.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe-eval" not in policy
    # The two scripts may run and no other.
    _data, _charts, *scripts = found.scripts
    hashes = [b64encode(hashlib.sha256(code.encode()).digest()).decode() for code in scripts]
    assert re.findall(r"'sha256-(.*?)'", policy) == hashes
    assert len(hashes) == 2


def test_the_scripts_are_read_in_one_sitting() -> None:
    files = [file for file in HERE.iterdir() if file.suffix in (".js", ".css", ".jinja")]
    assert {*SCRIPTS} == {file.name for file in files if file.suffix == ".js"}
    for file in files:
        lines = file.read_text(encoding="utf-8").splitlines()
        assert len(lines) <= 300, file.name
        if file.suffix != ".jinja":
            assert max(map(len, lines)) <= 100, file.name


def test_the_page_of_a_large_run_is_small() -> None:
    size = len(page([store.read(REFERENCE / store.FILE)]).encode())
    print(f"the page of {REFERENCE.name}: {size:,} bytes")
    assert size <= MOST_BYTES


def test_several_runs_are_one_page_beside_the_first(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("a", "b")]
    for folder in folders:
        folder.mkdir()
        run = msgspec.structs.replace(RUN, name=folder.name)
        store.append(folder / store.FILE, [run, measurement("numpy", rounds(0.1, 0.11))])
    code, output = here.rnnbench("report", *folders, "--format=html")
    assert code == 0, output
    assert f"report: {tmp_path / 'report.html'}" in output
    assert (tmp_path / "README.md").exists()
    assert "<title>a, b - rnnbench</title>" in (tmp_path / "report.html").read_text()
    code, output = here.rnnbench("report", *folders)
    assert code == 0, output
    assert all((folder / "report.md").exists() for folder in folders)
    code, output = here.rnnbench("report", folders[0], tmp_path / "none", "--format=html")
    assert code == 2
    assert f"{tmp_path / 'none'} holds no measurements.jsonl" in output


def test_without_the_packages_that_draw_it_names_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append(tmp_path / store.FILE, [RUN, measurement("numpy", rounds(0.1, 0.11))])
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "bench.report.html.page.find_spec",
        lambda name: None if name in ("altair", "vl_convert") else find(name),
    )
    code, output = here.rnnbench("report", tmp_path, "--format=html")
    assert code == 2
    assert (
        "--format html needs altair and vl-convert-python; "
        'install with: pip install -e ".[html]" -c constraints.txt'
    ) in output
    assert here.rnnbench("report", tmp_path)[0] == 0

"""Reports are pure functions of records, and survive what records may hold."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from pages import index, report, rows
from record_samples import (
    FULL_RUN,
    RUN,
    Records,
    agreement,
    curves,
    measurement,
    parted,
    rounds,
    sample,
    stopped,
    workload_records,
)

from bench.analysis import text
from bench.analysis.workload_view import views
from bench.records import store
from bench.records.schema import Run
from bench.report.figures import plots
from bench.report.markdown.view import report_view
from bench.report.write import write_index, write_report

GOLDEN = Path(__file__).parent / "golden"
UPDATE = os.environ.get("RNNBENCH_UPDATE_GOLDEN") == "1"


@pytest.mark.parametrize(
    ("name", "run", "records"), [("report.md", RUN, sample()), ("full.md", FULL_RUN, curves())]
)
def test_the_report_is_the_golden_one(name: str, run: Run, records: Records) -> None:
    file = GOLDEN / name
    written = report(run, *parted(records))
    if UPDATE:
        file.write_text(written, encoding="utf-8")
    assert written == file.read_text(encoding="utf-8"), (
        f"{file.name} differs; look at the change, then set RNNBENCH_UPDATE_GOLDEN=1 to keep it"
    )


def test_the_index_is_the_golden_one() -> None:
    file = GOLDEN / "index.md"
    older = msgspec.structs.replace(RUN, name="older", started="2026-11-20T01:02:03Z")
    written = index(
        [(older, [sample()[0]]), (RUN, sample())], [("torn", "ValueError: line 2: not JSON")]
    )
    if UPDATE:
        file.write_text(written, encoding="utf-8")
    assert written == file.read_text(encoding="utf-8")


def test_the_same_records_give_the_same_files(tmp_path: Path) -> None:
    store.append(tmp_path / "measurements.jsonl", [FULL_RUN, *curves()])
    (tmp_path / "report.md").write_text("an older and longer text " * 10_000)
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "stale.svg").write_text("of an older report")
    contents = []
    for _ in range(2):
        write_report(tmp_path)
        figures = sorted((tmp_path / "figures").iterdir())
        contents.append([(f.name, f.read_bytes()) for f in [tmp_path / "report.md", *figures]])
    assert contents[0] == contents[1]
    markdown = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert markdown == report(FULL_RUN, *parted(curves()))
    named = set(re.findall(r"\]\(figures/(.*?)\)", markdown))
    assert named
    assert named == {name for name, _ in contents[0][1:]}


def test_a_template_is_given_text_and_plain_values_alone() -> None:
    found = views(FULL_RUN, *parted(curves()))
    view = report_view(FULL_RUN, parted(curves())[0], found, plots.of_run(FULL_RUN, found))
    left, seen = [dataclasses.asdict(view)], 0
    while left:
        value = left.pop()
        if isinstance(value, dict):
            left += value.values()
        elif isinstance(value, tuple | list):
            left += value
        else:
            assert isinstance(value, str | int | frozenset)
            seen += 1
    assert seen > 40


def test_the_overview_names_the_fastest_and_why_others_have_no_rank() -> None:
    first = [e for row in rows(report(RUN, sample()), "sentiment lstm, bptt") for e in row[2:]]
    assert first[:4] == ["2.01 ±3 % #2", "4.00 ±3 % #3", "**1.00** #1", "✗ disagrees"]
    assert first[4:] == ["✗ crashed", "✗ timed out", "✗ failed", "refused", "refused", "skipped"]
    second = [e for r in rows(report(RUN, sample()), "hihello rnn_tanh, forward") for e in r[2:]]
    assert second == ["alone", "agrees", *[""] * 5, "refused", "", ""]


def test_sentences_say_what_the_verdicts_do() -> None:
    markdown = report(RUN, sample())
    assert (
        "- sentiment, bptt, LSTM: **jax** is fastest, 21.1 ms a step; next is torch, which takes "
        "2.01 (1.95 to 2.07) times as long." in markdown
    )
    assert "hihello, forward, vanilla RNN (tanh): only torch has a time, 51.0 µs" in markdown
    wrong = "**mutant disagrees: l0.bwd.W_hh off by 3.1e-2**"
    assert f"{wrong}, in bptt[sentiment-lstm-base-cpu-float32]." in markdown


def test_who_is_indistinguishable_shares_a_rank_and_no_sentence_calls_one_faster() -> None:
    close = {"numpy": (0.0100, 0.3), "torch": (0.0101, 3.0), "jax": (0.0200, 2.0)}
    markdown = report(FULL_RUN, *parted(workload_records(3, close)))
    (line,) = [line for line in markdown.splitlines() if line.startswith("- sentiment, ")]
    assert "is fastest" not in line
    assert "is statistically indistinguishable from it" in line
    assert "next is jax" in line
    columns = rows(markdown, "sentiment lstm, bptt")[0][2:]
    assert sum("#1" in column for column in columns) == 2
    assert columns[2].endswith("#3")


def test_variants_are_sorted_by_rank_and_the_unranked_have_no_time() -> None:
    section = report(RUN, sample()).split("### ")[1]
    order = [line.split()[1] for line in section.splitlines() if line.startswith("| ")][1:8]
    assert order == ["jax", "torch", "numpy", "mutant", "broken", "slow", "bad-build"]
    mutant, why, errors = rows(section, "mutant")
    assert mutant[1:] == ["", "", "", "", "disagrees", "", "", ""]
    assert why[1] == "disagrees: l0.bwd.W_hh off by 3.1e-2"
    assert "grad.l0.bwd.W_hh off by 3.1e-02 (bound 8.9e-06)" in why[2]
    assert errors[1:] == [
        *("disagrees", "2.1e-8", "1.1e-8", "0", "3.1e-2", "48"),
        "grad.l0.bwd.W_hh, bound 8.9e-6",
    ]
    jax = rows(section, "jax")[0]
    assert jax[1:6] == ["1", "21.1 ms", "**1.00**", "", "reference"]
    assert jax[7:] == ["3.8 %", "252 in 2 x 3"]
    torch = rows(section, "torch")[0]
    assert torch[3:6] == ["2.01", "1.95 to 2.07", "slower"]


def test_a_reason_stands_once_for_all_it_holds_for() -> None:
    markdown = report(RUN, sample())
    assert markdown.count("computes in float32 whatever the dtypes say") == 1
    (row,) = rows(markdown, "keras-jax, keras-torch")
    assert row[1] == "refused"
    assert row[3] == "keras-jax: all workloads; keras-torch: bptt[sentiment-lstm-base-cpu-float32]"


def test_one_variant_is_called_alone_and_not_fastest() -> None:
    markdown = report(RUN, [measurement("torch", rounds(0.04, 0.05))])
    (row,) = rows(markdown, "sentiment lstm, bptt")
    assert row[1:] == ["45.0 ms", "alone"]
    assert "**1.00**" not in markdown
    assert "only torch has a time, 45.0 ms a step." in markdown


@pytest.mark.parametrize(("count", "tables"), [(1, 1), (6, 1), (20, 3)])
def test_the_overview_fits_a_terminal(count: int, tables: int) -> None:
    many = [measurement(f"a-variant-{i}", rounds(0.01 * (i + 1), 0.01)) for i in range(count)]
    overview = report(RUN, many).split("## Who is fastest on cpu")[1].split("\n## ")[0]
    found = [part.splitlines() for part in overview.split("\n\n") if part.startswith("|")]
    assert len(found) == tables
    for lines in found:
        assert len(lines) == 3
        assert len({text.width(line) for line in lines}) == 1  # aligned
        assert text.width(lines[0]) <= 169
    assert all(f"a-variant-{i}" in overview for i in range(count))


@pytest.mark.parametrize("changes", [{"agreement": None}, {"agreement": agreement(0.0, "off")}])
def test_no_number_without_agreement(changes: dict[str, object]) -> None:
    odd = measurement("odd", rounds(0.001, 0.001), **changes)
    markdown = report(RUN, [odd, measurement("torch", rounds(0.04, 0.05))])
    assert "1.00 ms" not in markdown
    assert "only torch has a time" in markdown


def test_a_result_without_a_number_is_named() -> None:
    nan = stopped("nan", "disagrees", "W_hh is not finite", agreement=agreement(None, "off"))
    markdown = report(RUN, [nan])
    assert "disagrees: l0.fwd.W_hh is missing, misshapen or not finite" in markdown
    assert "No measurement agrees" in markdown


def test_unpaired_rounds_get_no_ratio() -> None:
    short = measurement("short", rounds(0.05))
    markdown = report(RUN, [short, measurement("torch", rounds(0.04, 0.041))])
    (row,) = rows(markdown, "sentiment lstm, bptt")
    assert row[1:] == ["40.5 ms", "unpaired", "**1.00** #1"]
    assert "nothing else was timed in the same rounds" in markdown


def test_thread_counts_are_workloads_of_their_own() -> None:
    run = msgspec.structs.replace(RUN, threads=(1, 2))
    both = [measurement("torch", rounds(0.04, 0.04), threads=n) for n in (1, 2)]
    assert "| sentiment lstm, 1 thread, bptt " in report(run, both)
    assert "| sentiment lstm, 2 threads, bptt " in report(run, both)
    assert "### bptt[sentiment-lstm-base-cpu-float32], 1 thread\n" in report(run, both)


def test_threads_that_stand_in_a_label_are_not_named_again() -> None:
    run = msgspec.structs.replace(RUN, threads=(0, 2))
    named = {"given_name": "mine", "overridden": ("threads",)}
    both = [measurement("torch", rounds(0.04, 0.04), threads=n, **named) for n in (0, 2)]
    assert "| sentiment lstm, mine+threads-default, bptt " in report(run, both)
    assert "| sentiment lstm, mine+threads2, bptt " in report(run, both)


def test_what_all_workloads_share_is_said_once_and_what_they_do_not_in_each_row() -> None:
    (first, *_) = sample()
    other = measurement("torch", *first.processes, dtype="float64")
    assert "All in float32, 2 threads." in report(RUN, [first])
    both = report(RUN, [first, other])
    assert "All in 2 threads." in both
    for dtype in ("float32", "float64"):
        assert rows(both, f"sentiment lstm, {dtype}, bptt")


def test_a_variant_that_comes_twice_is_shown_twice() -> None:
    markdown = report(RUN, [measurement("torch", rounds(s, s)) for s in (0.04, 0.05)])
    assert "torch (2)" in markdown
    assert "| 1.25 ±" in markdown.replace("| **1.00** #1 ", "")


def test_a_run_without_measurements_is_a_report_too() -> None:
    assert "Nothing was measured." in report(RUN, [])
    assert "There is no run yet" in index([])


def test_the_index_lists_what_it_cannot_read(tmp_path: Path) -> None:
    for name in ("good", "garbage", "odd-spec"):
        (tmp_path / name).mkdir()
    (tmp_path / "no-records").mkdir()
    store.append(tmp_path / "good" / "measurements.jsonl", [RUN, *sample()])
    (tmp_path / "garbage" / "measurements.jsonl").write_bytes(b"\xff\xfe<b>\n")
    odd = tmp_path / "odd-spec" / "measurements.jsonl"
    store.append(odd, [RUN, measurement("a")])
    odd.write_bytes(odd.read_bytes().replace(b'"cell":"lstm"', b'"cell":"lsmt"'))
    markdown = write_index(tmp_path).read_text(encoding="utf-8")
    assert "[good](good/report.md)" in markdown
    assert len(rows(markdown, "garbage")) == 1
    (odd_row,) = rows(markdown, "[odd-spec](odd-spec/report.md)")
    assert "1 damaged line left out" in odd_row
    assert "no-records" not in markdown
    assert "1 disagrees (mutant), 1 crashed (broken)" in markdown


def test_reporting_imports_nothing_that_measures() -> None:
    script = """
import sys, bench.report.write
banned = {"execnet", "psutil", "torch", "tensorflow", "keras", "jax", "flax", "backends"}
banned |= {"matplotlib"}
banned |= {f"bench.{name}" for name in ("workers", "measurement", "config", "kit", "selftest")}
banned |= {"bench.correctness", "bench.records.machine"}
print(*sorted(banned & set(sys.modules)))
"""
    root = Path(__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.0, "0 s"),
        (1.234e-7, "0.123 µs"),
        (9.9949e-5, "99.9 µs"),
        (9.9951e-5, "100 µs"),
        (9.996e-4, "1.00 ms"),
        (0.0123456, "12.3 ms"),
        (0.99951, "1.00 s"),
        (61.06, "61.1 s"),
        (12345.6, "12346 s"),
    ],
)
def test_durations_have_three_digits(seconds: float, shown: str) -> None:
    assert text.duration(seconds) == shown


def test_ratios_and_errors_read_well() -> None:
    assert [text.ratio(r) for r in (1.0, 9.994, 9.996, 12.34, 1234.5)] == [
        *("1.00", "9.99", "10.0", "12.3", "1234")
    ]
    assert [text.error(e) for e in (0.0, 5.3e-8, 1e-9, 0.031, 2.5, float("inf"))] == [
        *("0", "5.3e-8", "1e-9", "3.1e-2", "2.5", "inf")
    ]


def test_memory_on_a_device_is_shown_where_it_is_counted() -> None:
    (first, *_) = sample()
    counted = msgspec.structs.replace(first.processes[0], peak_device_bytes=300 * 2**20)
    shown = report(RUN, [msgspec.structs.replace(first, processes=(counted,))])
    assert "peak on device" in shown
    assert "300 MiB" in shown
    assert "peak on device" not in report(RUN, [first])


def test_ten_rounds_and_one_round_are_reports_too() -> None:
    assert "| #1" not in report(RUN, [measurement("a", rounds(0.1))])
    two = [measurement(name, rounds(s)) for name, s in (("a", 0.1), ("b", 0.2))]
    markdown = report(RUN, two)
    assert "unknown" in rows(markdown, "b")[1]
    assert "±>100 %" in rows(markdown, "sentiment lstm, bptt")[0][3]
    ten = report(FULL_RUN, *parted(workload_records(5, rounds=10)))
    assert "in 10 |" in ten


def test_the_growth_of_a_curve_is_fitted() -> None:
    markdown = report(FULL_RUN, *parted(curves()))
    assert "T 20 to 320 at B 64, D 64, H 128, L 1" in markdown
    (exponent,) = rows(markdown, "  exponent")
    assert len(exponent) == 5
    for column in exponent[1:]:
        assert 0.9 < float(column.split(" ±")[0]) < 1.1


def test_the_parameter_table_adds_up() -> None:
    markdown = report(RUN, [measurement("torch", rounds(0.04, 0.04))])
    assert rows(markdown, "l0.bwd.W_hh")[0][1:] == ["128 x 512", "65,536"]
    assert rows(markdown, "total")[0][2] == "230,146"


def test_who_is_faster_round_by_round_than_the_lowest_median_is_the_reference() -> None:
    two_speeds = [1.0] * 52 + [2.0] * 48
    markdown = report(
        RUN, [measurement("a", rounds(*two_speeds)), measurement("b", rounds(*[1.02] * 100))]
    )
    (line,) = [line for line in markdown.splitlines() if line.startswith("- sentiment, ")]
    assert "**b** is fastest" in line
    assert "next is a, which takes 1." in line


def test_who_shares_a_later_rank_is_not_said_to_be_like_all_in_it() -> None:
    paces = {"a": (0.01, 0.3), "b": (0.0200, 3.0), "c": (0.0201, 2.0), "d": (0.0202, 2.0)}
    markdown = report(FULL_RUN, *parted(workload_records(3, paces)))
    (line,) = [line for line in markdown.splitlines() if line.startswith("- sentiment, ")]
    ratio = r"[\d.]+ \([\d. to]+\) times as long"
    found = re.search(rf"next is (\w), which takes {ratio}; (.*)\.$", line)
    assert found is not None, line
    assert sorted([found[1], *re.findall(r"\b([b-d])\b", found[2])]) == ["b", "c", "d"]
    assert found[2].endswith("share its rank")


def test_who_ran_alone_in_many_workloads_is_first_in_none() -> None:
    records = [
        measurement("numpy", rounds(0.04, 0.05), input_size=size, overridden=("input",))
        for size in range(1, 12)
    ]
    markdown = report(RUN, records)
    assert "of 11 workloads, only **numpy** has a time in 11." in markdown
    assert "first in" not in markdown

"""Reports are pure functions of records, and survive what records may hold."""

from __future__ import annotations

import base64
import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from markdown_it import MarkdownIt
from record_samples import (
    FULL_RUN,
    RUN,
    SPEC,
    agreement,
    cell_records,
    curves,
    measurement,
    parted,
    rounds,
    sample,
    stopped,
)

from bench import record, statistics
from bench.record import Measurement, Run
from bench.report import text
from bench.report.render import render, render_index
from bench.report.write import write_index, write_report

GOLDEN = Path(__file__).parent / "golden"
UPDATE = os.environ.get("RNNBENCH_UPDATE_GOLDEN") == "1"
HOSTILE = (
    "</td><script>x</script> | ` `` *a* _b_ [c](http://d) ![e](f) &lt; $g$ \\\\| \n\n# h\x1b[31m"
)


@pytest.mark.parametrize(
    ("name", "run", "records"), [("report.md", RUN, sample()), ("full.md", FULL_RUN, curves())]
)
def test_the_report_is_the_golden_one(
    name: str, run: Run, records: list[Measurement | record.Race]
) -> None:
    file = GOLDEN / name
    written = render(run, *parted(records))
    if UPDATE:
        file.write_text(written, encoding="utf-8")
    assert written == file.read_text(encoding="utf-8"), (
        f"{file.name} differs; look at the change, then set RNNBENCH_UPDATE_GOLDEN=1 to keep it"
    )


def test_the_index_is_the_golden_one() -> None:
    file = GOLDEN / "index.md"
    older = msgspec.structs.replace(RUN, name="older", started="2026-11-20T01:02:03Z")
    written = render_index(
        [(older, [sample()[0]]), (RUN, sample())], [("torn", "ValueError: line 2: not JSON")]
    )
    if UPDATE:
        file.write_text(written, encoding="utf-8")
    assert written == file.read_text(encoding="utf-8")


def test_the_same_records_give_the_same_files(tmp_path: Path) -> None:
    record.append(tmp_path / "measurements.jsonl", [FULL_RUN, *curves()])
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
    assert markdown == render(FULL_RUN, *parted(curves()))
    named = set(re.findall(r"\]\(figures/(.*?)\)", markdown))
    assert named
    assert named == {name for name, _ in contents[0][1:]}


def rows(markdown: str, first: str) -> list[list[str]]:
    """Entries of the table lines that start with `first`."""
    return [
        [entry.strip() for entry in line.strip("|").split(" | ")]
        for line in markdown.splitlines()
        if line.startswith(f"| {first} ")
    ]


def test_the_overview_names_the_fastest_and_why_others_have_no_rank() -> None:
    first = [e for row in rows(render(RUN, sample()), "sentiment lstm, bptt") for e in row[2:]]
    assert first[:4] == ["2.01 ±3 % #2", "4.00 ±3 % #3", "**1.00** #1", "✗ disagrees"]
    assert first[4:] == ["✗ crashed", "✗ timed out", "✗ failed", "refused", "refused", "skipped"]
    second = [e for r in rows(render(RUN, sample()), "hihello rnn_tanh, forward") for e in r[2:]]
    assert second == ["alone", "agrees", *[""] * 5, "refused", "", ""]


def test_sentences_say_what_the_verdicts_do() -> None:
    markdown = render(RUN, sample())
    assert (
        "- sentiment, bptt, LSTM: **jax** is fastest, 21.1 ms a step; next is torch, 2.01 "
        "(1.95 to 2.07) times as long." in markdown
    )
    assert "hihello, forward, vanilla RNN (tanh): torch alone has a time, 51.0 µs" in markdown
    wrong = "**mutant disagrees: l0.bwd.W_hh off by 3.1e-2**"
    assert f"{wrong}, in bptt[sentiment-lstm-base-cpu-float32]." in markdown


def test_who_cannot_be_told_apart_shares_a_rank_and_no_sentence_calls_one_faster() -> None:
    close = {"numpy": (0.0100, 0.3), "torch": (0.0101, 3.0), "jax": (0.0200, 2.0)}
    markdown = render(FULL_RUN, *parted(cell_records(3, close)))
    (line,) = [line for line in markdown.splitlines() if line.startswith("- sentiment, ")]
    assert "is fastest" not in line
    assert "is not told apart from it" in line
    assert "next is jax" in line
    entries = rows(markdown, "sentiment lstm, bptt")[0][2:]
    assert sum("#1" in entry for entry in entries) == 2
    assert entries[2].endswith("#3")


def test_variants_are_sorted_by_rank_and_the_unranked_have_no_time() -> None:
    section = render(RUN, sample()).split("### ")[1]
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
    markdown = render(RUN, sample())
    assert markdown.count("computes in float32 whatever the dtypes say") == 1
    (row,) = rows(markdown, "keras-jax, keras-torch")
    assert row[1] == "refused"
    assert row[3] == "keras-jax: all cells; keras-torch: bptt[sentiment-lstm-base-cpu-float32]"


def test_one_variant_is_called_alone_and_not_fastest() -> None:
    markdown = render(RUN, [measurement("torch", rounds(0.04, 0.05))])
    (row,) = rows(markdown, "sentiment lstm, bptt")
    assert row[1:] == ["45.0 ms", "alone"]
    assert "**1.00**" not in markdown
    assert "torch alone has a time, 45.0 ms a step." in markdown


@pytest.mark.parametrize(("count", "tables"), [(1, 1), (6, 1), (20, 3)])
def test_the_overview_fits_a_terminal(count: int, tables: int) -> None:
    many = [measurement(f"a-variant-{i}", rounds(0.01 * (i + 1), 0.01)) for i in range(count)]
    overview = render(RUN, many).split("## Who is fastest on cpu")[1].split("![")[0]
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
    markdown = render(RUN, [odd, measurement("torch", rounds(0.04, 0.05))])
    assert "1.00 ms" not in markdown
    assert "torch alone" in markdown


def test_a_result_without_a_number_is_named() -> None:
    nan = stopped("nan", "disagrees", "W_hh is not finite", agreement=agreement(None, "off"))
    markdown = render(RUN, [nan])
    assert "disagrees: l0.fwd.W_hh is missing, misshapen or not finite" in markdown
    assert "None was found to agree" in markdown


def test_unpaired_rounds_get_no_ratio() -> None:
    short = measurement("short", rounds(0.05))
    markdown = render(RUN, [short, measurement("torch", rounds(0.04, 0.041))])
    (row,) = rows(markdown, "sentiment lstm, bptt")
    assert row[1:] == ["40.5 ms", "unpaired", "**1.00** #1"]
    assert "nothing else was timed in the same rounds" in markdown


def test_thread_counts_are_cells_of_their_own() -> None:
    run = msgspec.structs.replace(RUN, threads=(1, 2))
    both = [measurement("torch", rounds(0.04, 0.04), threads=n) for n in (1, 2)]
    assert "| sentiment lstm, 1 thread, bptt " in render(run, both)
    assert "| sentiment lstm, 2 threads, bptt " in render(run, both)
    assert "### bptt[sentiment-lstm-base-cpu-float32], 1 thread\n" in render(run, both)


def test_what_all_cells_share_is_said_once_and_what_they_do_not_in_each_row() -> None:
    (first, *_) = sample()
    other = msgspec.structs.replace(first, dtype="float64")
    assert "All in float32, 2 threads." in render(RUN, [first])
    both = render(RUN, [first, other])
    assert "All in 2 threads." in both
    for dtype in ("float32", "float64"):
        assert rows(both, f"sentiment lstm, {dtype}, bptt")


def test_a_variant_that_comes_twice_is_shown_twice() -> None:
    markdown = render(RUN, [measurement("torch", rounds(s, s)) for s in (0.04, 0.05)])
    assert "torch (2)" in markdown
    assert "| 1.25 ±" in markdown.replace("| **1.00** #1 ", "")


def test_a_busy_machine_is_warned_of_at_the_top() -> None:
    busy = msgspec.structs.replace(RUN, cores_busy_before=1.5)
    assert "Warning" not in render(RUN, sample())
    assert "used 1.50 cores' worth" in render(busy, sample()).split("## ")[0]


def test_a_run_without_measurements_is_a_report_too() -> None:
    assert "Nothing was measured." in render(RUN, [])
    assert "There is no run yet" in render_index([])


def spoil(value: object) -> object:
    """Every free string of a record, replaced by markup."""
    if isinstance(value, dict):
        return {k: spoil(v) for k, v in value.items()}
    if isinstance(value, list):
        return [spoil(v) for v in value]
    return HOSTILE if isinstance(value, str) else value


def spoilt(measurement: Measurement) -> Measurement:
    fields = msgspec.to_builtins(measurement)
    del fields["record"]
    changed = {k: v if k in ("status", "spec", "role") else spoil(v) for k, v in fields.items()}
    changed["spec"] = {k: spoil(v) for k, v in fields["spec"].items()}
    changed["versions"] = {HOSTILE: HOSTILE}
    return msgspec.convert(changed, Measurement)


def _sources(html: str) -> list[str]:
    return re.findall(r'<img src="(.*?)"', html)


def test_no_value_of_a_record_becomes_markup() -> None:
    fields = msgspec.to_builtins(RUN)
    del fields["record"]
    run = msgspec.convert(spoil(fields), Run)
    hostile = [spoilt(m) for m in sample()]
    browser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    for markdown, clean in (
        (render(run, hostile), render(RUN, sample())),
        (render_index([(run, hostile)], [(HOSTILE, HOSTILE)]), render_index([(RUN, sample())])),
    ):
        html = browser.render(markdown)
        assert HOSTILE[:9] not in html
        assert all(re.fullmatch(r"figures/[\w-]+\.svg", src) for src in _sources(html))
        for tag in ("<script", "<em>", "<h1>h", 'href="http'):
            assert tag not in html, tag
        assert "\x1b" not in markdown
        # Their specs are none, so that there is no table of parameters.
        headings = browser.render(clean.replace("## Models", "")).count("<h2>")
        assert html.count("<h2>") == headings
        cells = [c for c in html.split("<td>")[1:] if c.startswith("&lt;/td&gt;&lt;script&gt;")]
        assert cells
        assert all("| ` `` *a* _b_ [c](http://d) ![e](f) &amp;lt; $g$ \\\\|" in c for c in cells)


def test_the_index_lists_what_it_cannot_read(tmp_path: Path) -> None:
    for name in ("good", "garbage", "odd-spec"):
        (tmp_path / name).mkdir()
    (tmp_path / "no-records").mkdir()
    record.append(tmp_path / "good" / "measurements.jsonl", [RUN, *sample()])
    (tmp_path / "garbage" / "measurements.jsonl").write_bytes(b"\xff\xfe<b>\n")
    record.append(tmp_path / "odd-spec" / "measurements.jsonl", [RUN, measurement("a", spec={})])
    markdown = write_index(tmp_path).read_text(encoding="utf-8")
    assert "[good](good/report.md)" in markdown
    assert len(rows(markdown, "garbage")) == len(rows(markdown, "odd-spec")) == 1
    assert "no-records" not in markdown
    assert "1 disagrees (mutant), 1 crashed (broken)" in markdown


def test_reporting_imports_nothing_that_measures() -> None:
    script = """
import sys, bench.report.write
banned = {"execnet", "psutil", "torch", "tensorflow", "keras", "jax", "flax", "backends"}
banned |= {"matplotlib"}
banned |= {f"bench.{name}" for name in ("worker", "lab", "rounds", "machine", "agreement", "grid")}
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
    shown = render(RUN, [msgspec.structs.replace(first, processes=(counted,))])
    assert "peak on device" in shown
    assert "300 MiB" in shown
    assert "peak on device" not in render(RUN, [first])


def changed(records: list[Measurement | record.Race], **changes: object) -> list[record.Race]:
    """The races, each with these fields of its processes replaced."""
    races = parted(records)[1]
    return [
        msgspec.structs.replace(
            race,
            processes=tuple(msgspec.structs.replace(p, **changes) for p in race.processes),
        )
        for race in races
    ]


def test_a_disturbed_run_says_so_at_its_top_and_decides_nothing() -> None:
    records = cell_records(5)
    blocks = parted(records)[1][0].processes[0].blocks
    races = changed(records, disturbed=blocks // 2)
    markdown = render(FULL_RUN, parted(records)[0], races)
    top, rest = markdown.split("## ", 1)
    assert "**Warning: a disturbed run.**" in top
    assert "undecided: others kept the machine busy" in rest
    assert " ? |" in rest
    assert "#1 |" not in rest
    assert "? has no rank" in rest
    assert rows(markdown, "keras-torch")[1][5] == "unclear"
    assert "** is fastest" not in rest
    quiet = render(FULL_RUN, *parted(records))
    assert "Warning" not in quiet
    assert rows(quiet, "keras-torch")[1][5] == "slower"


def test_a_false_alarm_of_the_control_is_said_at_the_top() -> None:
    measurements, races = parted(cell_records(5))
    (again,) = [m for m in measurements if m.role == "control"]
    (process,) = again.processes
    late = msgspec.structs.replace(process, seconds=tuple(2 * s for s in process.seconds))
    slow = msgspec.structs.replace(again, processes=(late,))
    others = [m for m in measurements if m.role != "control"]
    top = render(FULL_RUN, [*others, slow], races).split("## ")[0]
    assert "a false alarm.** In bptt[sentiment-lstm-base-cpu-float32], numpy" in top
    assert "false alarm" not in render(FULL_RUN, measurements, races).split("## ")[0]


def test_controls_and_floors_are_no_variants() -> None:
    markdown = render(FULL_RUN, *parted(cell_records(5)))
    assert "| floor " not in markdown
    assert "numpy (2)" not in markdown
    assert "7 of 7 agree" in markdown
    assert "A/A control: numpy, entered twice, takes " in markdown
    assert "GEMM floor (these products alone): " in markdown
    assert "by openblas 0.3.31" in markdown


def test_what_stands_beside_the_time() -> None:
    measurements, races = parted(cell_records(5, {"numpy": (0.0100, 0.3), "jax": (0.0300, 2.0)}))
    section = render(FULL_RUN, measurements, races).split("### ")[1]
    beside = next(row for row in rows(section, "numpy") if "FLOP/s" in row[1])
    seconds = np.median(measurements[0].round_seconds)
    assert beside[1] == f"{412e6 / seconds / 1e9:.1f} GFLOP/s"
    share, low, high = map(float, re.findall(r"[\d.]+", beside[2]))
    assert 50 < low < share < high < 70  # 6 ms of 10
    assert beside[3] == text.mebibytes(measurements[0].processes[0].peak_host_bytes or 0)
    assert re.fullmatch(r"\d+ of 48", beside[4])
    assert int(beside[4].split()[0]) >= 1
    assert "A step has 412 MFLOP in its matrix products." in section
    assert "70 % of it in timed steps" in section
    assert "before them 21.0 s (start, build, check, warm up)" in section
    assert "Clock 2,445 (2,400 to 2,450) MHz." in section
    assert "stopped: time used up" in section


def test_throttling_of_a_gpu_is_said_at_the_top() -> None:
    measurements, _ = parted(cell_records(5))
    races = changed(cell_records(5), throttled=("power cap",), gpu_celsius=(60.0, 71.0))
    markdown = render(FULL_RUN, measurements, races)
    assert "the GPU held its clock down:** power cap" in markdown.split("## ")[0]
    assert "GPU at 66 (60 to 71) °C." in markdown


def test_a_serial_run_shows_times_and_compares_nothing() -> None:
    serial = msgspec.structs.replace(FULL_RUN, serial=True, selftest=None)
    measurements, races = parted(cell_records(5))
    taken = [msgspec.structs.replace(m, serial=True) for m in measurements]
    markdown = render(serial, taken, races)
    assert "A serial run." in markdown.split("## ")[0]
    before = markdown.split("## How to read this")[0]
    for word in ("#1", "slower", "** is fastest", "95 %", "A/A control: ", "ratios-"):
        assert word not in before, word
    assert "7 variants timed, not compared." in markdown
    assert text.duration(statistics.median_seconds(parted(cell_records(5))[0][0])) in markdown


def test_the_offset_is_said_to_be_measured_or_assumed() -> None:
    assert "differ by 2.0 % (assumed;" in render(RUN, sample())
    measured = "differ by 1.5 % (measured 2026-11-20 10:00 UTC)"
    assert measured in render(FULL_RUN, *parted(cell_records(5)))


def test_the_selftest_is_a_table_or_how_to_make_one() -> None:
    assert "`rnnbench selftest` makes one" in render(RUN, sample())
    markdown = render(FULL_RUN, *parted(cell_records(5)))
    (first, second) = [row for row in rows(markdown, "numpy") if len(row) == 11]
    assert first[1:] == [
        *("nothing", "1", "4", "10", "1.005", "±2 %", "0 of 4", "0", "4 of 4", "±17 %")
    ]
    assert second[1:3] == ["10 %", "2"]
    assert second[-1] == "not run"


def test_ten_rounds_and_one_round_are_reports_too() -> None:
    assert "| #1" not in render(RUN, [measurement("a", rounds(0.1))])
    two = [measurement(name, rounds(s)) for name, s in (("a", 0.1), ("b", 0.2))]
    markdown = render(RUN, two)
    assert "not known" in rows(markdown, "b")[1]
    assert "±>100 %" in rows(markdown, "sentiment lstm, bptt")[0][3]
    ten = render(FULL_RUN, *parted(cell_records(5, rounds=10)))
    assert "in 10 |" in ten


def test_the_growth_of_a_curve_is_fitted() -> None:
    markdown = render(FULL_RUN, *parted(curves()))
    assert "T 20 to 320 at B 64, D 64, H 128, L 1" in markdown
    (exponent,) = rows(markdown, "  exponent")
    assert len(exponent) == 5
    for entry in exponent[1:]:
        assert 0.9 < float(entry.split(" ±")[0]) < 1.1


def test_the_html_is_one_file_with_its_figures_and_nothing_from_elsewhere(tmp_path: Path) -> None:
    record.append(tmp_path / "measurements.jsonl", [FULL_RUN, *curves()])
    page = write_report(tmp_path, "html").read_text(encoding="utf-8")
    assert {f.name for f in tmp_path.iterdir()} == {"measurements.jsonl", "report.html"}
    sources = _sources(page)
    assert len(sources) >= 4
    for source in sources:
        kind, _, content = source.partition(",")
        assert kind == "data:image/svg+xml;base64"
        assert b"</svg>" in base64.b64decode(content)
    assert 'href="http' not in page
    assert page.count("<table>") == page.count('<div class="wide"><table>')
    assert "<h2>Who is fastest on cpu</h2>" in page


def test_the_html_of_hostile_records_holds_no_markup_of_theirs(tmp_path: Path) -> None:
    fields = msgspec.to_builtins(RUN)
    del fields["record"]
    run = msgspec.convert(spoil(fields), Run)
    record.append(tmp_path / "measurements.jsonl", [run, *map(spoilt, sample())])
    page = write_report(tmp_path, "html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "\x1b" not in page
    for source in _sources(page):
        drawing = base64.b64decode(source.partition(",")[2]).decode()
        assert "<script" not in drawing


def test_the_csv_has_a_row_a_measurement_and_no_formula(tmp_path: Path) -> None:
    odd = stopped("=cmd()", "crashed", '@ended, with "quotes"\nand lines', task="감정")
    records = [*cell_records(5), odd]
    record.append(tmp_path / "measurements.jsonl", [FULL_RUN, *records])
    written = write_report(tmp_path, "csv").read_text(encoding="utf-8")
    found = list(csv.DictReader(written.splitlines()))
    assert len(found) == 10  # seven variants, a control, a floor, the odd one
    assert [row["role"] for row in found].count("control") == 1
    by_name = {row["variant"]: row for row in found if row["role"] == "variant"}
    assert float(by_name["jax"]["seconds"]) == pytest.approx(0.01, rel=0.2)
    assert by_name["keras-torch"]["verdict"] == "slower"
    assert float(by_name["keras-torch"]["ratio_low"]) > 7
    assert by_name["'=cmd()"]["status"] == "crashed"
    assert by_name["'=cmd()"]["reason"] == '\'@ended, with "quotes" and lines'
    assert by_name["'=cmd()"]["seconds"] == ""
    assert by_name["'=cmd()"]["task"] == "감정"


def test_the_parameter_table_adds_up() -> None:
    (m,) = [measurement("torch", rounds(0.04, 0.04), parameters=230_146)]
    markdown = render(RUN, [m])
    assert rows(markdown, "l0.bwd.W_hh")[0][1:] == ["128 x 512", "65,536"]
    assert rows(markdown, "together")[0][2] == "230,146"
    unknown = measurement("torch", rounds(0.04, 0.04), spec={**SPEC, "new_field": 1})
    assert "## Models" not in render(RUN, [unknown])

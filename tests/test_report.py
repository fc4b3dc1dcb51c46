"""Reports are pure functions of records, and survive what records may hold."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from markdown_it import MarkdownIt
from record_samples import RUN, agreement, measurement, rounds, sample, stopped

from bench import record
from bench.record import Measurement, Run
from bench.report import render, render_index, text, write_index, write_report

GOLDEN = Path(__file__).parent / "golden"
UPDATE = os.environ.get("RNNBENCH_UPDATE_GOLDEN") == "1"
HOSTILE = (
    "</td><script>x</script> | ` `` *a* _b_ [c](http://d) ![e](f) &lt; $g$ \\\\| \n\n# h\x1b[31m"
)


def test_the_report_is_the_golden_one() -> None:
    file = GOLDEN / "report.md"
    written = render(RUN, sample())
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


def test_the_same_records_give_the_same_text(tmp_path: Path) -> None:
    assert render(RUN, sample()) == render(RUN, sample())
    record.append(tmp_path / "measurements.jsonl", [RUN, *sample()])
    (tmp_path / "report.md").write_text("an older and longer text " * 10_000)
    write_report(tmp_path)
    assert (tmp_path / "report.md").read_text(encoding="utf-8") == render(RUN, sample())
    assert {f.name for f in tmp_path.iterdir()} == {"measurements.jsonl", "report.md"}


def rows(markdown: str, first: str) -> list[list[str]]:
    """Entries of the table lines that start with `first`."""
    return [
        [entry.strip() for entry in line.strip("|").split(" | ")]
        for line in markdown.splitlines()
        if line.startswith(f"| {first} ")
    ]


def test_the_overview_names_the_fastest_and_why_others_have_no_rank() -> None:
    first, second = rows(render(RUN, sample()), "bptt[sentiment-lstm-base]")
    assert first[1:5] == ["jax, 21.1 ms", "2.00", "4.00", "**1.00**"]
    assert first[5:] == ["disagrees", "crashed", "timed out", "failed", "refused"]
    assert second[1:] == ["jax, 21.1 ms", "refused", "skipped"]


def test_variants_are_sorted_by_ratio_and_the_unranked_have_no_time() -> None:
    section = render(RUN, sample()).split("### ")[1]
    order = [line.split()[1] for line in section.splitlines() if line.startswith("| ")][1:8]
    assert order == ["jax", "torch", "numpy", "mutant", "broken", "slow", "bad-build"]
    (mutant, why) = rows(section, "mutant")
    assert mutant[1:5] == ["", "", "disagrees", ""]
    assert mutant[5] == "disagrees: 3.1e-2 in grad.l0.fwd.W_hh (bound 8.9e-6)"
    assert "grad.l0.bwd.W_hh is off by 3.1e-2" in why[2]
    (jax, _) = rows(section, "jax")
    assert jax[1:5] == ["21.1 ms", "3.8 %", "**1.00**", "252 in 2 x 3"]


def test_a_reason_stands_once_for_all_it_holds_for() -> None:
    markdown = render(RUN, sample())
    assert markdown.count("computes in float32 whatever the dtypes say") == 1
    (row,) = rows(markdown, "keras-jax, keras-torch")
    assert row[1] == "refused"
    assert row[3] == "keras-jax: all cells; keras-torch: bptt[sentiment-lstm-base-cpu-float32]"


def test_one_variant_is_called_alone_and_not_fastest() -> None:
    markdown = render(RUN, [measurement("torch", rounds(0.04, 0.05))])
    (row,) = rows(markdown, "bptt[sentiment-lstm-base]")
    assert row[1:] == ["torch alone, 45.0 ms", "1.00"]
    assert "**1.00** |" not in markdown


@pytest.mark.parametrize(("count", "tables"), [(1, 1), (6, 1), (20, 4)])
def test_the_overview_fits_a_terminal(count: int, tables: int) -> None:
    many = [measurement(f"a-variant-{i}", rounds(0.01 * (i + 1), 0.01)) for i in range(count)]
    overview = render(RUN, many).split("## Overview")[1].split("## ")[0]
    found = [part.splitlines() for part in overview.split("\n\n") if part.startswith("|")]
    assert len(found) == tables
    for lines in found:
        assert len(lines) == 3
        assert len({text.width(line) for line in lines}) == 1  # aligned
        assert text.width(lines[0]) <= 151
    assert all(f"a-variant-{i}" in overview for i in range(count))


@pytest.mark.parametrize("changes", [{"agreement": None}, {"agreement": agreement(0.0, "off")}])
def test_no_number_without_agreement(changes: dict[str, object]) -> None:
    odd = measurement("odd", rounds(0.001, 0.001), **changes)
    markdown = render(RUN, [odd, measurement("torch", rounds(0.04, 0.05))])
    assert "1.00 ms" not in markdown
    assert "torch alone" in markdown


def test_a_result_without_a_number_is_named() -> None:
    nan = stopped("nan", "disagrees", "W_hh is not finite", agreement=agreement(None, "off"))
    assert "not finite: grad.l0.fwd.W_hh" in render(RUN, [nan])


def test_unpaired_rounds_get_no_ratio() -> None:
    short = measurement("short", rounds(0.05))
    markdown = render(RUN, [short, measurement("torch", rounds(0.04, 0.041))])
    (row,) = rows(markdown, "bptt[sentiment-lstm-base]")
    assert row[1:] == ["torch, 40.5 ms", "unpaired", "**1.00**"]


def test_thread_counts_are_cells_of_their_own() -> None:
    run = msgspec.structs.replace(RUN, threads=(1, 2))
    both = [measurement("torch", rounds(0.04, 0.04), threads=n) for n in (1, 2)]
    assert "| bptt[sentiment-lstm-base], 1 thread " in render(run, both)
    assert "| bptt[sentiment-lstm-base], 2 threads " in render(run, both)


def test_what_all_cells_share_is_said_once_and_what_they_do_not_in_each_row() -> None:
    (first, *_) = sample()
    other = msgspec.structs.replace(first, dtype="float64")
    assert "All on cpu, float32." in render(RUN, [first])
    both = render(RUN, [first, other])
    assert "All on" not in both
    for dtype in ("float32", "float64"):
        assert rows(both, f"bptt[sentiment-lstm-base-cpu-{dtype}]")


def test_a_variant_that_comes_twice_is_shown_twice() -> None:
    markdown = render(RUN, [measurement("torch", rounds(s, s)) for s in (0.04, 0.05)])
    assert "torch (2)" in markdown
    assert "1.25" in markdown


def test_a_busy_machine_is_warned_of_at_the_top() -> None:
    busy = msgspec.structs.replace(RUN, cores_busy_before=1.5)
    assert "Warning" not in render(RUN, sample())
    assert "used 1.50 cores' worth" in render(busy, sample()).split("## Overview")[0]


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
    changed = {k: v if k in ("status", "spec") else spoil(v) for k, v in fields.items()}
    changed["spec"] = {k: spoil(v) for k, v in fields["spec"].items()}
    changed["versions"] = {HOSTILE: HOSTILE}
    return msgspec.convert(changed, Measurement)


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
        for tag in ("<script", "<img", "<em>", "<h1>h", 'href="http'):
            assert tag not in html, tag
        assert "\x1b" not in markdown
        assert html.count("<h2>") == browser.render(clean).count("<h2>")
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
import sys, bench.report
banned = {"execnet", "psutil", "torch", "tensorflow", "keras", "jax", "flax", "tasks", "backends"}
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

"""Nothing in a record becomes markup in a report, or a formula in its CSV."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import msgspec
import pytest
from markdown_it import MarkdownIt
from pages import index, report
from record_samples import (
    FULL_RUN,
    RUN,
    parted,
    sample,
    stopped,
    workload_records,
)

from bench.records import store
from bench.records.schema import Measurement, Run
from bench.report.write import write_report

HOSTILE = (
    "</td><script>x</script> | ` `` *a* _b_ [c](http://d) ![e](f) &lt; $g$ \\\\| \n\n# h\x1b[31m"
)


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
    changed = {k: v if k in ("status", "role") else spoil(v) for k, v in fields.items()}
    for known in ("spec", "inputs"):  # whose words are among a few
        changed["workload"][known] = fields["workload"][known]
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
        (report(run, hostile), report(RUN, sample())),
        (index([(run, hostile)], [(HOSTILE, HOSTILE)]), index([(RUN, sample())])),
    ):
        html = browser.render(markdown)
        assert HOSTILE[:9] not in html
        assert all(re.fullmatch(r"figures/[\w-]+\.svg", src) for src in _sources(html))
        for tag in ("<script", "<em>", "<h1>h", 'href="http'):
            assert tag not in html, tag
        assert "\x1b" not in markdown
        assert html.count("<h2>") == browser.render(clean).count("<h2>")
        columns = [c for c in html.split("<td>")[1:] if c.startswith("&lt;/td&gt;&lt;script&gt;")]
        assert columns
        assert all("| ` `` *a* _b_ [c](http://d) ![e](f) &amp;lt; $g$ \\\\|" in c for c in columns)


def test_the_csv_has_a_row_a_measurement_and_no_formula(tmp_path: Path) -> None:
    odd = stopped("=cmd()", "crashed", '@ended, with "quotes"\nand lines', task="감정")
    records = [*workload_records(5), odd]
    store.append(tmp_path / "measurements.jsonl", [FULL_RUN, *records])
    written = write_report(tmp_path, "csv").read_text(encoding="utf-8")
    found = list(csv.DictReader(written.splitlines()))
    assert len(found) == 10  # seven variants, a control, a GEMM baseline, the odd one
    assert [row["role"] for row in found].count("control") == 1
    by_name = {row["variant"]: row for row in found if row["role"] == "variant"}
    assert float(by_name["jax"]["seconds"]) == pytest.approx(0.01, rel=0.2)
    assert by_name["keras-torch"]["verdict"] == "slower"
    assert float(by_name["keras-torch"]["ratio_low"]) > 7
    assert by_name["'=cmd()"]["status"] == "crashed"
    assert by_name["'=cmd()"]["reason"] == '\'@ended, with "quotes" and lines'
    assert by_name["'=cmd()"]["seconds"] == ""
    assert by_name["'=cmd()"]["task"] == "감정"


SHORT = ("[y](http://e.io/a.png)", "\\](http://e.io)", "# h", "> q", "- a", "1. a", "--- a", "===")


@pytest.mark.slow
@pytest.mark.parametrize("task", SHORT)
def test_no_short_name_becomes_markup(task: str) -> None:
    """Where names are cut, what is short stands whole: in titles, lists and pictures' words."""
    browser = MarkdownIt("commonmark").enable("table")
    records = (parted(workload_records(1, **changes)) for changes in ({"task": task}, {}))
    odd, clean = (browser.render(report(FULL_RUN, *each)) for each in records)
    assert "http://e.io" not in " ".join(re.findall(r'(?:src|href)="(.*?)"', odd))
    for tag in ("<h1>", "<h2>", "<h3>", "<blockquote>", "<ol>", "<ul>", "<li>", "<hr", "<img"):
        assert odd.count(tag) == clean.count(tag), tag

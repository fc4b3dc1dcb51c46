"""The page of runs in a real browser: choices, tables, hovering, address, keyboard."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from in_browser import READY, Opened, chromium, opened
from record_samples import (
    FULL_RUN,
    PACES,
    RUN,
    learned_records,
    parted,
    sample,
    stopped,
    workload_records,
)
from test_report_formats import HOSTILE, spoil, spoilt

from bench import ROOT
from bench.records import store
from bench.records.schema import Run
from bench.report.figures.style import INK, styles
from bench.report.html.data import Records
from bench.report.html.page import page

__all__ = ["chromium"]

THREE = ("2026-11-22-reference", "2026-11-22-all-variants", "2026-11-27-braun2018")
NAMES = (
    HOSTILE,
    "</script><script>document.title = 'ran'</script>",
    "<img src=x onerror=\"document.title = 'ran'\">",
    "javascript:document.title='ran'",
    "\u202egnp.exe\x00\x1b[31m",
    "a-very-long-name-of-a-variant-" * 8,
)


def of_reports(*names: str) -> list[Records]:
    return [store.read(ROOT / "reports" / name / store.FILE) for name in names]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pages to open, by name: made once."""
    folder = tmp_path_factory.mktemp("pages")
    measured, records = parted(workload_records(3))
    runs: dict[str, list[Records]] = {
        "reference": of_reports(THREE[0]),
        "three": of_reports(*THREE),
        "learned": [(FULL_RUN, *parted([*learned_records(), *workload_records(2)]))],
        "failures": [(RUN, [*measured, *sample()], records)],
        "hostile": [_hostile()],
        "nothing": [(RUN, [], [])],
    }
    files = {name: folder / f"{name}.html" for name in runs}
    for name, file in files.items():
        file.write_text(page(runs[name]), encoding="utf-8")
    return files


def _hostile() -> Records:
    fields = msgspec.to_builtins(RUN)
    del fields["record"]
    run = msgspec.convert(spoil(fields), Run)
    named = {name: (0.01 * (i + 1), 1.0) for i, name in enumerate(NAMES)}
    measured, records = parted(workload_records(3, named, task=NAMES[1], device=NAMES[2]))
    odd = [stopped(name, "crashed", name, task=NAMES[1], device=NAMES[2]) for name in NAMES]
    return run, [*measured, *odd, *map(spoilt, sample())], records


@pytest.fixture
def reference(chromium: Any, pages: dict[str, Path]) -> Iterator[Opened]:
    with opened(chromium, pages["reference"]) as found:
        yield found


def test_choices_lead_to_an_answer_that_the_address_keeps(
    reference: Opened, chromium: Any, pages: dict[str, Path]
) -> None:
    reference.choose("task", "sentiment")
    reference.choose("cell", "LSTM")
    assert reference.text("#title") == "sentiment, LSTM, bptt, cpu, float32, 2 threads, base"
    assert "torch leads, 58.5 ms a step" in reference.text("#sentence")
    assert "task=sentiment" in reference.address
    assert "cell=LSTM" in reference.address
    answer, table = reference.text("#sentence"), reference.rows("#table-ratios")
    address = reference.page.evaluate("location.hash")
    with opened(chromium, pages["reference"], address) as shared:
        assert shared.text("#sentence") == answer
        assert shared.rows("#table-ratios") == table
        assert shared.page.input_value("#choice-cell") == "LSTM"
    reference.page.go_back()
    reference.settle()
    assert "vanilla RNN (tanh)" in reference.text("#title")
    reference.go("#task=sentiment&cell=none&size=gone&sort=nothing&hide=nobody")
    assert reference.text("#title").startswith("sentiment, ")


def test_a_choice_that_does_not_fit_moves_the_others(reference: Opened) -> None:
    reference.choose("task", "sentiment")
    reference.choose("size", "curve over H")
    reference.choose("task", "hihello")
    assert reference.text("#title").endswith("2 threads, source")
    assert reference.page.locator("#workload").is_visible()
    assert not reference.page.locator("#curve").is_visible()


def test_a_table_sorts_and_filters(reference: Opened) -> None:
    everything = "#table-all"
    assert len(reference.rows(everything)) == 50
    reference.click("#table-all button:has-text('Show all')")
    assert len(reference.rows(everything)) == 294
    chart = reference.page.locator("#chart-ratios svg").element_handle()
    reference.page.fill("#find", "GRU flax forward")
    reference.settle()
    assert set(reference.column(everything, "variant")) == {"flax"}
    assert set(reference.column(everything, "cell")) == {"GRU"}
    assert reference.text("#count").startswith(f"{len(reference.rows(everything))} of 294")
    # Numbers sort by size, and not by their digits.
    reference.page.fill("#find", "hihello bptt")
    reference.settle()
    reference.click("#table-all th button:text-is('ratio')")
    found = [float(value) for value in reference.column(everything, "ratio")]
    assert found == sorted(found)
    assert sum(value > 10 for value in found) > 2
    reference.click("#table-all th button:text-is('ratio')")
    assert [float(value) for value in reference.column(everything, "ratio")] == found[::-1]
    order = reference.page.locator("#table-all th[aria-sort=descending]")
    assert order.inner_text() == "ratio"
    assert "find=hihello bptt" in reference.address
    assert "sort=-ratio" in reference.address
    # Times sort by size, whatever their unit.
    reference.page.fill("#find", "")
    reference.settle()
    reference.click("#table-all th button:text-is('median step')")
    units = [value.split()[1] for value in reference.column(everything, "median step")]
    assert units[0] == "µs"
    assert units == sorted(units, key=["µs", "ms", "s"].index)
    assert chart.evaluate("chart => chart.isConnected"), "sorting drew the charts again"
    # A variant leads to its workload, where one reads on.
    reference.click("#table-all tbody a")
    assert reference.text("#title").startswith("hihello, ")
    assert reference.page.evaluate("document.activeElement.id") == "title"


def test_small_tables_sort_too(reference: Opened) -> None:
    reference.click("#table-ratios th button:text-is('variant')")
    names = reference.column("#table-ratios", "variant")
    assert names == sorted(names)
    reference.click("#table-ratios th button:text-is('variant')")
    assert reference.column("#table-ratios", "variant") == names[::-1]


def test_hovering_shows_time_interval_agreement_and_path(reference: Opened) -> None:
    reference.choose("task", "sentiment")
    row = dict(
        zip(reference.head("#table-ratios"), reference.rows("#table-ratios")[1], strict=True)
    )
    shown = reference.hover("#chart-ratios .mark-symbol.role-mark path", 1)
    for column in ("variant", "median step", "ratio", "95 % interval", "verdict"):
        assert row[column] in shown, column
    agreement, path = reference.rows("#table-agreement")[1][1:3]
    assert agreement.startswith("agrees in ")
    assert agreement in shown
    assert path in shown
    assert "null" not in shown
    assert "undefined" not in shown


def test_a_curve_has_its_points_intervals_baseline_and_table(reference: Opened) -> None:
    reference.go("#task=sentiment&cell=LSTM&size=curve+over+T")
    head = reference.head("#table-curve")
    assert head[0] == "T"
    assert head[-1] == "GEMM baseline"
    rows = reference.rows("#table-curve")
    assert [row[0] for row in rows] == ["T 20", "T 40", "T 80", "T 160", "exponent"]
    points = reference.page.locator("#chart-times .mark-symbol.role-mark path")
    assert points.count() == 4 * 8
    marks = reference.page.locator("#chart-ratios-along .mark-rule.role-mark line")
    assert marks.count() == 4 * 7 - 4  # the fastest of each point has no interval
    shown = reference.hover("#chart-times .mark-symbol.role-mark path", 0)
    name = next(name for name in head[1:] if f"\n{name}" in shown.replace("\t", ""))
    assert rows[0][head.index(name)].split(" #")[0] in shown
    # A point of the curve is a workload.
    reference.click("#table-curve a:text-is('T 40')")
    assert reference.text("#title").endswith("base+T40")


def test_time_against_steps_shows_who_overtakes_whom(chromium: Any, pages: dict[str, Path]) -> None:
    with opened(chromium, pages["failures"]) as found:
        sentence = found.text("#sentence-cold")
        assert "numpy is first; jax is ahead from step" in sentence
        shown = found.hover("#chart-totals .mark-symbol.role-mark path:not([fill]), #chart-totals "
                            ".mark-symbol.role-mark path[fill='transparent']")  # fmt: skip
        assert "jax is ahead of numpy from step" in shown
        step = sentence.split("from step ")[1].split()[0]
        assert step in shown


def test_the_time_to_the_target_is_shown_where_nets_learned(
    chromium: Any, pages: dict[str, Path]
) -> None:
    with opened(chromium, pages["learned"]) as found:
        assert found.page.locator("#learning").is_visible()
        assert found.text("#lesson-task").startswith("Target: accuracy at least 1, within 200")
        found.click("#learning summary")
        times = dict(
            zip(
                found.column("#table-learning", "variant"),
                found.column("#table-learning", "to the target"),
                strict=True,
            )
        )
        assert times.keys() == PACES.keys()
        assert times["torch"] == "not reached"
        bars = found.page.locator("#chart-targets .mark-rect.role-mark path")
        assert bars.count() == 2 * (len(PACES) - 1)
        words = found.page.locator("#chart-targets .mark-text.role-mark text")
        assert words.all_text_contents() == ["not reached"]
        assert times["jax"] in found.hover("#chart-targets .mark-rect.role-mark path", 1)
        points = found.page.locator("#chart-losses .mark-symbol.role-mark path")
        assert points.count() > 8 * len(PACES)
        found.choose("phase", "bptt")
        assert not found.page.locator("#learning").is_visible()


def test_a_variant_is_hidden_and_shown(reference: Opened) -> None:
    before = reference.column("#table-ratios", "variant")
    reference.click("#variants button:has-text('numpy')")
    assert "hide=numpy" in reference.address
    assert reference.column("#table-ratios", "variant") == [n for n in before if n != "numpy"]
    assert (
        reference.page.locator("#chart-ratios .mark-symbol.role-mark path").count()
        == len(before) - 1
    )
    pressed = reference.page.locator("#variants [aria-pressed=false]")
    assert pressed.inner_text() == "numpy"
    reference.click("#variants button:has-text('numpy')")
    assert reference.column("#table-ratios", "variant") == before


def test_the_keyboard_is_enough(reference: Opened) -> None:
    keyboard = reference.page.keyboard
    keyboard.press("Tab")
    assert reference.page.evaluate("document.activeElement.id") == "choice-task"
    keyboard.press("ArrowDown")
    reference.settle()
    assert reference.text("#title").startswith("sin_sequence")
    assert reference.page.evaluate("document.activeElement.id") == "choice-task"
    reference.page.locator("#variants button").nth(2).focus()
    keyboard.press("Space")
    reference.settle()
    assert reference.page.locator("#variants button").nth(2).get_attribute("aria-pressed") == (
        "false"
    )
    focus = "[...document.querySelectorAll('#variants button')].indexOf(document.activeElement)"
    assert reference.page.evaluate(focus) == 2
    reference.page.locator("#table-all th button").nth(1).focus()
    keyboard.press("Enter")
    reference.settle()
    assert reference.page.locator("#table-all th[aria-sort=ascending]").count() == 1
    assert reference.page.evaluate("document.activeElement.innerText") == "task"


def test_a_screen_reader_finds_tables_and_names(reference: Opened) -> None:
    page = reference.page
    for chart in page.locator(".chart").all():
        assert "table" in (chart.get_attribute("aria-label") or "")
    for table in page.locator("table").all():
        assert table.get_attribute("aria-label")
        assert table.locator("th:not([scope])").count() == 0
    for control in page.locator("select, input").all():
        assert control.evaluate("one => one.labels.length") == 1
    assert page.locator("#answer").get_attribute("aria-live") == "polite"
    assert page.evaluate("document.documentElement.lang") == "en"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1400])
@pytest.mark.parametrize("name", ["reference", "failures", "hostile", "three", "learned"])
def test_it_fits_narrow_and_wide_light_and_dark(
    chromium: Any, pages: dict[str, Path], name: str, width: int, scheme: str
) -> None:
    with opened(chromium, pages[name], width=width, scheme=scheme) as found:
        assert found.page.evaluate("document.documentElement.scrollWidth") <= width
        for chart in found.page.locator(".chart svg").all():
            if chart.is_visible():
                assert chart.bounding_box()["width"] <= width
        ink, paper = found.page.evaluate(
            "['color', 'backgroundColor'].map(n => getComputedStyle(document.body)[n])"
        )
        light = [sum(map(int, colour.strip("rgb()").split(", "))) for colour in (ink, paper)]
        assert (light[0] < light[1]) == (scheme == "light")


def test_dark_and_light_follow_the_system_and_the_figures(
    chromium: Any, pages: dict[str, Path]
) -> None:
    palette = styles(PACES)

    def colours() -> dict[str, str]:
        shown = found.page.eval_on_selector_all(
            "#chart-ratios .mark-symbol.role-mark path",
            "paths => paths.map(p => [p.getAttribute('aria-label'), p.getAttribute('fill')])",
        )
        return {
            name: fill
            for label, fill in shown
            for name in PACES
            if f"variant: {name};" in label
        }  # fmt: skip

    with opened(chromium, pages["failures"]) as found:
        light = colours()
        assert light.keys() == PACES.keys()
        found.page.emulate_media(color_scheme="dark")
        found.page.locator("#chart-ratios .mark-symbol.role-mark path[fill='#e1e7ed']").wait_for()
        dark = colours()
    for name, (colour, _, _) in palette.items():
        if colour == INK:
            assert light[name] != dark[name]
        else:
            assert light[name] == dark[name] == colour


def test_hostile_names_stay_text(chromium: Any, pages: dict[str, Path]) -> None:
    with opened(chromium, pages["hostile"]) as found:
        title = found.page.title()
        found.page.locator("#machine-and-load summary").click()
        for item in range(found.page.locator("#failures a").count()):
            found.page.locator("#failures a").nth(item).click()
            found.settle()
        found.go("")
        found.hover("#chart-ratios .mark-symbol.role-mark path", 0)
        assert found.page.title() == title != "ran"
        scripts = "[...document.scripts].map(s => s.type)"
        assert found.page.evaluate(scripts) == ["application/json"] * 2 + ["module"] * 2
        assert found.page.locator("img, iframe, object").count() == 0
        shown = found.text("#table-all")
        assert "</td><script>x</script>" in shown
        assert not {"\x00", "\x1b", "\u202e"} & set(found.page.content())
        names = found.column("#table-agreement", "variant")
        assert any(name.startswith("<img src=x onerror=") for name in names)
        links = found.page.eval_on_selector_all("a", "links => links.map(a => a.href)")
        assert links
        assert all(link.startswith(f"{found.url}#") for link in links)


def test_what_failed_stands_at_the_top(chromium: Any, pages: dict[str, Path]) -> None:
    with opened(chromium, pages["failures"]) as found:
        assert "mutant disagrees in bptt[sentiment-lstm-base-cpu-float32]" in found.text(
            "#failures"
        )
        found.page.check("#failed")
        found.settle()
        assert found.column("#table-all", "variant") == ["mutant", "broken", "slow", "bad-build"]
        reasons = found.column("#table-all", "reason")
        assert "the worker ended with signal 11 (SIGSEGV) | 오류" in reasons
        words = dict(
            zip(
                found.column("#table-ratios", "variant"),
                found.column("#table-ratios", "verdict"),
                strict=True,
            )
        )
        assert words["keras-jax (2)"] == "refused"
        assert words["flax (2)"] == "skipped"
        assert words["torch (2)"] == "unpaired"
        assert found.page.locator("#chart-ratios .mark-text.role-mark text").count() > 4


def test_three_runs_are_one_page(chromium: Any, pages: dict[str, Path]) -> None:
    with opened(chromium, pages["three"]) as found:
        for name in THREE:
            found.choose("run", name)
            assert found.text("#title").startswith(f"{name}, ")
            assert f"run={name}" in found.address
        for name in THREE:
            found.page.fill("#find", name)
            found.settle()
            assert set(found.column("#table-all", "run")) == {name}
        found.go(f"#run={THREE[0]}&task=sentiment&cell=LSTM")
        assert found.page.locator("#runs").is_visible()
        assert len(found.head("#table-runs")) >= 5
        own = dict(zip(*(found.column("#table-ratios", c) for c in ("variant", "median step")),
                       strict=True))  # fmt: skip
        for row in found.rows("#table-runs"):
            assert row[1] == own.get(row[0], "")


def test_a_run_without_measurements_has_a_page(chromium: Any, pages: dict[str, Path]) -> None:
    with opened(chromium, pages["nothing"]) as found:
        assert found.text("#sentence") == "Nothing was measured."
        assert not found.page.locator("#all").is_visible()


MOST_ACTIONS = 3


def test_who_is_fastest_for_a_gru_in_training_at_base(reference: Opened) -> None:
    reference.choose("task", "sentiment")
    reference.choose("cell", "GRU")
    assert reference.text("#title") == "sentiment, GRU, bptt, cpu, float32, 2 threads, base"
    assert " a step; " in reference.text("#sentence")
    assert reference.rows("#table-ratios")[0][1] == "1"
    assert reference.actions <= MOST_ACTIONS


def test_does_the_lead_change_with_t(reference: Opened) -> None:
    reference.choose("task", "sentiment")
    reference.choose("size", "curve over T")
    assert reference.text("#sentence").startswith("The lead does not change with T")
    assert reference.actions <= MOST_ACTIONS


def test_what_does_compiling_cost(reference: Opened) -> None:
    reference.choose("task", "sentiment")
    reference.click("#cold summary")
    costs = dict(
        zip(*(reference.column("#table-cold", c) for c in ("variant", "first call")), strict=True)
    )
    assert _seconds(costs["jax"]) > 10 * _seconds(costs["numpy"])
    assert reference.actions <= MOST_ACTIONS


def test_which_variant_disagreed(chromium: Any, pages: dict[str, Path]) -> None:
    with opened(chromium, pages["failures"]) as found:
        assert "mutant disagrees in bptt[sentiment" in found.text("#failures")
        found.click("#failures a")
        rows = {row[0]: row[1:] for row in found.rows("#table-agreement")}
        assert rows["mutant"][0].startswith("disagrees in 48 tensors")
        assert "grad.l0.bwd.W_hh off by 3.1e-02" in rows["mutant"][-1]
        assert found.actions <= MOST_ACTIONS


def test_how_much_memory_flax_takes_beside_jax(reference: Opened) -> None:
    reference.choose("task", "sentiment")
    reference.click("#memory summary")
    memory = dict(
        zip(*(reference.column("#table-memory", c) for c in ("variant", "memory")), strict=True)
    )
    assert memory["flax"].endswith("MiB")
    assert memory["jax"].endswith("MiB")
    assert reference.page.locator("#chart-memory .mark-rect.role-mark path").count() >= len(memory)
    assert reference.actions <= MOST_ACTIONS


def _seconds(shown: str) -> float:
    number, unit = shown.split()
    return float(number) * {"s": 1.0, "ms": 1e-3, "µs": 1e-6}[unit]


@pytest.mark.slow
def test_a_very_large_run_can_be_explored(chromium: Any, tmp_path: Path) -> None:
    """200 workloads x 13 variants; prints size and time to interactive."""
    paces = {**PACES, **{f"{name}-more": pace for name, pace in list(PACES.items())[:6]}}
    records = [
        record
        for number in range(200)
        for record in workload_records(
            number,
            paces,
            steps=10 + number // 4,
            cell=("rnn_tanh", "rnn_relu", "gru", "lstm")[number % 4],
            overridden=("steps",),
        )
    ]
    began = time.monotonic()
    content = page([(FULL_RUN, *parted(records))])
    made = time.monotonic() - began
    file = tmp_path / "large.html"
    file.write_text(content, encoding="utf-8")
    with opened(chromium, file) as found:
        ready = found.page.evaluate("performance.getEntriesByName('interactive')[0].startTime")
        assert found.page.evaluate(READY)
        print(
            f"200 workloads x {len(paces)} variants: {len(content.encode()):,} bytes, made in "
            f"{made:.1f} s, interactive after {ready:,.0f} ms"
        )
        assert found.text("#count") == "2600 of 2600 measurements"
        found.choose("cell", "GRU")
        found.choose("size", "curve over T")
        assert found.page.locator("#chart-times .mark-symbol.role-mark path").count() == 50 * 14
        found.page.fill("#find", "base+T40 numpy-more lstm")
        found.settle()
        assert found.text("#count") == "1 of 2600 measurements"

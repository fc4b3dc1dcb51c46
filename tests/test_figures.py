"""Figures: their data is that of the records, and their pictures can be read."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET
from typing import Any

import matplotlib as mpl
import msgspec
import numpy as np
import pytest
from matplotlib.text import Text
from record_samples import (
    FULL_RUN,
    PACES,
    RUN,
    Records,
    curves,
    full,
    measurement,
    parted,
    rounds,
    sample,
    stopped,
    workload_records,
)
from views_of import figures_of, views_of

from backends import registry
from bench.analysis import text, verdicts
from bench.measurement.gradient_norms import SEQUENCES, norms
from bench.records.schema import Measurement, Run
from bench.report.figures import curves as curves_module
from bench.report.figures import draw, panels, plots, style
from bench.report.figures.figure import MOST_PANELS, Axis, Figure, Panel, Series, row_title
from bench.report.figures.panels import ticks
from tasks.loss import loss
from tasks.spec import Batch, ModelSpec, init_params

WIDE: dict[str, Any] = {
    **{"batch": 32, "hidden_size": 320, "num_layers": 2},
    "overridden": ("batch", "hidden", "layers", "bidirectional"),
}
HOSTILE = "<b>*x*</b> $\\frac{1}{2}$ & 감정 [y](z) \x1b[31m"


def gpu_records() -> Records:
    few = {name: PACES[name] for name in ("torch", "jax")}
    here, there = workload_records(1, few), workload_records(2, few, scale=0.1, device="cuda:0")
    return [*here, *there]


def odd_records() -> Records:
    """Names and a task that are markup, and one that is longer than any label should be."""
    names = (HOSTILE, "a-very-long-name-of-a-variant-" * 4, "short")
    paces = {name: (0.01 * (i + 1), 1.0) for i, name in enumerate(names)}
    return workload_records(3, paces, task=HOSTILE, phase="train_step", **WIDE)


RUNS: dict[str, tuple[Run, Records]] = {
    "full": (FULL_RUN, full()),
    "curves": (FULL_RUN, curves()),
    "every status": (RUN, list(sample())),
    "one variant": (RUN, [measurement("torch", rounds(0.04, 0.05, 0.045))]),
    "one round": (RUN, [measurement(n, rounds(s)) for n, s in (("a", 0.04), ("b", 0.05))]),
    "gpu": (FULL_RUN, gpu_records()),
    "odd": (FULL_RUN, odd_records()),
    "serial": (msgspec.structs.replace(FULL_RUN, serial=True), workload_records(1)),
    "three phases": (
        FULL_RUN,
        [r for i, p in enumerate(("forward", "bptt", "train_step")) for r in
         workload_records(i, phase=p, **WIDE)],
    ),
}  # fmt: skip


def texts(figure: Figure) -> tuple[list[tuple[str, Any]], Any]:
    """Every text of a picture with the box it takes, and the box of the picture."""
    with mpl.rc_context(style.SETTINGS):
        picture = draw.canvas(figure, style.styles(figure.variants))
        picture.draw_without_rendering()
        found = [
            (text.get_text(), text.get_window_extent())
            for text in picture.findobj(Text)
            if text.get_visible() and text.get_text().strip()
        ]
        return found, picture.bbox


@pytest.mark.parametrize("name", RUNS)
def test_no_text_of_a_picture_lies_on_another_or_outside(name: str) -> None:
    run, records = RUNS[name]
    figures = plots.of_run(run, views_of(records, run))
    assert figures
    for figure in figures:
        found, picture = texts(figure)
        assert len(found) > 3
        for words, box in found:
            outside = max(-box.x0, -box.y0, box.x1 - picture.x1, box.y1 - picture.y1)
            assert outside <= 1, (figure.file, words)
        for (a, one), (b, other) in itertools.combinations(found, 2):
            clear = (
                one.x1 <= other.x0 + 0.5
                or other.x1 <= one.x0 + 0.5
                or one.y1 <= other.y0 + 0.5
                or other.y1 <= one.y0 + 0.5
            )
            assert clear, f"{figure.file}: {a!r} lies on {b!r}"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["curves", "every status", "odd", "gpu"])
def test_a_picture_is_sound_and_the_same_each_time(name: str) -> None:
    run, records = RUNS[name]
    figures = plots.of_run(run, views_of(records, run))
    styles = style.of_report(figures)
    files = [figure.file for figure in figures]
    assert len(set(files)) == len(files)
    for figure in figures:
        assert re.fullmatch(r"[\w-]+\.svg", figure.file)
        picture = draw.svg(figure, styles)
        assert picture == draw.svg(figure, styles)
        root = ET.fromstring(picture)
        assert root.tag.endswith("svg")
        content = picture.decode()
        assert "prefers-color-scheme: dark" in content
        assert style.INK not in content
        assert "<script" not in content
        assert not re.search(r"\d{4}-\d\d-\d\dT", content), "a date"


def test_ratios_are_those_of_the_verdicts() -> None:
    records = workload_records(5)
    (view,) = views_of(records)
    (panel,) = figures_of(records)["ratios-1.svg"].rows[0]
    assert panel is not None
    assert [s.label for s in panel.series] == list(PACES)
    measurements = {m.variant: m for m in parted(records)[0] if m.role == "variant"}
    expected = verdicts.against_fastest(measurements, FULL_RUN.between_process)
    assert len(expected) == 6
    for series in panel.series:
        if series.label == view.fastest:
            assert (series.x, series.low) == ((1.0,), ())
            continue
        estimate = expected[series.label].estimate
        assert series.x == (estimate.ratio,)
        assert (series.low[0], series.high[0]) == estimate.interval
        assert series.low[0] < series.x[0] < series.high[0]


def test_who_has_no_number_is_named_in_its_place() -> None:
    notes = {
        series.label: series.note
        for figure in figures_of(list(sample()), RUN).values()
        if figure.file.startswith("ratios")
        for row in figure.rows
        for panel in row
        if panel
        for series in panel.series
        if not series.x
    }
    assert notes["mutant"] == "disagrees"
    assert notes["broken"] == "crashed"
    assert notes["slow"] == "timed out"
    assert notes["flax"] == "skipped"


def test_gpu_and_cpu_are_compared_where_both_ran() -> None:
    (panel,) = figures_of(gpu_records())["devices.svg"].rows[0]
    assert panel is not None
    assert [s.label for s in panel.series] == ["torch", "jax"]
    assert all(7 < s.x[0] < 14 for s in panel.series)
    assert "devices.svg" not in figures_of(full())


def test_a_model_of_one_output_has_gradients_too() -> None:
    one = ModelSpec(cell="lstm", input_size=1, hidden_size=5, output_size=1, loss="mse")
    assert np.all(norms(one, 6) > 0)
    bare = ModelSpec(cell="rnn_tanh", input_size=2, hidden_size=1)
    assert np.all(norms(bare, 6) > 0)


def test_memory_is_drawn_where_it_was_counted() -> None:
    assert "memory-1.svg" in figures_of(workload_records(1))
    assert "memory-1.svg" not in figures_of([measurement("torch", rounds(0.04, 0.05))], RUN)


def test_memory_is_drawn_of_every_model_of_a_task() -> None:
    cases = [("hihello", "rnn_tanh"), ("hihello", "lstm"), ("hihello", "gru")]
    cases += [("sentiment", "rnn_relu")]
    records: Records = []
    for seed, (task, cell) in enumerate(cases):
        records += workload_records(seed, task=task, cell=cell)
    found = figures_of(records)
    titles = [
        [panel.title for row in found[file].rows for panel in row if panel]
        for file in ("memory-1.svg", "memory-2.svg")
    ]
    assert titles == [["bptt, RNN (tanh)", "bptt, LSTM", "bptt, GRU"], ["bptt, RNN (relu)"]]


def test_memory_between_two_bounds_is_a_bar_without_a_marker_from_where_it_is() -> None:
    def used(held: int) -> Measurement:
        (process,) = measurement("a", rounds(*[0.01] * 10)).processes
        peak = {"peak_host_bytes": 40 * 2**20, "held_host_bytes": held}
        return measurement(f"held-{held}", msgspec.structs.replace(process, **peak))

    figure = figures_of([used(0), used(40 * 2**20), used(10 * 2**20)], RUN)["memory-1.svg"]
    (panel,) = figure.rows[0]
    assert panel is not None
    fresh, all_held, some_held = panel.series
    assert (fresh.x, fresh.low, fresh.high) == ((40.0,), (), ())
    assert (all_held.x, all_held.low, all_held.high) == ((), (0.0,), (40.0,))
    assert (some_held.x, some_held.low, some_held.high) == ((), (30.0,), (40.0,))
    assert panels.ends(panel.x, panels.values(panel, "x"))[0] == 0.0


def test_the_answer_shows_every_workload_and_variant_with_its_ratio() -> None:
    records = full()
    views = [view for view in views_of(records) if len(view.ranked) > 1]
    figure = next(iter(figures_of(records).values()))
    assert (figure.file, figure.section) == ("answer.svg", "answer")
    ((panel,),) = figure.rows
    assert panel is not None
    by_row = {row: view for view in views for row in panel.rows if row == row_title(view)}
    assert len(by_row) == len(panel.rows) >= 6
    points = 0
    for series in panel.series:
        for x, y, low, high, strong in zip(
            *(series.x, series.y, series.low, series.high, series.strong), strict=True
        ):
            view = by_row[panel.rows[int(y)]]
            assert strong == (series.label in view.first)
            if series.label == view.fastest:
                assert (x, low, high) == (1.0, 1.0, 1.0)
            else:
                estimate = view.comparisons[series.label].estimate
                assert (x, low, high) == (estimate.ratio, *estimate.interval)
            points += 1
    assert points == sum(len(view.ranked) for view in by_row.values())
    for words, row in zip(panel.beside, panel.rows, strict=True):
        view = by_row[row]
        assert words.startswith(view.first[0])
        assert text.duration(view.seconds[str(view.fastest)]) in words


def test_the_answer_names_who_failed() -> None:
    records = [*sample(), *workload_records(1, phase="forward")]
    ((panel,),) = figures_of(records, RUN)["answer.svg"].rows
    assert panel is not None
    assert panel.beside[0] == "jax, 21.1 ms, ✗ mutant"


def test_a_single_workload_is_answered_by_its_ratios() -> None:
    figures = [*figures_of(workload_records(1)).values()]
    assert [f.file for f in figures if f.section == "answer"] == ["ratios-1.svg"]


def test_axes_of_a_figure_that_show_the_same_have_one_range_and_say_what_they_show() -> None:
    for name, (run, records) in RUNS.items():
        for figure in plots.of_run(run, views_of(records, run)):
            with mpl.rc_context(style.SETTINGS):
                picture = draw.canvas(figure, style.styles(figure.variants))
            words = [*(axes.get_xlabel() for axes in picture.axes)]
            assert any(words), (name, figure.file)
            shown = [panel for row in figure.rows for panel in row if panel]
            for axes, panel in zip(picture.axes, shown, strict=True):
                assert (axes.get_xscale() == "log") == panel.x.log
                assert axes.get_xlabel() in ("", panel.x.words)
                assert ("log scale" in panel.x.words) == panel.x.log
            ends = {
                (p.x.name, axes.get_xlim()) for axes, p in zip(picture.axes, shown, strict=True)
            }
            assert len(ends) == len({panel.x.name for panel in shown}), (name, figure.file)
            heights = {
                (p.y.name, axes.get_ylim())
                for axes, p in zip(picture.axes, shown, strict=True)
                if p.y is not None
            }
            assert len(heights) == len({p.y.name for p in shown if p.y is not None})


def test_a_variant_has_one_style_in_all_figures_and_no_two_have_the_same() -> None:
    names = [*PACES, "torch-cell", "torch-compile", "jax@0.9", "jax@0.10", "unknown", "other"]
    styles = style.styles(names)
    assert len(set(styles.values())) == len(names)
    assert len({styles[name][0] for name in PACES}) == len(PACES)
    assert styles["torch-cell"][0] == styles["torch"][0]
    assert styles["jax@0.9"][0] == styles["jax"][0] != styles["torch"][0]
    for few in itertools.combinations(PACES, 2):
        assert all(style.styles(few)[name] == styles[name] for name in few)


def test_colours_stand_out_on_white_and_on_black() -> None:
    def luminance(colour: str) -> float:
        parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ (0.2126, 0.7152, 0.0722))

    palette = style._palette()
    for colour in (*palette["variants"].values(), *palette["others"]):
        if colour != "text":
            assert 1.05 / (luminance(colour) + 0.05) > 1.7, colour
            assert (luminance(colour) + 0.05) / 0.0556 > 3.0, colour


@pytest.mark.parametrize(("low", "high"), [(1, 1.2), (1, 160), (0.7, 2.2), (3e-5, 4e3), (19, 21)])
@pytest.mark.parametrize("most", [3, 5])
def test_the_numbers_of_an_axis_are_few_and_within_it(low: float, high: float, most: int) -> None:
    found = ticks(low, high, most)
    assert 1 <= len(found) <= most
    assert all(low <= value <= high for value in found)


def test_the_gradients_of_a_model_are_those_of_its_first_workload_that_has_any() -> None:
    def records(*norms: float, **changes: object) -> Records:
        *others, record = workload_records(1, **changes)
        return [*others, msgspec.structs.replace(record, gradient_norms=norms)]

    def curves_of(found: Records) -> dict[str, tuple[object, object]]:
        (panel,) = figures_of(found)["gradients-1.svg"].rows[0]
        assert panel is not None
        assert panel.y is not None
        assert panel.y.words == "norm of the gradient (log scale)"
        return {series.label: (series.x, series.y) for series in panel.series}

    found = [*records(), *records(0.5, 0.0, 0.25), *records(0.9, 0.8, phase="forward")]
    found += records(0.7, 0.6, cell="gru")
    lstm, gru = ((0.0, 2.0), (0.5, 0.25)), ((0.0, 1.0), (0.7, 0.6))
    assert curves_of(found) == {"LSTM": lstm, "GRU": gru}
    longer = records(0.4, 0.3, steps=90, overridden=("steps",))
    assert curves_of([*found, *longer]) == {
        "LSTM, base": lstm,
        "GRU, base": gru,
        "LSTM, base+T90": ((0.0, 1.0), (0.4, 0.3)),
    }
    assert "gradients-1.svg" not in figures_of(records())


def test_curves_of_many_models_are_not_alike() -> None:
    labels = [f"model {number}" for number in range(curves_module.MOST_GRADIENTS)]
    series = tuple(Series(name, (1.0, 2.0), (1.0, 2.0), variant=False) for name in labels)
    panel = Panel("", "lines", series, Axis("steps"), Axis("norm"))
    found = style.of_figure(Figure("a.svg", "", "", "more", ((panel,),)), {})
    assert len({found[name] for name in labels}) == len(labels)


def test_gradients_fade_with_the_distance_from_the_loss() -> None:
    spec = ModelSpec(cell="rnn_tanh", input_size=4, hidden_size=12, output_size=3)
    found = norms(spec, 40)
    assert found.shape == (40,)
    assert found[0] > 100 * found[-1] > 0
    np.testing.assert_array_equal(found, norms(spec, 40))


def test_gradient_norms_are_those_of_central_differences() -> None:
    steps = 3
    spec = ModelSpec(
        cell="gru",
        input_size=2,
        hidden_size=3,
        output_size=2,
        vocab_size=SEQUENCES * steps,
        readout="last_step",
    )
    params = init_params(spec, 0)
    x = np.arange(SEQUENCES * steps).reshape(SEQUENCES, steps)
    batch = Batch(x=x, y=np.arange(SEQUENCES) % 2)
    model = registry.load("numpy").build(spec, params, device="cpu", dtype="float64")

    def at(token: int, column: int, change: float) -> float:
        moved = {name: value.copy() for name, value in params.items()}
        moved["E"][token, column] += change
        model.load(moved)
        outputs = model.to_host(model.forward(model.place(batch)))["outputs"]
        return float(loss(spec, outputs, batch))

    expected = np.zeros(steps)
    for sequence, step, column in np.ndindex(SEQUENCES, steps, 2):
        token = int(x[sequence, step])
        slope = (at(token, column, 1e-5) - at(token, column, -1e-5)) / 2e-5
        expected[steps - 1 - step] += slope**2
    np.testing.assert_allclose(norms(spec, steps), np.sqrt(expected), rtol=1e-6)


def test_a_large_report_draws_a_limited_number_of_figures() -> None:
    one = {"torch": PACES["torch"], "jax": PACES["jax"]}
    records = [
        record
        for seed, (task, cell) in enumerate(
            itertools.product(map(str, range(12)), ("rnn_tanh", "gru", "lstm"))
        )
        for record in workload_records(seed, one, task=task, cell=cell)
    ]
    figures = plots.of_run(FULL_RUN, views_of(records))
    counts: dict[str, int] = {}
    for figure in figures:
        kind = figure.file.partition("-")[0]
        counts[kind] = counts.get(kind, 0) + sum(
            panel is not None for r in figure.rows for panel in r
        )
    assert {"answer.svg", "ratios", "total", "memory", "gradients"} == counts.keys()
    assert max(counts.values()) <= MOST_PANELS
    answer = next(figure for figure in figures if figure.file == "answer.svg").rows[0][0]
    assert answer is not None
    assert len(answer.rows) == 36 <= plots.MOST_WORKLOADS


def test_nothing_timed_is_nothing_drawn() -> None:
    assert plots.of_run(RUN, views_of([stopped("a", "crashed", "signal 11")], RUN)) == []


def test_nobodys_settings_of_matplotlib_change_a_figure() -> None:
    figure = figures_of(curves())["ratios-1.svg"]
    styles = style.of_report([figure])
    with mpl.rc_context({"axes.grid": True, "savefig.bbox": "tight", "font.size": 20}):
        changed = draw.svg(figure, styles)
    assert changed == draw.svg(figure, styles)

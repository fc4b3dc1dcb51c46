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
from bench.analysis import verdicts
from bench.measurement.gradient_norms import SEQUENCES, norms
from bench.records.schema import Run
from bench.report.figures import draw, plots, style
from bench.report.figures.figure import Figure
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
    assert "memory.svg" in figures_of(workload_records(1))
    assert "memory.svg" not in figures_of([measurement("torch", rounds(0.04, 0.05))], RUN)


def test_memory_is_drawn_of_the_largest_model_of_each_task() -> None:
    cases = [("hihello", "rnn_tanh"), ("hihello", "lstm"), ("hihello", "gru")]
    cases += [("sentiment", "rnn_relu")]
    records: Records = []
    for seed, (task, cell) in enumerate(cases):
        records += workload_records(seed, task=task, cell=cell)
    rows = figures_of(records)["memory.svg"].rows
    assert [panel and panel.title for row in rows for panel in row] == [
        "bptt, hihello LSTM",
        "bptt, sentiment RNN (relu)",
    ]


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


def test_the_gradients_of_a_cell_are_those_of_its_first_workload_that_has_any() -> None:
    def records(*norms: float, **changes: object) -> Records:
        *others, record = workload_records(1, **changes)
        return [*others, msgspec.structs.replace(record, gradient_norms=norms)]

    found = [*records(), *records(0.5, 0.0, 0.25, steps=40), *records(0.9, 0.8, phase="forward")]
    (panel,) = figures_of([*found, *records(0.7, 0.6, cell="gru")])["gradients.svg"].rows[0]
    assert panel is not None
    curves = {series.label: (series.x, series.y) for series in panel.series}
    assert curves == {"LSTM": ((0.0, 2.0), (0.5, 0.25)), "GRU": ((0.0, 1.0), (0.7, 0.6))}
    assert "gradients.svg" not in figures_of(records())


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
    panels = [panel for figure in figures for row in figure.rows for panel in row if panel]
    assert 10 < len(panels) < 60


def test_nothing_timed_is_nothing_drawn() -> None:
    assert plots.of_run(RUN, views_of([stopped("a", "crashed", "signal 11")], RUN)) == []


def test_nobodys_settings_of_matplotlib_change_a_figure() -> None:
    figure = figures_of(curves())["ratios-1.svg"]
    styles = style.of_report([figure])
    with mpl.rc_context({"axes.grid": True, "savefig.bbox": "tight", "font.size": 20}):
        changed = draw.svg(figure, styles)
    assert changed == draw.svg(figure, styles)

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
    COLD,
    FULL_RUN,
    PACES,
    RUN,
    SPEC,
    cell_records,
    curves,
    full,
    measurement,
    parted,
    rounds,
    sample,
    stopped,
)

from backends import registry
from bench import statistics, verdicts
from bench.gradients import SEQUENCES, norms
from bench.record import Measurement, Race, Run
from bench.report import crossings, draw, plots, style, sweeps
from bench.report.cells import Cell, cells
from bench.report.figures import Figure
from bench.report.panels import ticks
from tasks.loss import loss
from tasks.spec import Batch, ModelSpec, init_params

HOSTILE = "<b>*x*</b> $\\frac{1}{2}$ & 감정 [y](z) \x1b[31m"


def cells_of(records: list[Measurement | Race], run: Run = FULL_RUN) -> list[Cell]:
    return cells(run, *parted(records))


def figures_of(records: list[Measurement | Race], run: Run = FULL_RUN) -> dict[str, Figure]:
    return {figure.file: figure for figure in plots.of_run(run, cells_of(records, run))}


def gpu_records() -> list[Measurement | Race]:
    few = {name: PACES[name] for name in ("torch", "jax")}
    here, there = cell_records(1, few), cell_records(2, few, scale=0.1, device="cuda:0")
    return [*here, *there]


def odd_records() -> list[Measurement | Race]:
    """Names and a task that are markup, and one that is longer than any label should be."""
    names = (HOSTILE, "a-very-long-name-of-a-variant-" * 4, "short")
    paces = {name: (0.01 * (i + 1), 1.0) for i, name in enumerate(names)}
    return [*cell_records(3, paces, task=HOSTILE, phase="train_step", size="base+B32+H320+L2+bi")]


RUNS: dict[str, tuple[Run, list[Measurement | Race]]] = {
    "full": (FULL_RUN, full()),
    "curves": (FULL_RUN, curves()),
    "every status": (RUN, list(sample())),
    "one variant": (RUN, [measurement("torch", rounds(0.04, 0.05, 0.045))]),
    "one round": (RUN, [measurement(n, rounds(s)) for n, s in (("a", 0.04), ("b", 0.05))]),
    "gpu": (FULL_RUN, gpu_records()),
    "odd": (FULL_RUN, odd_records()),
    "serial": (msgspec.structs.replace(FULL_RUN, serial=True), cell_records(1)),
    "three phases": (
        FULL_RUN,
        [r for i, p in enumerate(("forward", "bptt", "train_step")) for r in
         cell_records(i, phase=p, size="base+B32+H320+L2+bi")],
    ),
}  # fmt: skip


def texts(figure: Figure) -> tuple[list[tuple[str, Any]], Any]:
    """Every text of a picture with the box it takes, and the box of the picture."""
    with mpl.rc_context(style.SETTINGS):
        drawn = draw.canvas(figure, style.looks(figure.variants))
        drawn.draw_without_rendering()
        found = [
            (text.get_text(), text.get_window_extent())
            for text in drawn.findobj(Text)
            if text.get_visible() and text.get_text().strip()
        ]
        return found, drawn.bbox


@pytest.mark.parametrize("name", RUNS)
def test_no_text_of_a_picture_lies_on_another_or_outside(name: str) -> None:
    run, records = RUNS[name]
    drawn = plots.of_run(run, cells_of(records, run))
    assert drawn
    for figure in drawn:
        found, picture = texts(figure)
        assert len(found) > 3
        for words, box in found:
            outside = max(-box.x0, -box.y0, box.x1 - picture.x1, box.y1 - picture.y1)
            assert outside <= 1, (figure.file, words)
        for (a, one), (b, other) in itertools.combinations(found, 2):
            apart = (
                one.x1 <= other.x0 + 0.5
                or other.x1 <= one.x0 + 0.5
                or one.y1 <= other.y0 + 0.5
                or other.y1 <= one.y0 + 0.5
            )
            assert apart, f"{figure.file}: {a!r} lies on {b!r}"


@pytest.mark.parametrize("name", ["curves", "every status", "odd", "gpu"])
def test_a_picture_is_sound_and_the_same_each_time(name: str) -> None:
    run, records = RUNS[name]
    drawn = plots.of_run(run, cells_of(records, run))
    looks = style.of_report(drawn)
    files = [figure.file for figure in drawn]
    assert len(set(files)) == len(files)
    for figure in drawn:
        assert re.fullmatch(r"[\w-]+\.svg", figure.file)
        picture = draw.svg(figure, looks)
        assert picture == draw.svg(figure, looks)
        root = ET.fromstring(picture)
        assert root.tag.endswith("svg")
        content = picture.decode()
        assert "prefers-color-scheme: dark" in content
        assert style.INK not in content
        assert "<script" not in content
        assert not re.search(r"\d{4}-\d\d-\d\dT", content), "a date"


def test_ratios_are_those_of_the_verdicts() -> None:
    records = cell_records(5)
    (cell,) = cells_of(records)
    (panel,) = figures_of(records)["ratios-1.svg"].rows[0]
    assert panel is not None
    assert [s.label for s in panel.series] == list(PACES)
    measurements = {m.variant: m for m in parted(records)[0] if m.role == "variant"}
    expected = verdicts.against_fastest(measurements, FULL_RUN.offset or verdicts.ASSUMED)
    assert len(expected) == 6
    for series in panel.series:
        if series.label == cell.fastest:
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


def test_a_sweep_is_cells_that_differ_in_one_size_alone() -> None:
    found = sweeps.find(cells_of(full()))
    assert len(found) == 12  # three axes, two kinds, two phases
    assert {(sweep.axis, sweep.values) for sweep in found} == {
        ("T", (16, 80, 320)),
        ("B", (8, 64, 256)),
        ("H", (32, 128, 512)),
    }
    assert not sweeps.find(cells_of(cell_records(1)))
    base = sweeps.base_cells(cells_of(full()))
    assert {cell.any.size for cell in base} == {"base", "source"}


def test_a_curve_holds_every_point_and_the_floor() -> None:
    (panel,) = figures_of(curves())["sweep-T-1.svg"].rows[0]
    assert panel is not None
    assert [s.label for s in panel.series] == ["numpy", "torch", "jax", "GEMM floor"]
    measured = {(m.variant, m.steps): m for m in parted(curves())[0] if m.phase == "bptt"}
    for series in panel.series[:3]:
        assert series.x == (20.0, 80.0, 320.0)
        assert all(
            y == statistics.median_seconds(measured[series.label, int(x)])
            for x, y in zip(series.x, series.y, strict=True)
            if series.label != "numpy"  # entered twice
        )
    assert not panel.series[3].variant


@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.0])
def test_the_exponent_of_a_power_law_is_found(exponent: float) -> None:
    points = [(n, 3e-4 * n**exponent) for n in (8, 16, 64, 100, 1000)]
    found = sweeps.growth(points)
    assert found is not None
    assert found.exponent == pytest.approx(exponent)
    assert found.half_width == pytest.approx(0.0, abs=1e-6)
    assert found.last == pytest.approx(exponent)
    assert sweeps.growth(points[:2]) is None


def test_a_bent_curve_has_a_wide_interval_that_holds_the_slopes_of_its_ends() -> None:
    found = sweeps.growth([(n, 1e-3 + 1e-5 * n) for n in (10, 100, 1000, 10_000)])
    assert found is not None
    assert found.half_width > 0.2
    assert found.last > found.exponent


def test_the_lead_changes_where_the_lines_cross() -> None:
    quick, slow = (0.0100, 10.0), (0.0200, 1.0)
    (cell,) = cells_of(cell_records(11, {"slow": slow, "quick": quick}))
    (crossing,) = crossings.crossings(cell)
    before, after = crossing.before, crossing.after
    assert (before.label, after.label) == ("slow", "quick")
    assert after.total(crossing.steps) <= before.total(crossing.steps)
    assert after.total(crossing.steps - 1) > before.total(crossing.steps - 1)
    assert crossing.low <= crossing.steps <= crossing.high
    assert f"quick pays after {crossing.steps:,} steps" in crossings.sentence(cell)


def test_a_lead_that_nobody_is_sure_of_is_not_told() -> None:
    early = measurement("early", rounds(*[0.0100, 0.0104] * 6))
    (process,) = measurement("late", rounds(*[0.0103, 0.0099] * 6)).processes
    cold = msgspec.structs.replace(process.cold, import_seconds=10.0)
    late = measurement("late", msgspec.structs.replace(process, cold=cold))
    (cell,) = cells_of([early, late])
    assert cell.fastest == "late"
    assert not crossings.crossings(cell)
    assert "early is first, and no other is sure to overtake" in crossings.sentence(cell)
    (sure,) = cells_of([early, measurement("early too", rounds(*[0.02] * 12))])
    assert crossings.sentence(sure).endswith("early is first from the first step on.")


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
    assert "memory.svg" in figures_of(cell_records(1))
    assert "memory.svg" not in figures_of([measurement("torch", rounds(0.04, 0.05))], RUN)


def test_memory_is_drawn_of_the_largest_model_of_each_task() -> None:
    cases = [("hihello", "rnn_tanh", 100), ("hihello", "lstm", 400), ("hihello", "gru", 300)]
    cases += [("sentiment", "rnn_relu", 900)]
    records: list[Measurement | Race] = []
    for seed, (task, cell, parameters) in enumerate(cases):
        spec = {**SPEC, "cell": cell}
        records += cell_records(seed, task=task, spec=spec, parameters=parameters)
    rows = figures_of(records)["memory.svg"].rows
    assert [panel and panel.title for row in rows for panel in row] == [
        "bptt, hihello LSTM",
        "bptt, sentiment RNN (relu)",
    ]


def test_a_variant_has_one_look_in_all_figures_and_no_two_have_the_same() -> None:
    names = [*PACES, "torch-cell", "torch-compile", "jax@0.9", "jax@0.10", "stranger", "other"]
    looks = style.looks(names)
    assert len(set(looks.values())) == len(names)
    assert len({looks[name][0] for name in PACES}) == len(PACES)
    assert looks["torch-cell"][0] == looks["torch"][0]
    assert looks["jax@0.9"][0] == looks["jax"][0] != looks["torch"][0]
    for few in itertools.combinations(PACES, 2):
        assert all(style.looks(few)[name] == looks[name] for name in few)


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
        for seed, (task, kind) in enumerate(
            itertools.product(map(str, range(12)), ("rnn_tanh", "gru", "lstm"))
        )
        for record in cell_records(seed, one, task=task, spec={**SPEC, "cell": kind})
    ]
    drawn = plots.of_run(FULL_RUN, cells_of(records))
    panels = [panel for figure in drawn for row in figure.rows for panel in row if panel]
    assert 10 < len(panels) < 60


def test_nothing_timed_is_nothing_drawn() -> None:
    assert plots.of_run(RUN, cells(RUN, [stopped("a", "crashed", "signal 11")])) == []


def test_curves_without_two_points_of_anybody_are_left_out() -> None:
    records: list[Measurement | Race] = [
        measurement(name, rounds(*[0.01] * 10), steps=steps, size=f"base+T{steps}")
        for name, steps in (("numpy", 16), ("torch", 64), ("jax", 256))
    ]
    assert "sweep-T-1.svg" not in figures_of(records)


def test_a_start_that_took_no_time_is_drawn() -> None:
    cold = msgspec.structs.replace(COLD, **dict.fromkeys(COLD.__struct_fields__, 0.0))
    (process,) = measurement("a", rounds(*[0.01] * 10)).processes
    process = msgspec.structs.replace(process, cold=cold)
    figure = figures_of([measurement(name, process) for name in "ab"])["total-1.svg"]
    assert b"<svg" in draw.svg(figure, style.of_report([figure]))


def test_optimizers_are_curves_of_their_own_and_their_panels_say_so() -> None:
    few = {name: PACES[name] for name in ("numpy", "torch")}
    records: list[Measurement | Race] = []
    for seed, (steps, name) in enumerate(itertools.product((16, 64, 256), ("adam", "sgd"))):
        size = f"base+T{steps}+{name}"
        records += cell_records(seed, few, phase="train_step", steps=steps, size=size)
    found = sweeps.find(cells_of(records))
    assert [sweep.words for sweep in found] == [("adam",), ("sgd",)]
    assert all(len(sweep.cells) == 3 for sweep in found)
    drawn = figures_of(records)["sweep-T-1.svg"]
    titles = [panel.title for row in drawn.rows for panel in row if panel]
    assert titles == ["train_step, LSTM, adam", "train_step, LSTM, sgd"]


def test_curves_at_other_sizes_are_told_apart_in_their_titles() -> None:
    few = {name: PACES[name] for name in ("numpy", "torch")}
    records: list[Measurement | Race] = []
    for seed, (steps, batch) in enumerate(itertools.product((16, 64, 256), (8, 64))):
        size = f"base+B{batch}+T{steps}"
        records += cell_records(seed, few, batch=batch, steps=steps, size=size)
    drawn = figures_of(records)["sweep-T-1.svg"]
    titles = [panel.title for row in drawn.rows for panel in row if panel]
    assert titles == ["bptt, LSTM, B 8", "bptt, LSTM, B 64"]


def test_nobodys_settings_of_matplotlib_change_a_figure() -> None:
    figure = figures_of(curves())["ratios-1.svg"]
    looks = style.of_report([figure])
    with mpl.rc_context({"axes.grid": True, "savefig.bbox": "tight", "font.size": 20}):
        changed = draw.svg(figure, looks)
    assert changed == draw.svg(figure, looks)


def test_a_lead_that_shares_its_rank_never_pays() -> None:
    """Told to be faster by its own interval, and not by the verdicts of the cell."""
    leads = shared = 0
    for seed in range(60):
        close = {"a": (0.0100, 3.0), "b": (0.0104, 1.0), "c": (0.0104, 1.0), "d": (0.0105, 1.0)}
        (cell,) = cells_of(cell_records(seed, close, rounds=20))
        for crossing in crossings.crossings(cell):
            leads += 1
            assert cell.ranks[crossing.after.label] < cell.ranks[crossing.before.label]
        if len(cell.first) > 1:
            shared += 1
            assert "from the first step on" not in crossings.sentence(cell)
    assert leads > 0
    assert shared > 0

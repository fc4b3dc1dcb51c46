"""Curves: of steps against sizes, and of whole times against steps."""

from __future__ import annotations

import itertools

import msgspec
import pytest
from drawn import cells_of, figures_of
from record_samples import (
    COLD,
    PACES,
    cell_records,
    curves,
    full,
    measurement,
    parted,
    rounds,
)

from bench import statistics
from bench.record import Measurement, Race
from bench.report import crossings, draw, style, sweeps


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

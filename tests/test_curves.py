"""Curves: of steps against sizes, and of whole times against steps."""

from __future__ import annotations

import itertools
import re

import msgspec
import pytest
from record_samples import (
    COLD,
    PACES,
    Records,
    curves,
    full,
    measurement,
    parted,
    rounds,
    workload_records,
)
from views_of import figures_of, views_of

from bench.analysis import break_even, estimators, scaling
from bench.report.figures import draw, style
from bench.report.markdown import sentences
from tasks.inputs import InputOptions
from tasks.spec import OptimizerSpec


def test_a_sweep_is_workloads_that_differ_in_one_size_alone() -> None:
    found = scaling.find(views_of(full()))
    assert len(found) == 12  # three axes, two cells, two phases
    assert {(sweep.axis, sweep.values) for sweep in found} == {
        ("T", (16, 80, 320)),
        ("B", (8, 64, 256)),
        ("H", (32, 128, 512)),
    }
    assert not scaling.find(views_of(workload_records(1)))
    base = scaling.first_look(views_of(full()))
    assert {view.workload.label for view in base} == {"base", "source"}


def test_a_curve_holds_every_point_and_the_gemm_baseline() -> None:
    panel, ratios = figures_of(curves())["sweep-T-1.svg"].rows[0]
    assert panel is not None
    assert ratios is not None
    assert [s.label for s in panel.series] == ["numpy", "torch", "jax", "GEMM baseline"]
    bptt = [m for m in parted(curves())[0] if m.workload.phase == "bptt"]
    measured = {(m.variant, m.workload.steps): m for m in bptt}
    for series in panel.series[:3]:
        assert series.x == (20.0, 80.0, 320.0)
        assert all(
            y == estimators.median_seconds(measured[series.label, int(x)])
            for x, y in zip(series.x, series.y, strict=True)
            if series.label != "numpy"  # measured twice
        )
    assert not panel.series[3].variant
    assert [s.label for s in ratios.series] == ["numpy", "torch", "jax"]
    views = {v.workload.steps: v for v in views_of(curves()) if v.workload.phase == "bptt"}
    for series in ratios.series:
        points = zip(series.x, series.y, series.low, series.high, strict=True)
        for (steps, view), (x, *found) in zip(sorted(views.items()), points, strict=True):
            assert x == pytest.approx(steps, rel=0.05)
            if series.label == view.fastest:
                assert found == [1.0, 1.0, 1.0]
            else:
                estimate = view.comparisons[series.label].estimate
                assert found == [estimate.ratio, *estimate.interval]


def test_the_curves_of_a_named_workload_name_what_its_file_sets() -> None:
    few = {name: PACES[name] for name in ("numpy", "torch")}
    records: Records = []
    for seed, (steps, padding) in enumerate(itertools.product((16, 64, 256), ("behind", "front"))):
        inputs = InputOptions(lengths="uniform", padding=padding)
        named = {"given_name": f"T{steps}-{padding}", "inputs": inputs, "overridden": ()}
        records += workload_records(seed, few, steps=steps, bidirectional=True, **named)
    titles = [row[0].title for row in figures_of(records)["sweep-T-1.svg"].rows if row[0]]
    assert titles == [
        "bptt, LSTM, bi, lengths uniform",
        "bptt, LSTM, bi, lengths uniform, padded in front",
    ]


@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.0])
def test_the_exponent_of_a_power_law_is_found(exponent: float) -> None:
    points = [(n, 3e-4 * n**exponent) for n in (8, 16, 64, 100, 1000)]
    found = scaling.growth(points)
    assert found is not None
    assert found.exponent == pytest.approx(exponent)
    assert found.half_width == pytest.approx(0.0, abs=1e-6)
    assert found.last == pytest.approx(exponent)
    assert scaling.growth(points[:2]) is None


def test_a_bent_curve_has_a_wide_interval_that_holds_the_slopes_of_its_ends() -> None:
    found = scaling.growth([(n, 1e-3 + 1e-5 * n) for n in (10, 100, 1000, 10_000)])
    assert found is not None
    assert found.half_width > 0.2
    assert found.last > found.exponent


def test_points_that_do_not_tell_give_no_exponent() -> None:
    few = scaling.growth([(8, 1.0), (16, 1.1), (32, 2.5)])
    many = scaling.growth([(8 * 2**n, 2.0**n * (1 + n % 2 / 9)) for n in range(8)])
    assert few is not None
    assert many is not None
    assert str(few) == "3 points do not tell"
    assert re.fullmatch(r"1\.\d\d ± 0\.0\d", str(many))


def test_the_lead_changes_where_the_lines_cross() -> None:
    quick, slow = (0.0100, 10.0), (0.0200, 1.0)
    (view,) = views_of(workload_records(11, {"slow": slow, "quick": quick}))
    (found,) = break_even.break_evens(view)
    before, after = found.before, found.after
    assert (before.label, after.label) == ("slow", "quick")
    assert after.of(found.steps) <= before.of(found.steps)
    assert after.of(found.steps - 1) > before.of(found.steps - 1)
    assert found.low <= found.steps <= found.high
    assert f"quick is ahead from step {found.steps:,} (" in sentences.with_cold_start(view)


def test_a_lead_that_nobody_is_sure_of_is_not_reported() -> None:
    early = measurement("early", rounds(*[0.0100, 0.0104] * 6))
    (process,) = measurement("late", rounds(*[0.0103, 0.0099] * 6)).processes
    cold = msgspec.structs.replace(process.cold, import_seconds=10.0)
    late = measurement("late", msgspec.structs.replace(process, cold=cold))
    (view,) = views_of([early, late])
    assert view.fastest == "late"
    assert not break_even.break_evens(view)
    assert "early is first; no other variant is certain to overtake" in sentences.with_cold_start(
        view
    )
    (sure,) = views_of([early, measurement("early too", rounds(*[0.02] * 12))])
    assert sentences.with_cold_start(sure).endswith("early is first at any number of steps.")


def test_curves_without_two_points_of_anybody_are_left_out() -> None:
    records: Records = [
        measurement(name, rounds(*[0.01] * 10), steps=steps, overridden=("steps",))
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
    records: Records = []
    for seed, (steps, name) in enumerate(itertools.product((16, 64, 256), ("adam", "sgd"))):
        changes = {"optimizer": OptimizerSpec(name, 0.001), "overridden": ("steps", "optimizer")}
        records += workload_records(seed, few, phase="train_step", steps=steps, **changes)
    found = scaling.find(views_of(records))
    assert [sweep.words for sweep in found] == [("adam",), ("sgd",)]
    assert all(len(sweep.views) == 3 for sweep in found)
    figure = figures_of(records)["sweep-T-1.svg"]
    titles = [row[0].title for row in figure.rows if row[0]]
    assert titles == ["train_step, LSTM, adam", "train_step, LSTM, sgd"]


def test_curves_at_other_sizes_say_so_in_their_titles() -> None:
    few = {name: PACES[name] for name in ("numpy", "torch")}
    records: Records = []
    for seed, (steps, batch) in enumerate(itertools.product((16, 64, 256), (8, 64))):
        overridden = ("batch", "steps")
        records += workload_records(seed, few, batch=batch, steps=steps, overridden=overridden)
    figure = figures_of(records)["sweep-T-1.svg"]
    titles = [row[0].title for row in figure.rows if row[0]]
    assert titles == ["bptt, LSTM, B 8", "bptt, LSTM, B 64"]


def test_a_lead_that_shares_its_rank_never_pays() -> None:
    """It is faster by its own interval, and not by the verdicts of the workload."""
    leads = shared = 0
    for seed in range(60):
        close = {"a": (0.0100, 3.0), "b": (0.0104, 1.0), "c": (0.0104, 1.0), "d": (0.0105, 1.0)}
        (view,) = views_of(workload_records(seed, close, rounds=20))
        for found in break_even.break_evens(view):
            leads += 1
            assert view.ranks[found.after.label] < view.ranks[found.before.label]
        if len(view.first) > 1:
            shared += 1
            assert "at any number of steps" not in sentences.with_cold_start(view)
    assert leads > 0
    assert shared > 0

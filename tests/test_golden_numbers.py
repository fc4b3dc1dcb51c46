"""The numbers of committed runs do not change: medians, intervals, verdicts, ranks and the rest.

tests/golden/numbers.json was extracted by the code of commit fe4801b. Seven workloads were
extracted anew when the reference, and the leader of each rank, came to be chosen round by round.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from bench import ROOT
from bench.analysis import break_even, cold_start, estimators, memory, outliers, scaling
from bench.analysis.verdicts import Comparison, Estimate
from bench.analysis.workload_view import WorkloadView, verdict, views
from bench.compare import changes, matching, runs
from bench.records import store
from bench.selftest import run as selftest
from bench.selftest import trials
from tasks.spec import parameter_count

REPORTS = ROOT / "reports"
GOLDEN = json.loads((ROOT / "tests" / "golden" / "numbers.json").read_text())
RUNS = ("2026-11-22-reference", "2026-11-22-all-variants", "2026-11-22-braun2018")
SELFTESTS = ("2026-11-22-selftest", "2026-11-22-selftest-2")
TOLERANCE = 1e-9  # relative; the golden file has twelve digits


def _same(found: Any, golden: Any, where: str) -> int:
    """Assert that both are equal, numbers to TOLERANCE; gives how many numbers were compared."""
    if isinstance(golden, float) and isinstance(found, int | float):
        assert found == pytest.approx(golden, rel=TOLERANCE, abs=1e-15, nan_ok=True), where
        return 1
    if isinstance(golden, dict):
        assert list(found) == list(golden), where
        return sum(_same(found[key], golden[key], f"{where}: {key}") for key in golden)
    if isinstance(golden, list):
        assert len(found) == len(golden), where
        pairs = enumerate(zip(found, golden, strict=True))
        return sum(_same(a, b, f"{where}: {number}") for number, (a, b) in pairs)
    assert found == golden, where
    return isinstance(golden, int) and not isinstance(golden, bool)


def _estimate(found: Estimate) -> dict[str, float]:
    low, high = found.interval
    return {
        "ratio": found.ratio,
        "low": low,
        "high": high,
        "p": found.p_value,
        "degrees": found.degrees,
        "margin": found.margin,
    }


def _judged(found: Comparison) -> dict[str, Any]:
    return {**_estimate(found.estimate), "verdict": found.verdict}


def _candidate(view: WorkloadView, label: str) -> dict[str, Any]:
    m = view.candidates[label]
    about = {"status": m.status, "word": verdict(m)}
    if label not in view.ranked:
        return about
    comparison, share = view.comparisons.get(label), view.share_of_baseline(label)
    return about | {
        "seconds": view.seconds[label],
        "rank": view.ranks.get(label),
        "iqr": estimators.interquartile_range(m),
        "comparison": _judged(comparison) if comparison else None,
        "gemm": _estimate(share) if share else None,
        "outliers": [outliers.count(p) for p in m.processes],
        "cold": cold_start.parts(m),
        "memory": memory.on_host(m),
    }


def _workload(view: WorkloadView) -> dict[str, Any]:
    controls = [found for found in map(view.control, view.controls) if found]
    return {
        "fastest": view.fastest,
        "first": view.first,
        "order": view.order,
        "disturbed": view.disturbed,
        "unclear": view.unclear,
        "parameters": parameter_count(view.workload.spec),
        "flops": view.flops,
        "entries": {label: _candidate(view, label) for label in view.candidates},
        "controls": [[label, _judged(judged)] for label, judged in controls],
        "break_even": [
            [found.before.label, found.after.label, found.steps, found.low, found.high]
            for found in break_even.break_evens(view)
        ],
    }


def _sweep(sweep: scaling.Sweep) -> dict[str, Any]:
    fits = {label: scaling.growth(sweep.points(label)) for label in sweep.labels}
    labels = {
        label: [fit.exponent, fit.half_width, fit.last] if fit else None
        for label, fit in fits.items()
    }
    return {"axis": sweep.axis, "values": sweep.values, "labels": labels}


@pytest.mark.parametrize("name", RUNS)
def test_a_committed_run_has_the_numbers_that_it_had(name: str) -> None:
    found = views(*store.read(REPORTS / name / store.FILE))
    workloads = {f"{v.workload.id} {v.workload.threads}": _workload(v) for v in found}
    sweeps = [_sweep(sweep) for sweep in scaling.find(found)]
    numbers = _same({"workloads": workloads, "sweeps": sweeps}, GOLDEN[name], name)
    assert numbers > 200


def test_two_committed_runs_differ_as_they_did() -> None:
    pair = matching.match(*(runs.read(REPORTS / name) for name in RUNS[:2]), force=True)
    result = changes.compare(pair.base, pair.other, same_machine=pair.same_machine)
    found = {
        "alone": pair.alone,
        "differences": pair.differences,
        "changes": [
            [
                change.base.name,
                change.drift_controls,
                change.seconds_ratio,
                _estimate(change.judged.estimate),
                change.judged.verdict,
            ]
            for change in result.changes
        ],
        "variants": {name: _judged(judged) for name, judged in result.variants.items()},
        "baselines": list(result.baselines.values()),
    }
    assert _same(found, GOLDEN["compare"], "compare") > 200


@pytest.mark.parametrize("name", SELFTESTS)
def test_a_committed_selftest_comes_to_what_it_came_to(name: str) -> None:
    ours, theirs = trials.read_raw(REPORTS / name / selftest.RAW)
    between = trials.between_process(ours, "2026")
    summary = trials.summarise(ours, theirs, [1, 5], "2026")
    found = {
        "sd": between.deviation,
        "degrees": between.degrees,
        "variants": between.variants,
        "recommended": trials.recommended_processes(ours, between, 1.0),
        "trials": [
            [
                *(line.variant, line.slowdown, line.processes, line.pairs, line.ratios),
                *(line.called, line.wrong, line.covered, line.pytest_benchmark),
            ]
            for line in summary
        ],
    }
    assert _same(found, GOLDEN[name], name) > 100

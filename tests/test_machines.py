"""One table over machines: what it holds, what it leaves out, and its random-effects means."""

from __future__ import annotations

import math
import random
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import psutil
import pytest
from here import rnnbench
from record_samples import RUN, measurement, rounds, stopped

from bench import ROOT
from bench.analysis import machines, random_effects, sisters, summaries
from bench.analysis.machines import Answer, LeftOut
from bench.records import store, summary
from bench.records.schema import Measurement, Run
from bench.records.summary import Summary
from bench.report.markdown.machines import machines_view
from bench.report.markdown.render import render_machines

MINUTE, MOST_SECONDS, MOST_BYTES = 60, 60, 2 * 2**30


def run(number: int = 0, cpu: str = "Example CPU 9000", **changes: object) -> Run:
    parts = {name: changes.pop(name) for name in ("cores", "gpus") if name in changes}
    machine = msgspec.structs.replace(RUN.machine, cpu=cpu, **parts)
    fields = {"node": f"{number:08x}", "name": f"run-{number}", "machine": machine, **changes}
    return msgspec.structs.replace(RUN, **fields)


def of(run: Run, measurements: Sequence[Measurement], **changes: object) -> Summary:
    return summaries.summary(run, measurements, (), record_bytes=1, **changes)


def timed(rng: np.random.Generator, seconds: float, variant: str, **changes: object) -> Measurement:
    """Twenty rounds around `seconds`."""
    return measurement(variant, rounds(*rng.normal(seconds, seconds / 100, 20)), **changes)


def answer(found: Sequence[Summary], kind: str = "Example CPU 9000, 2 cores") -> Answer:
    (row,) = machines.table(found).rows
    return row.answers[kind]


# statsmodels 0.14, combine_effects(effects, variances, method_re="iterated", use_t=True,
# atol=1e-14): tau2, mean_effect_re, sd_eff_w_re_hksj.
REFERENCE = [
    (
        (61.00, 61.40, 62.21, 62.30, 62.34, 62.60, 62.70, 62.84, 65.90),
        (0.2025, 1.2100, 0.0900, 0.2025, 0.3844, 0.5625, 0.0676, 0.0225, 1.8225),
        (0.7053953092192388, 62.407619911328254, 0.33803060268355556),
    ),
    (
        (0.10, 0.30, 0.35, 0.65, 0.45, 0.15),
        (0.03, 0.03, 0.05, 0.01, 0.05, 0.02),
        (0.02316117294259593, 0.3511545113720497, 0.09194724281560843),
    ),
]


def test_the_random_effects_mean_is_that_of_statsmodels() -> None:
    """Both at once, the second with absent nodes."""
    effects, variances = np.full((9, 2), np.nan), np.full((9, 2), np.nan)
    for column, (x, v, _) in enumerate(REFERENCE):
        effects[: len(x), column], variances[: len(x), column] = x, v
    found = random_effects.means(effects, variances)
    for column, (x, _, (between, centre, error)) in enumerate(REFERENCE):
        assert found.between[column] == pytest.approx(between, rel=1e-9)
        assert found.centre[column] == pytest.approx(centre, rel=1e-9)
        assert found.standard_error[column] == pytest.approx(error, rel=1e-9)
        assert found.degrees[column] == len(x) - 1


def test_nodes_that_differ_by_less_than_their_errors_get_the_usual_interval() -> None:
    found = random_effects.means(np.array([[0.1], [0.1001]]), np.array([[0.01], [0.01]]))
    assert found.between[0] == 0
    assert found.standard_error[0] == pytest.approx((0.01 / 2) ** 0.5)
    alone = random_effects.means(np.array([[0.1, np.nan]]), np.array([[0.04, np.nan]]))
    assert alone.standard_error[0] == pytest.approx(0.2)
    assert alone.nodes.tolist() == [1, 0]
    with pytest.raises(ValueError, match="not above 0"):
        random_effects.means(np.array([[0.1]]), np.array([[0.0]]))


def test_the_interval_holds_the_true_mean_of_nodes_that_differ() -> None:
    """In 95 % of 2,000 simulated kinds of machine; 93 % is more than four errors away."""
    rng, held, count = np.random.default_rng(3), 0, 2000
    for nodes in (2, 3, 5, 10):
        errors = rng.uniform(0.01, 0.03, (nodes, count // 4))
        values = 0.3 + rng.normal(0, 0.04, errors.shape) + rng.normal(0, errors)
        found = random_effects.means(values, errors**2)
        half = found.standard_error * random_effects_quantile(nodes - 1)
        held += int((abs(found.centre - 0.3) <= half).sum())
    assert 0.93 * count < held < 0.985 * count, held


def random_effects_quantile(degrees: int) -> float:
    from bench.analysis import estimators

    return estimators.quantile(degrees)


def test_ratios_are_formed_within_each_node() -> None:
    """A node of ten times the speed changes no ratio; raw times would."""
    rng = np.random.default_rng(0)
    found = [
        of(run(node), [timed(rng, speed, "torch"), timed(rng, 2 * speed, "jax")])
        for node, speed in enumerate((1.0, 0.1, 1.0, 0.1))
    ]
    here = answer(found)
    assert (here.reference, here.nodes) == ("torch", 4)
    estimate = here.others["jax"].estimate
    assert estimate.ratio == pytest.approx(2.0, rel=0.02)
    low, high = estimate.interval
    assert 1.9 < low < 2.0 < high < 2.1
    assert here.first == ("torch",)


def test_a_single_node_keeps_its_own_interval() -> None:
    rng = np.random.default_rng(0)
    measured = [timed(rng, 1.0, "torch"), timed(rng, 2.0, "jax")]
    (workload,) = of(run(), measured).workloads
    estimate = answer([of(run(), measured)]).others["jax"].estimate
    assert estimate.log_ratio == pytest.approx(-workload.log_ratios[0])
    assert estimate.standard_error == pytest.approx(workload.standard_errors[0])
    assert estimate.degrees == pytest.approx(workload.degrees[0])


def test_variants_that_only_some_nodes_have() -> None:
    """Order and number of the variants differ from node to node; the ratios do not."""
    rng, seconds = np.random.default_rng(0), {"torch": 1.0, "jax": 2.0, "numpy": 4.0, "flax": 3.0}
    found = []
    for node, names in enumerate(
        (("torch", "jax", "numpy"), ("numpy", "torch", "jax"), ("jax", "flax"), ("flax", "torch"))
    ):
        measured = [timed(rng, seconds[name], name) for name in names]
        measured += [stopped("keras-jax", "crashed", "SIGSEGV in build")] * (node == 1)
        found.append(of(run(node), measured))
    here = answer(found)
    assert here.reference == "torch"
    ratios = {name: judged.estimate.ratio for name, judged in here.others.items()}
    assert list(ratios) == ["jax", "flax", "numpy"]
    for name, ratio in ratios.items():
        assert ratio == pytest.approx(seconds[name], rel=0.02)
    assert here.without_time == {"keras-jax": "crashed"}


def disagreeing() -> list[Summary]:
    rng = np.random.default_rng(0)
    return [
        of(
            run(node, cpu, cores=cores),
            [
                timed(rng, torch, "torch", threads=cores),
                timed(rng, 1.0, "jax", threads=cores),
                timed(rng, 1.0, "torch", threads=cores, phase="forward"),
                timed(rng, 2.0, "jax", threads=cores, phase="forward"),
            ],
        )
        for node, (cpu, cores, torch) in enumerate((("A", 2, 0.5), ("B", 16, 2.0), ("A", 2, 0.5)))
    ]


def page(found: Sequence[Summary], *left_out: LeftOut) -> str:
    return render_machines(machines_view(machines.table(found, left_out)))


def test_where_machines_disagree_is_said_first() -> None:
    """Cores and threads are part of a machine, not of the workload."""
    table = machines.table(disagreeing())
    assert [row.title for row in table.disagreements] == [
        "bptt[sentiment-lstm-base-float32]",
    ]
    text = page(disagreeing(), LeftOut("a1b2c3d4", "sick"))
    assert "disagree about the fastest variant in 1 of\n2 workloads" in text.split("## ")[0]
    assert (
        "bptt[sentiment-lstm-base-float32]: **torch** on A, 2 cores; **jax** on B, 16 cores" in text
    )
    assert "| workload                             | A, 2 cores" in text
    assert "| a1b2c3d4 | sick |" in text
    alike = [each for each in disagreeing() if each.machine.cpu == "A"]
    assert page(alike).startswith("# Machines\n\nNo workload was measured on two kinds")


def test_a_gpu_makes_a_kind_of_machine_and_its_driver_does_not() -> None:
    rng = np.random.default_rng(0)
    found = [
        of(
            run(node, gpus=(f"H200, 140 GiB, driver {node}",)),
            [timed(rng, s, name, device=device) for device in ("cpu", "cuda:0")
             for name, s in (("torch", 1.0), ("jax", 2.0))],
        )
        for node in range(2)
    ]  # fmt: skip
    (row,) = machines.table(found).rows
    gpu = "H200, 140 GiB (Example CPU 9000, 2 cores)"
    assert {kind: each.nodes for kind, each in row.answers.items()} == {
        "Example CPU 9000, 2 cores": 2,
        gpu: 2,
    }


def test_a_node_counts_once_for_each_workload() -> None:
    """With what it measured last; a run outside of a fleet counts for itself."""
    rng = np.random.default_rng(0)
    measured = [timed(rng, 1.0, "torch"), timed(rng, 2.0, "jax")]
    slower = [timed(rng, 1.0, "torch"), timed(rng, 3.0, "jax")]
    again = msgspec.structs.replace(run(0), started="2026-11-22T00:00:00+00:00")
    here = answer([of(again, slower), of(run(0), measured)])
    assert here.nodes == 1
    assert here.others["jax"].estimate.ratio == pytest.approx(3.0, rel=0.02)
    apart = [msgspec.structs.replace(run(number), node="") for number in range(2)]
    assert answer([of(each, measured) for each in apart]).nodes == 2


def test_a_row_is_what_is_computed() -> None:
    """By whichever options it was asked for; threads count where they were asked for."""
    rng = np.random.default_rng(0)

    def row(**changes: object) -> str:
        return of(run(), [timed(rng, 1.0, "torch", **changes)]).workloads[0].row

    assert row() == row(threads=16) == row(device="cuda:0") == row(overridden=("hidden",))
    by_default = row(threads=0, overridden=("threads",))
    others = [row(threads=2, overridden=("threads",)), row(batch=7), row(hidden_size=7)]
    assert len({row(), by_default, *others}) == 2 + len(others)


def test_a_baseline_that_is_off_by_two_is_left_out_by_its_sisters() -> None:
    rng = np.random.default_rng(0)

    def node(number: int, baseline: float, cpu: str = "A") -> Summary:
        return of(
            run(number, cpu),
            [
                timed(rng, 1.0, "torch"),
                timed(rng, baseline, "numpy", role="gemm baseline", agreement=None),
            ],
        )

    found = [node(0, 1.0), node(1, 1.1), node(2, 2.0), node(3, 0.9), node(4, 9.0, "B")]
    off = sisters.off(found)
    assert {number: each.node for number, each in off.items()} == {2: "00000002"}
    assert "its GEMM baseline takes 2.0" in off[2].why
    assert set(sisters.off([node(0, 1.0), node(1, 2.0)])) == {1}  # the slower of two
    assert set(sisters.off([node(0, 1.0), node(1, 0.5), node(2, 1.0)])) == {1}
    assert not sisters.off([node(0, 1.0), node(1, 1.4)])


def test_a_summary_is_read_again_and_not_for_other_records(tmp_path: Path) -> None:
    source = ROOT / "reports" / "2026-11-22-braun2018"
    shutil.copy(source / store.FILE, tmp_path)
    size = (tmp_path / store.FILE).stat().st_size
    made = summaries.summary(*store.read(tmp_path / store.FILE), record_bytes=size, planned=4)
    assert not made.whole
    assert len(made.workloads) == 3
    summary.write(tmp_path, made)
    assert summary.read(tmp_path) == made
    with (tmp_path / store.FILE).open("ab") as more:
        more.write(b"\n")
    assert summary.read(tmp_path) is None
    (tmp_path / store.FILE).unlink()
    assert summary.read(tmp_path) == made  # copied without its records
    (tmp_path / summary.FILE).write_text("{}")
    with pytest.raises(ValueError, match="cannot be read"):
        summary.read(tmp_path)


def test_two_committed_runs_of_different_machines_in_one_table(tmp_path: Path) -> None:
    for name in ("2026-11-22-braun2018", "2026-11-22-reference", "2026-11-27-gpu-a/time"):
        folder = tmp_path / Path(name).name
        folder.mkdir()
        shutil.copy(ROOT / "reports" / name / store.FILE, folder)
    code, output = rnnbench(
        "report", "--machines", tmp_path / "2026-11-22-reference", tmp_path / "time"
    )
    assert code == 0, output
    assert "2 nodes of 2 kinds of machine" in output
    text = (tmp_path / "machines.md").read_text()
    assert text == (ROOT / "reports" / "machines.md").read_text()
    head = "| bptt[sentiment-lstm-base-float32]"
    answers = text.partition("## Ratios")[0].splitlines()
    (row,) = (line for line in answers if line.startswith(head))
    assert "- |" not in row  # both machines have it
    assert "[machines.md](machines.md) compares them" in (tmp_path / "README.md").read_text()
    code, output = rnnbench("report", "--machines", tmp_path / "time", "--format=csv")
    assert (code, "expected no --format=csv" in output) == (2, True), output


@pytest.mark.prove
def test_a_thousand_nodes_in_a_minute_and_two_gigabytes(tmp_path: Path) -> None:
    """1,000 nodes of four kinds, 200 workloads, seven variants; printed."""
    folders, seconds = _thousand(tmp_path)
    process = psutil.Process()
    before, begin = process.memory_info().rss, time.perf_counter()
    from bench.report.write import write_machines

    found = [summary.read(folder) for folder in folders]
    path, table = write_machines([each for each in found if each is not None], tmp_path)
    took, memory = time.perf_counter() - begin, process.memory_info().rss
    files = sum((folder / summary.FILE).stat().st_size for folder in folders)
    print(
        f"\n{len(folders):,} nodes x {len(table.rows)} workloads, {files / 2**20:.0f} MiB of "
        f"summaries (made in {seconds:.0f} s): collected and written in {took:.1f} s, "
        f"{memory / 2**20:.0f} MiB resident ({before / 2**20:.0f} before), "
        f"{path.stat().st_size / 2**20:.1f} MiB of table"
    )
    assert took <= MOST_SECONDS
    assert memory <= MOST_BYTES
    assert len(table.rows) == 200
    for row in table.rows:
        assert {kind: each.nodes for kind, each in row.answers.items()} == {
            f"CPU {kind}, 2 cores": 250 for kind in range(4)
        }
    truth = {"torch": 1.0, "jax": 1.5, "numpy": 2.0}
    held = [
        low <= truth[name] <= high
        for row in table.rows
        for each in row.answers.values()
        for name, judged in each.others.items()
        if name in truth
        for low, high in [judged.estimate.interval]
    ]
    print(f"{sum(held) / len(held):.1%} of {len(held):,} intervals hold the true ratio")
    assert 0.92 < sum(held) / len(held) < 0.98


def _thousand(tmp_path: Path) -> tuple[list[Path], float]:
    """Summaries as nodes write them; the true ratios of a node lie around those of all nodes."""
    begin, rng = time.perf_counter(), random.Random(0)
    names = ("torch", "jax", "numpy", "flax", "keras-jax", "keras-torch", "keras-tensorflow")
    seconds = dict(zip(names, (1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0), strict=True))
    few = np.random.default_rng(0)
    (one,) = of(run(), [timed(few, seconds[name], name) for name in names]).workloads
    logs = [math.log(seconds[a] / seconds[b]) for n, a in enumerate(names) for b in names[n + 1 :]]
    folders = []
    for node in range(1000):
        base = of(run(node, f"CPU {node % 4}"), [], planned=200)
        workloads = tuple(
            msgspec.structs.replace(
                one,
                title=f"bptt[task-lstm-base+H{number}-float32]",
                row=f"{number:016x}",
                log_ratios=tuple(round(log + rng.gauss(0, 0.05), 4) for log in logs),
                standard_errors=tuple(round(rng.uniform(0.01, 0.02), 4) for _ in logs),
                baseline_seconds=rng.uniform(0.9, 1.1),
            )
            for number in range(200)
        )
        folder = tmp_path / f"{node}"
        folder.mkdir()
        summary.write(folder, msgspec.structs.replace(base, workloads=workloads))
        folders.append(folder)
    return folders, time.perf_counter() - begin

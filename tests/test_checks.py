"""No number without agreement: the checks see what each mutant does, and the others go on."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable
from pathlib import Path

import mutants
import mutants_by_the_clock
import pytest
from running import Ran, install, suite

from bench.records.schema import Measurement

WORKLOAD = "bptt[hihello-rnn_tanh-source-cpu-float32]"

# What each must be called, and words that name what gave it away.
EXPECTED = {
    "remembering": ("disagrees", "answers during the rounds: "),
    "not-waiting": ("disagrees", "sync does not wait"),
    "piling": ("disagrees", "answers during the rounds: grad."),
    "slightly-off": ("disagrees", "grad.l0.fwd.W_hh off by 1.0e-04"),
    "without-state": ("disagrees", "l0.fwd.h is missing"),
    "own-parameters": ("disagrees", "after the rounds: loss off by"),
    "in-place": ("disagrees", "with parameters loaded after the batch was placed: loss off by"),
    "last-gradients": ("disagrees", "answers during the rounds: grad."),
    "crashing": ("crashed", "SIGSEGV in "),
    "hanging": ("timed out", "within 6 s (--worker-timeout)"),
    "raising": ("failed", "ValueError: no such kernel"),
    "lists": ("failed", "TypeError: loss is float; expected a numpy array of numbers"),
    "broken": ("skipped", "ImportError: libmissing.so.3: cannot open shared object file"),
    "raising-refusal": ("skipped", "fails in `refusal`: KeyError: 'no such setting'"),
    "raising-environment": ("skipped", "fails in `environment`: KeyError: 'no such setting'"),
    "dies-at-import": ("skipped", "crashed: SIGILL in start"),
}
CHANGED = "read after other parameters were loaded: "
UNFINISHED = "timed steps do not do all of the work"
# A step of the source's size takes 0.1 ms, of which half is the overhead that all have.
SKIPPING = {
    ("lazy", "bptt", "base"): CHANGED,
    ("lazy", "bptt", "source"): CHANGED,
    ("lazy-once", "bptt", "base"): CHANGED,
    ("lazy-once", "bptt", "source"): CHANGED,
    ("lazy-copy", "bptt", "base"): "sync",  # does not wait, or returns before it is computed
    ("memo", "bptt", "base"): UNFINISHED,
    ("memo", "bptt", "source"): UNFINISHED,
    ("memo-ahead", "bptt", "base"): UNFINISHED,
    ("memo-ahead", "bptt", "source"): UNFINISHED,
    ("memo-of-parameters", "bptt", "source"): "answers during the rounds: ",
    ("late-memo", "bptt", "base"): UNFINISHED,
    ("late-memo", "bptt", "source"): UNFINISHED,
    ("in-load", "bptt", "source"): UNFINISHED,
    ("in-load-for-one", "bptt", "source"): "some do not do all of the work",
    ("skipping-gradients", "bptt", "base"): "do not do all of the work",
    ("frozen-training", "train_step", "source"): "after the rounds: trained ",
    ("frozen-late", "train_step", "source"): UNFINISHED,
}


def _run(folder: pytest.TempPathFactory, names: tuple[str, ...], *arguments: str) -> Ran:
    entry_points = mutants.ENTRY_POINTS | mutants_by_the_clock.ENTRY_POINTS
    plugins = install(folder.mktemp("plugins"), entry_points)
    chosen = " or ".join(f"float32-{name}]" for name in ("numpy", *names))
    return suite(
        folder.mktemp("reports"),
        "--task=hihello",
        *arguments,
        "-k",
        chosen,
        paths=(plugins, Path(__file__).parent),
    )


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    options = ("--phase=bptt", "--benchmark-max-time=0.1", "--worker-timeout=6")
    options += (f"--benchmark-json={tmp_path_factory.getbasetemp() / 'checks.json'}",)
    return _run(tmp_path_factory, mutants.MUTANTS, *options)


@pytest.fixture(scope="module")
def skipped(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Ran]:
    """The run of a phase and size, with the mutants that are expected there."""

    @functools.cache
    def run(phase: str, size: str) -> Ran:
        names = [name for name, *where in SKIPPING if where == [phase, size]]
        options = (f"--size={size}", f"--phase={phase}", "--benchmark-max-time=0.1")
        return _run(tmp_path_factory, ("correct", *names), *options)

    return run


@pytest.mark.slow
@pytest.mark.parametrize(("name", "phase", "size"), SKIPPING)
def test_skipped_work_is_caught_and_named(
    skipped: Callable[[str, str], Ran], name: str, phase: str, size: str
) -> None:
    measurements = skipped(phase, size).measurements()
    workload = f"{phase}[hihello-rnn_tanh-{size}-cpu-float32]"
    found = measurements[workload, name]
    words = SKIPPING[name, phase, size]
    assert (found.status, words in found.reason) == ("disagrees", True), found.reason
    assert not found.processes
    for correct in ("correct", "numpy"):
        beside = measurements[workload, correct]
        assert beside.status == "ok", f"{correct}: {beside.reason}"


@pytest.mark.slow
def test_training_without_the_masks_is_caught(tmp_path_factory: pytest.TempPathFactory) -> None:
    options = ("--phase=bptt", "--benchmark-max-time=0.1", "--layers=2", "--dropout=0.5")
    ran = _run(tmp_path_factory, ("correct", *mutants.WITH_DROPOUT), "--cell=lstm", *options)
    of = {name: m for (_, name), m in ran.measurements().items()}
    assert of["correct"].status == "ok", of["correct"].reason
    assert of["unmasked"].status == "disagrees"
    assert "as if no masks were drawn" in of["unmasked"].reason


def _of(ran: Ran, variant: str) -> Measurement:
    return ran.measurements()[WORKLOAD, variant]


@pytest.mark.parametrize("name", EXPECTED)
def test_a_mutant_is_caught_and_named(ran: Ran, name: str) -> None:
    status, words = EXPECTED[name]
    found = _of(ran, name)
    assert (found.status, words in found.reason) == (status, True), found.reason
    assert not found.processes, "what it took to compute something else is no number"


@pytest.mark.parametrize("name", ["correct", "numpy"])
def test_the_correct_ones_go_on_beside_them(ran: Ran, name: str) -> None:
    found = _of(ran, name)
    assert found.status == "ok", found.reason
    assert len(found.round_seconds) >= 10
    assert found.agreement is not None
    assert found.agreement.tensors >= 5 + 4 + 4  # before, the last timed step, after


def test_the_report_gives_none_of_them_a_rank(ran: Ran) -> None:
    report = (ran.folder / "report.md").read_text()
    assert ran.code == 1
    lines = report.splitlines()
    for name, (status, _) in EXPECTED.items():
        rows = [line for line in lines if line.startswith(f"| {name} ") and status in line]
        assert rows, f"{name} is nowhere reported with {status}"
        times = [row.split("|")[2].strip() for row in rows if "µs" in row.split("|")[2]]
        assert not times, rows
    assert "libmissing.so.3" in report
    assert "and more lines" not in report


def test_each_kind_of_error_is_in_the_records_and_in_extra_info(
    ran: Ran, tmp_path_factory: pytest.TempPathFactory
) -> None:
    benchmarks = json.loads((tmp_path_factory.getbasetemp() / "checks.json").read_text())
    info = {each["extra_info"]["variant"]: each["extra_info"] for each in benchmarks["benchmarks"]}
    kinds = {"outputs", "states", "loss", "gradients"}
    for name in ("correct", "numpy"):
        agreement = _of(ran, name).agreement
        assert agreement is not None
        assert set(agreement.kinds) == set(info[name]["errors"]) == kinds
        for kind, error in agreement.kinds.items():
            assert error.error is not None
            assert error.error <= error.bound
            assert info[name]["errors"][kind] == error.error
            assert info[name]["error_tensors"][kind] == error.name
        assert agreement.kinds["gradients"].name.startswith("grad.")
    assert set(info) == {"correct", "numpy"}, "what disagrees has no number"


def test_a_failed_variant_reads_what_is_off_and_by_how_much(ran: Ran) -> None:
    reason = _of(ran, "slightly-off").reason
    assert re.fullmatch(r"grad\.l0\.fwd\.W_hh off by 1\.0e-04 \(bound \d\.\de-0\d\)", reason)

"""No number without agreement: the gate sees what each mutant does, and the others go on."""

from __future__ import annotations

from pathlib import Path

import mutants
import pytest
from running import Ran, install_plugins, suite

from bench.record import Measurement

CELL = "bptt[hihello-rnn_tanh-source-cpu-float32]"

# What each must be called, and words that name what gave it away.
EXPECTED = {
    "remembering": ("disagrees", "after the rounds: loss off by"),
    "not-waiting": ("disagrees", "sync does not wait"),
    "piling": ("disagrees", "its last timed step: grad."),
    "slightly-off": ("disagrees", "grad.l0.fwd.W_hh off by 1.0e-04"),
    "without-state": ("disagrees", "l0.fwd.h is missing"),
    "own-parameters": ("disagrees", "after the rounds: loss off by"),
    "crashing": ("crashed", "ended by SIGSEGV"),
    "hanging": ("timed out", "within 4 s (--worker-timeout)"),
    "raising": ("failed", "ValueError: no such kernel"),
    "broken": ("skipped", "ImportError: libstranger.so.3: cannot open shared object file"),
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    plugins = install_plugins(tmp_path_factory.mktemp("plugins"), mutants.ENTRY_POINTS)
    return suite(
        tmp_path_factory.mktemp("reports"),
        "--task=hihello",
        "--phase=bptt",
        "--benchmark-max-time=0.1",
        "--worker-timeout=4",
        "-k",
        " or ".join(f"float32-{name}" for name in ("numpy", *mutants.NAMES)),
        paths=(plugins, Path(__file__).parent),
    )


def _of(ran: Ran, variant: str) -> Measurement:
    return ran.measurements()[CELL, variant]


@pytest.mark.parametrize("name", EXPECTED)
def test_a_mutant_is_caught_and_named(ran: Ran, name: str) -> None:
    status, words = EXPECTED[name]
    found = _of(ran, name)
    assert (found.status, words in found.reason) == (status, True), found.reason
    assert not found.processes, "what it took to compute something else is no number"


@pytest.mark.parametrize("name", ["honest", "numpy"])
def test_the_honest_ones_go_on_beside_them(ran: Ran, name: str) -> None:
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
        assert rows, f"{name} is nowhere said to have {status}"
        assert not any(" ms " in row or " µs " in row for row in rows), rows
    assert "libstranger.so.3" in report
    assert "and more lines" not in report

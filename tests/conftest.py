"""How much is drawn, what runs side by side, and a last word on how much was compared.

`make test` runs the tests in parts at once (pytest-xdist). A part has cores of its own: two thread
pools on the same cores would be a hundred times slower.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from in_process import InProcess
from tally import TALLY
from threadpoolctl import threadpool_limits

from backends import registry
from bench.records import machine
from bench.workers import core_locks

_COMMON = {
    "deadline": None,
    "database": None,
    # A failing example is made smaller by the kit, which knows how long that may take.
    "phases": [hypothesis.Phase.explicit, hypothesis.Phase.generate],
    "suppress_health_check": list(hypothesis.HealthCheck),
}
hypothesis.settings.register_profile("ci", derandomize=True, max_examples=5, **_COMMON)
hypothesis.settings.register_profile("long", max_examples=300, print_blob=True, **_COMMON)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

# What shows that the backends agree; it comes first.
AGREEMENT = ("variants", "test_mutants.py", "test_numpy_oracle.py", "test_checks.py")

_begin = time.monotonic()
_agreed_seconds = 0.0


def _own_cores() -> None:
    """Of a part, every n-th core, for this process and all that it starts."""
    # Taken away: the suites that tests run are no parts, and pytest-benchmark would think them so.
    names = ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT")
    part, parts = (os.environ.pop(name, None) for name in names)
    if part is None or parts is None or not machine.pinning():
        return
    own = machine.available_cores()[int(part.removeprefix("gw")) :: int(parts)]
    if own:
        os.sched_setaffinity(0, own)
        threadpool_limits(len(own))


_own_cores()
# No test waits for a benchmark that the user runs, nor for a test of another part.
_LOCKS = tempfile.TemporaryDirectory(prefix="rnnbench-locks-")
os.environ[core_locks.FOLDER] = _LOCKS.name


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Callable[[InProcess], None]:
    """The checks ask the registry what a variant declares; here it is the one in this process."""

    def register(mutant: InProcess) -> None:
        def ask(name: str, member: str, *arguments: Any, **options: Any) -> Any:
            assert name == mutant.name
            return mutant.consult(member, *arguments, **options)

        monkeypatch.setattr(registry, "ask", ask)

    return register


def _module(path: Path) -> str:
    return "variants" if path.parent.name == "variants" else path.name


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Agreement first; `--dist=loadfile` keeps a file, and what its tests share, in one part."""
    order = {name: number for number, name in enumerate(AGREEMENT)}
    items.sort(key=lambda item: order.get(_module(item.path), len(order)))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A part tells what it compared."""
    _LOCKS.cleanup()
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["tally"] = TALLY.counts()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    TALLY.merge(getattr(node, "workeroutput", {}).get("tally", {}))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    global _agreed_seconds
    if _module(Path(report.location[0])) in AGREEMENT:
        _agreed_seconds = time.monotonic() - _begin


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many tensors of how many variants were compared with the oracle's in this session."""
    for line in TALLY.lines(_agreed_seconds):
        terminalreporter.write_line(line)

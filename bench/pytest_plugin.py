"""What pytest is told: options, one test a cell and variant, replay, the report at the end.

Loaded by the repository's own conftest.py, never as an installed plugin.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench import options, rounds
from bench.case import PARAMETERS, Case
from bench.entrant import Outcome
from bench.estimate import print_plan
from bench.race import Settings
from bench.session import Session

SUITE = Path(__file__).parent / "suite"
SESSION = pytest.StashKey[Session]()
REPORT = pytest.StashKey[Path]()


def pytest_addoption(parser: pytest.Parser) -> None:
    options.declare(parser)


def pytest_configure(config: pytest.Config) -> None:
    only = config.getoption("benchmark_only", None)
    if only is None:
        raise pytest.UsageError("rnnbench needs pytest-benchmark; it is absent or switched off")
    if only and config.args_source is not pytest.Config.ArgsSource.ARGS:
        config.args = [str(SUITE)]  # the suite alone; the tests are `make test`'s
    asked = options.read(config)
    disabled = config.getoption("benchmark_disable") and not config.getoption("benchmark_enable")
    settings = Settings(
        max_seconds=options.seconds(
            "benchmark-max-time", str(config.getoption("benchmark_max_time"))
        ),
        min_rounds=config.getoption("benchmark_min_rounds"),
        timed_seconds=max(rounds.TIMED_SECONDS, float(config.getoption("benchmark_min_time"))),
        processes=asked.processes,
        beside=not asked.serial,
        serial=asked.serial,
        timed=not disabled,
    )
    session = Session(asked, settings, options.given(config))
    config.stash[SESSION] = session
    suite_asked = only or any(map(_reaches_suite, config.args))
    measures = not (disabled or asked.dry_run or config.option.collectonly)
    if suite_asked and not asked.dry_run and config.getoption("dist", "no") != "no":
        raise pytest.UsageError("-n and --dist measure several cells at once: leave them out")
    if suite_asked and measures and config.getoption("benchmark_json") is None:
        # Read by pytest-benchmark in its own pytest_configure, which runs last.
        config.option.benchmark_json = session.folder / "benchmark.json"
    if suite_asked:
        session.cells()  # a cell that cannot be made is wrong use, said before anything starts


def _reaches_suite(argument: str) -> bool:
    """Does a path on the command line hold the suite, or lie within it."""
    path = Path(str(argument).partition("::")[0]).resolve()
    return SUITE.is_relative_to(path) or path.is_relative_to(SUITE)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "outcome" not in metafunc.fixturenames:
        return
    session = metafunc.config.stash[SESSION]
    cases = session.cases(metafunc.module.PHASE)
    metafunc.parametrize(
        PARAMETERS, [case.parameters for case in cases], ids=[case.id for case in cases]
    )


def _case(item: pytest.Item) -> Case | None:
    """The case of a test of the suite; None for any other test."""
    if not isinstance(item, pytest.Function) or "outcome" not in item.fixturenames:
        return None
    return item.config.stash[SESSION].case(item.module.PHASE, item.callspec.id)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """The files of phases that were not asked for."""
    if collection_path.parent != SUITE or not collection_path.name.startswith("test_"):
        return None
    phases = config.stash[SESSION].options.request.phases
    return True if options.phase_of(collection_path) not in phases else None


def pytest_collection_finish(session: pytest.Session) -> None:
    config = session.config
    ours = config.stash[SESSION]
    ours.settle(case for item in session.items if (case := _case(item)) is not None)
    if not ours.planned or config.option.collectonly or ours.options.dry_run:
        return
    if config.getoption("benchmark_skip") and not config.getoption("benchmark_only"):
        return
    ours.watch()
    ours.open()


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    ours = session.config.stash[SESSION]
    if not ours.options.dry_run:
        return None
    print_plan(ours.planned, ours.settings)
    return True


@pytest.fixture
def outcome(
    request: pytest.FixtureRequest,
    task: str,
    cell: str,
    size: str,
    device: str,
    dtype: str,
    variant: str,
) -> Outcome:
    """What was measured for this test; the first test of a cell has the cell measured.

    The parameters are asked for one by one so that `--benchmark-group-by=param:variant` and the
    like can tell them apart.
    """
    case = _case(request.node)
    assert case is not None
    return request.config.stash[SESSION].outcome(case)


def pytest_benchmark_update_machine_info(machine_info: dict[str, Any]) -> None:
    machine_info["node"] = "unnamed"  # a machine is named by its parts, never by its host name


def pytest_benchmark_update_json(config: pytest.Config, output_json: dict[str, Any]) -> None:
    ours = config.stash[SESSION]
    file = ours.folder / "benchmark.json"
    if ours.folder.is_dir() and config.getoption("benchmark_json") != file:
        file.write_text(json.dumps(output_json, indent=4, default=str))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    ours = session.config.stash.get(SESSION, None)
    report = ours.close() if ours is not None else None
    if report is not None:
        session.config.stash[REPORT] = report


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """The last line of all is where the report is."""
    report = config.stash.get(REPORT, None)
    if report is not None:
        print(f"report: {_shown(report, config)}")


def _shown(path: Path, config: pytest.Config) -> Path:
    """As a user standing where they started pytest would write it."""
    start = config.invocation_params.dir
    return path.relative_to(start) if path.is_relative_to(start) else path

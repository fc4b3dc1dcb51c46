"""What pytest is told: options, one test a workload and variant, replay, the report at the end.

Loaded by the repository's own conftest.py, never as an installed plugin.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.config import options
from bench.measurement.candidate import Outcome
from bench.measurement.case import PARAMETERS, Case
from bench.measurement.estimate import print_plan
from bench.measurement.plan import Plan
from bench.session import SuiteRun

SUITE = Path(__file__).parent / "suite"
PLAN = pytest.StashKey[Plan]()
RUN = pytest.StashKey[SuiteRun]()
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
    plan = config.stash[PLAN] = Plan(asked, options.settings(config, asked))
    suite_asked = only or any(map(_reaches_suite, config.args))
    measures = plan.settings.timed and not (asked.dry_run or config.option.collectonly)
    if suite_asked and not asked.dry_run and config.getoption("dist", "no") != "no":
        raise pytest.UsageError("-n and --dist measure several workloads at once: leave them out")
    if suite_asked and measures and config.getoption("benchmark_json") is None:
        # Read by pytest-benchmark in its own pytest_configure, which runs last.
        config.option.benchmark_json = plan.folder / "benchmark.json"
    if suite_asked:
        plan.workloads()  # one that cannot be made is wrong use, said before anything starts


def _reaches_suite(argument: str) -> bool:
    """Does a path on the command line hold the suite, or lie within it."""
    path = Path(str(argument).partition("::")[0]).resolve()
    return SUITE.is_relative_to(path) or path.is_relative_to(SUITE)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "outcome" not in metafunc.fixturenames:
        return
    cases = metafunc.config.stash[PLAN].cases(metafunc.module.PHASE)
    metafunc.parametrize(
        PARAMETERS, [case.parameters for case in cases], ids=[case.id for case in cases]
    )


def _is_ours(item: pytest.Item) -> bool:
    return isinstance(item, pytest.Function) and "outcome" in item.fixturenames


def _case(item: pytest.Item) -> Case:
    """The case of a test of the suite."""
    assert isinstance(item, pytest.Function)
    return item.config.stash[PLAN].case(item.module.PHASE, item.callspec.id)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """The files of phases that were not asked for."""
    if collection_path.parent != SUITE or not collection_path.name.startswith("test_"):
        return None
    phases = config.stash[PLAN].options.request.phases
    return True if options.phase_of(collection_path) not in phases else None


def pytest_collection_finish(session: pytest.Session) -> None:
    config = session.config
    plan = config.stash[PLAN]
    plan.settle(_case(item) for item in session.items if _is_ours(item))
    if not plan.by_workload or config.option.collectonly or plan.options.dry_run:
        return
    if config.getoption("benchmark_skip") and not config.getoption("benchmark_only"):
        return
    config.stash[RUN] = SuiteRun(plan, options.given(config))


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    plan = session.config.stash[PLAN]
    if not plan.options.dry_run:
        return None
    print_plan(plan.by_workload, plan.settings)
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
    """What was measured for this test; the first test of a workload has it measured.

    The parameters are asked for one by one so that `--benchmark-group-by=param:variant` and the
    like can tell them apart.
    """
    return request.config.stash[RUN].outcome(_case(request.node))


def pytest_benchmark_update_machine_info(machine_info: dict[str, Any]) -> None:
    machine_info["node"] = "unnamed"  # a machine is named by its parts, never by its host name


def pytest_benchmark_update_json(config: pytest.Config, output_json: dict[str, Any]) -> None:
    folder = config.stash[PLAN].folder
    file = folder / "benchmark.json"
    if folder.is_dir() and config.getoption("benchmark_json") != file:
        file.write_text(json.dumps(output_json, indent=4, default=str))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    run = session.config.stash.get(RUN, None)
    report = run.close() if run is not None else None
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

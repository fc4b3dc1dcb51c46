"""The pytest plugin: options, one test per workload and variant, and the report at the end.

The repository's own conftest.py loads it; it is never an installed plugin.
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from bench import signals
from bench.config import options
from bench.measurement.candidate import Outcome
from bench.measurement.case import PARAMETERS, Case
from bench.measurement.ending import INTERRUPTIONS, EndedRunError, ends_the_run
from bench.measurement.estimate import print_plan
from bench.measurement.plan import Plan
from bench.report import terminal
from bench.session import SuiteRun
from bench.suite import benchmark_json

SUITE = Path(__file__).parent / "suite"
PLAN = pytest.StashKey[Plan]()
RUN = pytest.StashKey[SuiteRun]()
REPORT = pytest.StashKey[Path]()
SUITE_ASKED = pytest.StashKey[bool]()
ENDED = pytest.StashKey[str]()  # what ended the run before its time, in words
FAULTS = pytest.StashKey[list[str]]()  # what could not be written, in words


def pytest_addoption(parser: pytest.Parser) -> None:
    options.declare(parser)


def pytest_configure(config: pytest.Config) -> None:
    only = config.getoption("benchmark_only", None)
    if only is None:
        raise pytest.UsageError("rnnbench needs pytest-benchmark; it is missing or switched off")
    if only and config.args_source is not pytest.Config.ArgsSource.ARGS:
        config.args = [str(SUITE)]  # only the suite; `make test` runs the tests
    asked = options.read(config)
    plan = config.stash[PLAN] = Plan(asked, options.settings(config, asked))
    config.stash[FAULTS] = []
    config.pluginmanager.register(_Interruption(config))
    suite_asked = config.stash[SUITE_ASKED] = only or any(map(_reaches_suite, config.args))
    if suite_asked:
        heeded = ExitStack()
        heeded.enter_context(signals.heeded())
        config.add_cleanup(heeded.close)
    measures = plan.settings.timed and not (asked.dry_run or config.option.collectonly)
    if suite_asked and not asked.dry_run and config.getoption("dist", "no") != "no":
        raise pytest.UsageError("-n and --dist would measure several workloads at once: omit them")
    if suite_asked and measures and config.getoption("benchmark_json") is None:
        # pytest-benchmark reads it in its own pytest_configure, which runs later.
        config.option.benchmark_json = plan.folder / "benchmark.json"
    if suite_asked:
        plan.workloads()  # an impossible workload is an error before anything starts


def _reaches_suite(argument: str) -> bool:
    """Whether a path on the command line contains the suite, or lies within it."""
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
    """Whether it measures; the one test of a phase without workloads has no parameters."""
    if not isinstance(item, pytest.Function) or "outcome" not in item.fixturenames:
        return False
    return isinstance(item.callspec.params["task"], str)


def _case(item: pytest.Item) -> Case:
    """The case of a test of the suite."""
    assert isinstance(item, pytest.Function)
    return item.config.stash[PLAN].case(item.module.PHASE, item.callspec.id)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Ignore the files of phases without a workload."""
    if collection_path.parent != SUITE or not collection_path.name.startswith("test_"):
        return None
    phases = config.stash[PLAN].phases
    return True if options.phase_of(collection_path) not in phases else None


def pytest_collection_finish(session: pytest.Session) -> None:
    config = session.config
    plan = config.stash[PLAN]
    plan.settle(_case(item) for item in session.items if _is_ours(item))
    if not plan.by_workload or config.option.collectonly or plan.options.dry_run:
        return
    if config.getoption("benchmark_skip") and not config.getoption("benchmark_only"):
        return
    with ends_the_run():
        typed = config.stash.get(options.TYPED, None)
        words = options.given(config) if typed is None else typed
        benchmark_json.guard(config, config.stash[FAULTS], lambda: plan.folder)
        config.stash[RUN] = SuiteRun(plan, words, of_rnnbench=typed is not None)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    plan = session.config.stash[PLAN]
    if not plan.options.dry_run:
        return None
    print_plan(plan.by_workload, plan.settings)
    # So that pytest ends with how many tests it has collected, and not with "no tests ran".
    session.config.option.collectonly = True
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
    """The outcome of this test; the first test of a workload measures the whole workload.

    The parameters are separate arguments so that `--benchmark-group-by=param:variant` works.
    """
    config = request.config
    with ends_the_run():
        return config.stash[RUN].outcome(_case(request.node))


@pytest.hookimpl(wrapper=True)
def pytest_report_header(config: pytest.Config) -> Generator[None, list[Any], list[Any]]:
    """Replace what pytest-benchmark claims of its own loop, which runs nothing here."""
    lines = yield
    if not config.stash[SUITE_ASKED]:
        return lines
    plan = config.stash[PLAN]
    return [*_without_benchmark(lines), plan.settings.in_words, plan.data]


def _without_benchmark(lines: list[Any]) -> Iterator[Any]:
    for line in lines:
        if not (isinstance(line, str) and line.startswith("benchmark: ")):
            yield line


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> Generator[None, object, object]:
    """The answer of the run, behind pytest-benchmark's table; that only where it is asked for."""
    if config.stash[SUITE_ASKED] and not options.table_asked(config):
        benchmark = config.pluginmanager.get_plugin("pytest-benchmark")
        assert benchmark is not None  # `pytest_configure` has looked for it
        benchmark.quiet = True
    try:
        return (yield)
    finally:
        for line in _answer(terminalreporter, config):
            terminalreporter.write_line(line)


def _answer(reporter: pytest.TerminalReporter, config: pytest.Config) -> Iterator[str]:
    plan, run = config.stash[PLAN], config.stash.get(RUN, None)
    yield from plan.left_out if plan.by_workload else ()
    if run is not None and run.workloads_done:
        width = shutil.get_terminal_size().columns if reporter.isatty else None
        yield from terminal.printed(*run.records(), width=width, colours=reporter.hasmarkup)


class _Interruption:
    """Sees what ends a run before its time, which pytest reports to no configuration."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        if excinfo.type in (*INTERRUPTIONS, EndedRunError):
            ended = str(excinfo.value) if excinfo.type is EndedRunError else ""
            self._config.stash[ENDED] = ended or signals.received.in_words
            # A file that was being read is left open, which is no error of the run.
            warnings.simplefilter("ignore", ResourceWarning)
            warnings.simplefilter("ignore", pytest.PytestUnraisableExceptionWarning)


def pytest_benchmark_update_machine_info(machine_info: dict[str, Any]) -> None:
    machine_info["node"] = "unnamed"  # a host name is never recorded


def pytest_benchmark_update_json(config: pytest.Config, output_json: dict[str, Any]) -> None:
    folder = config.stash[PLAN].folder
    benchmark_json.write_further(config, folder, output_json, config.stash[FAULTS])


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, object, object]:
    """Make the report after the other plugins, also where one of them fails."""
    try:
        return (yield)
    except OSError as error:  # pytest's own cache on a full disk, for example
        file = error.filename or "a file of pytest or of one of its plugins"
        session.config.stash[FAULTS].append(f"{file} cannot be written: {error.strerror}")
        return None
    finally:
        _close(session)


def _close(session: pytest.Session) -> None:
    config = session.config
    run, faults = config.stash.get(RUN, None), config.stash[FAULTS]
    try:
        report = run.close() if run is not None else None
    except KeyboardInterrupt:  # a second one, while the report is made
        config.stash[ENDED], report = signals.received.in_words, None
    if report is not None:
        config.stash[REPORT] = report
    faults += run.faults if run is not None else []
    if faults and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """The last lines of all: what ended the run, what is kept, and where the report is."""
    plan, ended = config.stash.get(PLAN, None), config.stash.get(ENDED, None)
    for fault in config.stash.get(FAULTS, []):
        print(fault)
    if plan is not None and plan.by_workload and ended is not None:
        print(f"{ended}: {_kept(plan, config)}")
    report = config.stash.get(REPORT, None)
    if report is not None:
        print(f"report: {_shown(report, config)}")


def _kept(plan: Plan, config: pytest.Config) -> str:
    run = config.stash.get(RUN, None)
    done, planned = run.workloads_done if run is not None else 0, len(plan.by_workload)
    if not done:
        return "no workload was finished; nothing is kept"
    if not plan.settings.timed:
        return f"{done} of {planned} workloads were checked"
    folder = _shown(plan.folder, config)
    return (
        f"{done} of {planned} workloads were finished, and are kept in {folder}; "
        f"`rnnbench report {folder}` makes a report of them, and --resume={folder} measures "
        "the rest"
    )


def _shown(path: Path, config: pytest.Config) -> Path:
    """The path relative to the folder where pytest was started, if possible."""
    start = config.invocation_params.dir
    return path.relative_to(start) if path.is_relative_to(start) else path

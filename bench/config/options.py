"""The command-line options: declared, read, and checked before anything runs."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from backends import registry
from bench import ROOT
from bench.analysis import text
from bench.config import fields, limits, no_effect, presets, validation, workload_file
from bench.config.data import known
from bench.config.fields import FIELDS, MODEL, Values
from bench.config.grid import Request
from bench.config.option_table import (
    DEFAULT_PHASES,
    DEFAULT_PROCESSES,
    OWN,
    REFUSED,
    TABLE,
)
from bench.config.phases import PHASES
from bench.config.protocol import PILOT, TIMED_SECONDS, Settings
from bench.config.workload_file import NamedWorkloads, WorkloadFile
from tasks import DEFAULT_TASKS

EVERYTHING = ("all",)  # of --backend
# The words of `rnnbench run`, which is what repeats a run from any folder.
TYPED = pytest.StashKey[tuple[str, ...]]()
IN_LABELS = frozenset((*MODEL, "threads", "optimizer", "data"))  # options that labels show

# What the numbers of pytest-benchmark that have a meaning here may be.
_NUMBERS: Mapping[str, Callable[[str, str], float]] = {
    "benchmark-max-time": validation.seconds,
    "benchmark-min-time": validation.seconds_or_none,
    "benchmark-min-rounds": validation.whole_number,
}


@dataclass(frozen=True)
class Options:
    """Everything a run was asked for, checked."""

    request: Request
    backends: tuple[str, ...]
    named: bool  # the backends were asked for by name: an absent one is then an error
    processes: int
    precision: float | None
    budget: float | None  # seconds
    serial: bool
    limits: limits.Limits
    queue: bool  # wait for a run that uses the same cores
    dry_run: bool
    reports: Path
    run: str | None
    resume: Path | None  # the folder of the run to go on with

    @property
    def phases(self) -> tuple[str, ...]:
        """Those of all grids of the run."""
        asked = {phase for one in (self.request, *self.request.more) for phase in one.phases}
        return tuple(phase for phase in PHASES if phase in asked)


def declare(parser: pytest.Parser) -> None:
    group = parser.getgroup("rnnbench", "which workloads to measure (comma-separated lists)")
    for option in OWN:
        name = f"--{option.name}"
        if option.repeats:
            group.addoption(name, metavar=option.metavar, action="append", help=option.help)
        elif option.metavar:
            group.addoption(name, metavar=option.metavar, default=option.default, help=option.help)
        else:
            group.addoption(name, action="store_true", help=option.help)


def default_reports(folder: Path) -> Path:
    """Where reports go from `folder`: into those of this checkout, or of a folder outside of it."""
    return (ROOT if folder.resolve().is_relative_to(ROOT) else folder) / "reports"


def read(config: pytest.Config) -> Options:
    """The options; raises pytest.UsageError that says what was expected and what came."""
    try:
        return _read(config)
    except ValueError as error:
        raise wrong_use(error) from error


def wrong_use(error: ValueError) -> pytest.UsageError:
    """The same as an error of pytest, without what a file may have that is no text to print."""
    return pytest.UsageError(text.plain(error))


def _read(config: pytest.Config) -> Options:
    check_words([*given(config), *config.getini("addopts")])
    files = _files(config)
    asked = _asked(config)
    listed = [each for file in files for each in file.workloads]
    phases = _phases_of_files(config)
    requests = [request(each, asked, phases) for each in listed or [NamedWorkloads("", {})]]
    of_files = {name: word for file in files for name, word in file.of_run.items()}
    of_run = {name: config.getoption(name) or of_files.get(name) for name in workload_file.OF_RUN}
    precision = validation.precision(config.getoption("precision"), of_run["processes"])
    budget = validation.budget(config.getoption("budget"), of_run["processes"])
    default = PILOT if precision or budget else DEFAULT_PROCESSES
    processes = validation.whole_number("processes", of_run["processes"] or str(default))
    chosen = validation.split("backend", of_run["backend"])
    run, serial = config.getoption("run_name"), config.getoption("serial")
    if run is not None:
        validation.folder_name("run-name", run)
    reports = Path(config.getoption("reports") or default_reports(config.invocation_params.dir))
    options = Options(
        request=replace(requests[0], more=tuple(requests[1:])),
        backends=_backends(chosen),
        named=bool(chosen) and chosen != EVERYTHING,
        processes=processes,
        precision=precision,
        budget=budget,
        serial=serial,
        limits=limits.read(config, given(config), serial),
        queue=config.getoption("queue"),
        dry_run=config.getoption("dry_run"),
        reports=reports,
        run=run,
        resume=_to_resume(config, reports),
    )
    no_effect.refuse(options, asked, timed=not disabled(config))
    return options


def settings(config: pytest.Config, options: Options) -> Settings:
    """How each workload is measured; raises pytest.UsageError."""
    try:
        numbers = {
            name: expected(name, str(config.getoption(name.replace("-", "_"))))
            for name, expected in _NUMBERS.items()
        }
    except ValueError as error:
        raise wrong_use(error) from error
    return Settings(
        max_seconds=numbers["benchmark-max-time"],
        min_rounds=int(numbers["benchmark-min-rounds"]),
        timed_seconds=max(TIMED_SECONDS, numbers["benchmark-min-time"]),
        processes=options.processes,
        precision=options.precision,
        budget=options.budget,
        beside=not options.serial,
        serial=options.serial,
        timed=not disabled(config),
    )


def table_asked(config: pytest.Config) -> bool:
    """Whether pytest-benchmark's table is asked for: by `-v`, or by an option that shapes it."""
    words = [*given(config), *config.getini("addopts")]
    shaped = any(str(word).partition("=")[0] in TABLE for word in words)
    return shaped or config.option.verbose > 0 or config.getoption("benchmark_verbose")


def disabled(config: pytest.Config) -> bool:
    """The checks alone are asked for."""
    return bool(config.getoption("benchmark_disable") and not config.getoption("benchmark_enable"))


def _asked(config: pytest.Config) -> Values:
    """The options of workloads that the command line gives."""
    words: dict[str, tuple[str, ...]] = {}
    for name, field in FIELDS.items():
        value = config.getoption(name)
        if field.switch and value:
            words[name] = ("true",)
        elif not field.switch and value is not None:
            # A comma may be a part of a file's name.
            words[name] = (value,) if field.whole else validation.split(fields.option(name), value)
    return fields.from_words(words)


def request(named: NamedWorkloads, asked: Values, phases: Sequence[str] = ()) -> Request:
    """One grid: that of a workload file, if any, where the command line asks for nothing else.

    `phases` are those of suite files that the command line names.
    """
    values = {**named.values, **asked}
    shown = {*asked, *named.several} if named.name else {*values}
    default = ("forward",) if "denormal" in values.get("values", ()) else DEFAULT_PHASES
    return Request(
        tasks=values.get("task", DEFAULT_TASKS),
        phases=values.get("phase", phases or default),
        devices=values.get("device", ("cpu",)),
        dtypes=values.get("dtype", ("float32",)),
        threads=values.get("threads") or validation.threads(()),
        sizes=values.get("size", ()),
        optimizers=values.get("optimizer", ()),
        model={name: values[name] for name in MODEL if name in values},
        data=known.read(values, values.get("task", ())),
        shown=frozenset(shown) & (IN_LABELS | ({"size"} if named.name else set())),
        given_name=named.name,
        where=named.where,
    )


def _files(config: pytest.Config) -> list[WorkloadFile]:
    """The workload files of the run, of which a preset is one."""
    name, paths = config.getoption("preset"), config.getoption("workload") or []
    if name is not None and paths:
        raise ValueError("--preset is a workload file; expected no --workload beside it")
    if name is None:
        files = [workload_file.read(Path(path)) for path in paths]
    else:
        try:
            files = [presets.find(name).file]
        except KeyError as error:
            near = validation.did_you_mean(name, presets.names())
            raise ValueError(f"--preset: {error.args[0]}{near}") from error
    workload_file.expect_different([each for file in files for each in file.workloads])
    for option in workload_file.OF_RUN:
        differ = len({file.of_run.get(option) for file in files}) > 1
        if differ and config.getoption(option) is None:
            raise ValueError(f"the workload files differ in {option}; expected one, or --{option}")
    return files


def _to_resume(config: pytest.Config, reports: Path) -> Path | None:
    """The folder that --resume names, by its path or by its name in `reports`."""
    word: str | None = config.getoption("resume")
    if word is None:
        return None
    if config.getoption("run_name") is not None:
        raise ValueError("--resume goes on in the folder of its run; expected no --run-name")
    if disabled(config):
        raise ValueError("--resume has no effect beside --benchmark-disable, which times nothing")
    for folder in (Path(word), reports / word):
        if word and os.path.isdir(folder):  # also where the name is too long for one
            return folder
    raise ValueError(f"--resume {word!r}: expected the folder of a run, or its name in {reports}")


def _backends(chosen: tuple[str, ...]) -> tuple[str, ...]:
    if chosen and chosen != EVERYTHING:
        return validation.backends(chosen)
    try:
        return tuple(registry.default_names(everything=chosen == EVERYTHING))
    except registry.BrokenBackendError as error:
        raise ValueError(str(error)) from error


def given(config: pytest.Config) -> list[str]:
    """The words of the command line, and before them those of the environment."""
    ahead = shlex.split(os.environ.get("PYTEST_ADDOPTS", ""))
    return [*ahead, *map(str, config.invocation_params.args)]


def check_words(words: Sequence[str]) -> None:
    """Raises ValueError where an option of pytest-benchmark among them cannot be."""
    for number, word in enumerate(words):
        option, sign, value = str(word).partition("=")
        if option in REFUSED:
            raise ValueError(f"{option} has no meaning here: {REFUSED[option]}")
        if option.removeprefix("--") in _NUMBERS and (sign or number + 1 < len(words)):
            name = option.removeprefix("--")
            _NUMBERS[name](name, value if sign else str(words[number + 1]))


def phase_of(file: Path) -> str:
    """The phase that a file of the suite measures: "bptt" of test_bptt.py."""
    return file.stem.removeprefix("test_")


def _phases_of_files(config: pytest.Config) -> tuple[str, ...]:
    """Those of suite files that are named on the command line."""
    files = [Path(str(argument).partition("::")[0]) for argument in config.args]
    named = {phase_of(file) for file in files if file.suffix == ".py"}
    return tuple(phase for phase in PHASES if phase in named)

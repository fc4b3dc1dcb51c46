"""The command-line options: declared, read, and checked before anything runs."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from backends import registry
from backends.interface import DTYPES, PHASES
from bench import ROOT
from bench.config import presets, validation
from bench.config.grid import OPTIMIZERS, Request
from bench.config.option_table import DEFAULT_PHASES, OWN, REFUSED, SIZES, TRAINING
from bench.config.protocol import TIMED_SECONDS, Settings
from tasks import TASKS
from tasks.spec import CELLS

EVERYTHING = ("all",)  # of --backend

_UNSET = {option.destination: option.default for option in OWN} | {"bidirectional": False}

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
    serial: bool
    timeout_seconds: float
    dry_run: bool
    reports: Path
    run: str | None


def declare(parser: pytest.Parser) -> None:
    group = parser.getgroup("rnnbench", "which workloads to measure (comma-separated lists)")
    for option in OWN:
        name = f"--{option.name}"
        if option.metavar:
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
        raise pytest.UsageError(str(error)) from error


def _read(config: pytest.Config) -> Options:
    check_words([*given(config), *config.getini("addopts")])
    asked = {name: config.getoption(name) for name in ("optimizer", "dropout")}  # by the user
    requests = [_request(config) for _ in _parts_of_preset(config)]
    _refuse_what_has_no_effect(config, asked, {p for each in requests for p in each.phases})
    chosen = validation.split("backend", config.getoption("backend"))
    run = config.getoption("run_name")
    if run is not None and (not run or run.startswith(".") or "/" in run or os.sep in run):
        raise ValueError(f"--run-name {run!r}: expected the name of one folder")
    reports = config.getoption("reports")
    return Options(
        request=replace(requests[0], more=tuple(requests[1:])),
        backends=_backends(chosen),
        named=bool(chosen) and chosen != EVERYTHING,
        processes=validation.whole_number("processes", config.getoption("processes")),
        serial=config.getoption("serial"),
        timeout_seconds=validation.seconds("worker-timeout", config.getoption("worker_timeout")),
        dry_run=config.getoption("dry_run"),
        reports=Path(reports) if reports else default_reports(config.invocation_params.dir),
        run=run,
    )


def settings(config: pytest.Config, options: Options) -> Settings:
    """How each workload is measured; raises pytest.UsageError."""
    try:
        numbers = {
            name: expected(name, str(config.getoption(name.replace("-", "_"))))
            for name, expected in _NUMBERS.items()
        }
    except ValueError as error:
        raise pytest.UsageError(str(error)) from error
    return Settings(
        max_seconds=numbers["benchmark-max-time"],
        min_rounds=int(numbers["benchmark-min-rounds"]),
        timed_seconds=max(TIMED_SECONDS, numbers["benchmark-min-time"]),
        processes=options.processes,
        beside=not options.serial,
        serial=options.serial,
        timed=not disabled(config),
    )


def disabled(config: pytest.Config) -> bool:
    """The checks alone are asked for."""
    off = config.getoption("benchmark_disable") and not config.getoption("benchmark_enable")
    return bool(off)


def _request(config: pytest.Config) -> Request:
    """One grid of workloads."""

    def names(name: str, valid: Sequence[str]) -> tuple[str, ...]:
        return validation.names(name, config.getoption(name), valid)

    def numbers(name: str) -> tuple[int, ...]:
        return validation.whole_numbers(name, config.getoption(name))

    threads = numbers("threads")
    return Request(
        tasks=names("task", tuple(TASKS)) or tuple(TASKS),
        phases=names("phase", PHASES) or _phases_of_files(config) or DEFAULT_PHASES,
        devices=validation.devices("device", config.getoption("device")) or ("cpu",),
        dtypes=validation.dtypes("dtype", config.getoption("dtype"), DTYPES) or ("float32",),
        threads=validation.threads(threads),
        threads_named=bool(threads),
        cells=names("cell", CELLS),
        sizes=names("size", SIZES),
        optimizers=names("optimizer", OPTIMIZERS),
        bidirectional=config.getoption("bidirectional"),
        dropout=validation.share("dropout", config.getoption("dropout")),
        batch=numbers("batch"),
        steps=numbers("steps"),
        input=numbers("input"),
        hidden=numbers("hidden"),
        layers=numbers("layers"),
    )


def _backends(chosen: tuple[str, ...]) -> tuple[str, ...]:
    if chosen and chosen != EVERYTHING:
        return validation.backends(chosen)
    try:
        return tuple(registry.default_names(everything=chosen == EVERYTHING))
    except registry.BrokenBackendError as error:
        raise ValueError(str(error)) from error


def _parts_of_preset(config: pytest.Config) -> Iterator[None]:
    """Each part of --preset in turn, put where the command line says nothing; once without one."""
    name = config.getoption("preset")
    if name is None:
        yield
        return
    try:
        parts = presets.find(name).parts
    except KeyError as error:
        near = validation.did_you_mean(name, presets.names())
        raise ValueError(f"--preset: {error.args[0]}{near}") from error
    free = [option for option in presets.ALLOWED if config.getoption(option) == _UNSET[option]]
    for part in parts:
        for option in free:
            setattr(config.option, option, part.get(option, _UNSET[option]))
        yield


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


def _refuse_what_has_no_effect(
    config: pytest.Config, asked: Mapping[str, str | None], phases: set[str]
) -> None:
    """Raises ValueError for an option that the user gave, and that changes nothing."""
    measured = ", ".join(phase for phase in PHASES if phase in phases)
    if asked["optimizer"] is not None and "train_step" not in phases:
        raise ValueError(
            f"--optimizer has no effect on {measured}; expected --phase=train_step beside it"
        )
    if validation.share("dropout", asked["dropout"]) and not phases & {*TRAINING}:
        raise ValueError(
            f"--dropout has no effect on {measured}; expected a --phase that trains beside it: "
            f"{', '.join(TRAINING)}"
        )
    processes = validation.whole_number("processes", config.getoption("processes"))
    if config.getoption("serial"):
        if processes > 1:
            raise ValueError("--serial is one process; expected no --processes beside it")
        if any(word.partition("=")[0] == "--worker-timeout" for word in given(config)):
            raise ValueError("--serial has no workers; expected no --worker-timeout beside it")
    if disabled(config) and processes > 1:
        raise ValueError(
            "--processes has no effect beside --benchmark-disable, which times nothing; "
            "leave one of them out"
        )


def phase_of(file: Path) -> str:
    """The phase that a file of the suite measures: "bptt" of test_bptt.py."""
    return file.stem.removeprefix("test_")


def _phases_of_files(config: pytest.Config) -> tuple[str, ...]:
    """Those of suite files that are named on the command line."""
    files = [Path(str(argument).partition("::")[0]) for argument in config.args]
    named = {phase_of(file) for file in files if file.suffix == ".py"}
    return tuple(phase for phase in PHASES if phase in named)

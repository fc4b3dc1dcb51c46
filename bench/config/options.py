"""The command-line options: declared, read, and checked before anything runs."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from backends import registry
from backends.interface import DTYPES, PHASES
from bench.config import presets, validation
from bench.config.grid import DEFAULT_OPTIMIZER, OPTIMIZERS, Request
from bench.config.protocol import TIMED_SECONDS, Settings
from tasks import TASKS
from tasks.spec import CELLS

SIZES = ("source", "base", "large")
DEFAULT_PHASES = ("forward", "bptt")
EVERYTHING = ("all",)  # of --backend

_LISTS = {
    "task": f"tasks: {', '.join(TASKS)}; default all",
    "backend": "variants; default every one that is on by default, `all` for the others too",
    "cell": f"cells: {', '.join(CELLS)}; default the task's own",
    "device": "devices: cpu, cuda:0, ...; default cpu",
    "dtype": f"arithmetic: {', '.join(DTYPES)}; default float32",
    "phase": f"what is timed: {', '.join(PHASES)}; default {','.join(DEFAULT_PHASES)}",
    "size": "sizes; default hihello at source, the others at base",
    "batch": "B, sequences in a batch",
    "steps": "T, time steps",
    "input": "D, input or embedding size",
    "hidden": "H, hidden size",
    "layers": "L, recurrent layers",
    "optimizer": f"of train_step: {', '.join(OPTIMIZERS)}; default {DEFAULT_OPTIMIZER}",
    "threads": "threads of every variant; default all cores this process may use",
}

_DEFAULTS = {"processes": "1"}  # of options that are not None without the user

# Options of pytest-benchmark that have no meaning here, and what to use for their purpose.
_REFUSED = {
    "--benchmark-timer": "steps are timed in the workers by time.perf_counter; see --dry-run",
    "--benchmark-cprofile": "the steps run in other processes; profile a script of your own",
    "--benchmark-warmup": "every block starts with warm-up steps, and a workload with a warm-up",
    "--benchmark-calibration-precision": "the length of a round is set by --benchmark-min-time",
    "--benchmark-precision": "use --benchmark-max-time or --benchmark-min-rounds",
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
    for name, text in _LISTS.items():
        group.addoption(f"--{name}", metavar="LIST", default=None, help=text)
    group.addoption("--bidirectional", action="store_true", help="every layer in both directions")
    group.addoption(
        "--dropout",
        default=None,
        metavar="SHARE",
        help="between the layers while training; checked without it, timed with it",
    )
    group.addoption(
        "--preset", default=None, metavar="NAME", help=f"one of {', '.join(presets.names())}"
    )
    group.addoption(
        "--processes", default=_DEFAULTS["processes"], metavar="K", help="fresh processes a variant"
    )
    group.addoption(
        "--serial",
        action="store_true",
        help="in this process, one variant after the other, for profilers and debuggers; the times "
        "are never compared",
    )
    group.addoption(
        "--worker-timeout", default="600", metavar="SECONDS", help="for one answer of a worker"
    )
    group.addoption(
        "--dry-run", action="store_true", help="list the workloads and the expected time"
    )
    group.addoption(
        "--reports", default=None, metavar="DIR", help="where reports go; default ./reports"
    )
    group.addoption(
        "--run-name", default=None, metavar="NAME", help="folder of this run; default its time"
    )


def read(config: pytest.Config) -> Options:
    """The options; raises pytest.UsageError that says what was expected and what came."""
    try:
        return _read(config)
    except ValueError as error:
        raise pytest.UsageError(str(error)) from error


def _read(config: pytest.Config) -> Options:
    _refuse_what_has_no_meaning(config)
    requests = [_request(config) for _ in _parts_of_preset(config)]
    chosen = validation.split("backend", config.getoption("backend"))
    run = config.getoption("run_name")
    if run is not None and (not run or run.startswith(".") or "/" in run or os.sep in run):
        raise ValueError(f"--run-name {run!r}: expected the name of one folder")
    processes = validation.whole_number("processes", config.getoption("processes"))
    serial: bool = config.getoption("serial")
    if serial and processes > 1:
        raise ValueError("--serial is one process; expected no --processes beside it")
    return Options(
        request=replace(requests[0], more=tuple(requests[1:])),
        backends=_backends(chosen),
        named=bool(chosen) and chosen != EVERYTHING,
        processes=processes,
        serial=serial,
        timeout_seconds=validation.seconds("worker-timeout", config.getoption("worker_timeout")),
        dry_run=config.getoption("dry_run"),
        reports=Path(config.getoption("reports") or config.rootpath / "reports"),
        run=run,
    )


def settings(config: pytest.Config, options: Options) -> Settings:
    """How each workload is measured; raises pytest.UsageError."""
    try:
        max_seconds = validation.seconds(
            "benchmark-max-time", str(config.getoption("benchmark_max_time"))
        )
    except ValueError as error:
        raise pytest.UsageError(str(error)) from error
    return Settings(
        max_seconds=max_seconds,
        min_rounds=config.getoption("benchmark_min_rounds"),
        timed_seconds=max(TIMED_SECONDS, float(config.getoption("benchmark_min_time"))),
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
        dtypes=names("dtype", DTYPES) or ("float32",),
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
        raise ValueError(f"--preset: {error.args[0]}") from error
    free = [o for o in presets.ALLOWED if config.getoption(o) in (None, False, _DEFAULTS.get(o))]
    for part in parts:
        for option in free:
            unset = _DEFAULTS.get(option, False if option == "bidirectional" else None)
            setattr(config.option, option, part.get(option, unset))
        yield


def given(config: pytest.Config) -> list[str]:
    """The words of the command line, and before them those of the environment."""
    ahead = shlex.split(os.environ.get("PYTEST_ADDOPTS", ""))
    return [*ahead, *map(str, config.invocation_params.args)]


def _refuse_what_has_no_meaning(config: pytest.Config) -> None:
    words = [*given(config), *config.getini("addopts")]
    for option, instead in _REFUSED.items():
        if any(word == option or str(word).startswith(f"{option}=") for word in words):
            raise ValueError(f"{option} has no meaning here: {instead}")


def phase_of(file: Path) -> str:
    """The phase that a file of the suite measures: "bptt" of test_bptt.py."""
    return file.stem.removeprefix("test_")


def _phases_of_files(config: pytest.Config) -> tuple[str, ...]:
    """Those of suite files that are named on the command line."""
    files = [Path(str(argument).partition("::")[0]) for argument in config.args]
    named = {phase_of(file) for file in files if file.suffix == ".py"}
    return tuple(phase for phase in PHASES if phase in named)

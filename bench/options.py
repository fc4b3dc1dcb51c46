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
from bench import machine, presets
from bench.grid import DEFAULT_OPTIMIZER, OPTIMIZERS, Request
from tasks import TASKS
from tasks.spec import CELLS

SIZES = ("source", "base", "large")
DEFAULT_PHASES = ("forward", "bptt")
DEVICES = ("cpu", "cuda", "cuda:N")

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

# Stock options that cannot mean here what they mean there, and what to use for their purpose.
_REFUSED = {
    "--benchmark-timer": "steps are timed in the workers by time.perf_counter; see --dry-run",
    "--benchmark-cprofile": "the steps run in other processes; profile a script of your own",
    "--benchmark-warmup": "every block starts with hot steps, and a cell with a warm-up",
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
    group = parser.getgroup("rnnbench", "which cells to measure (comma-separated lists)")
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
    group.addoption("--dry-run", action="store_true", help="list the cells and the expected time")
    group.addoption(
        "--reports", default=None, metavar="DIR", help="where reports go; default ./reports"
    )
    group.addoption(
        "--run-name", default=None, metavar="NAME", help="folder of this run; default its time"
    )


def read(config: pytest.Config) -> Options:
    """The options; raises pytest.UsageError that says what was expected and what came."""
    _refuse_stock(config)
    requests = [_request(config) for _ in _parts_of_preset(config)]
    request = replace(requests[0], more=tuple(requests[1:]))
    chosen, named = _backends(config)
    run = config.getoption("run_name")
    if run is not None and (not run or run.startswith(".") or "/" in run or os.sep in run):
        raise pytest.UsageError(f"--run-name {run!r}: expected the name of one folder")
    return Options(
        request=request,
        backends=chosen,
        named=named,
        processes=_number("processes", config.getoption("processes")),
        serial=_serial(config),
        timeout_seconds=seconds("worker-timeout", config.getoption("worker_timeout")),
        dry_run=config.getoption("dry_run"),
        reports=Path(config.getoption("reports") or config.rootpath / "reports"),
        run=run,
    )


def _request(config: pytest.Config) -> Request:
    """One grid of cells."""
    cores = len(machine.available_cores())
    threads = _numbers(config, "threads")
    for count in threads:
        if count > cores:
            raise pytest.UsageError(
                f"--threads {count}: expected at most {cores}, the cores this process may use"
            )
    return Request(
        tasks=_names(config, "task", tuple(TASKS)) or tuple(TASKS),
        phases=_names(config, "phase", PHASES) or _phases_of_files(config) or DEFAULT_PHASES,
        devices=_devices(config) or ("cpu",),
        dtypes=_names(config, "dtype", DTYPES) or ("float32",),
        threads=threads or (cores,),
        threads_named=bool(threads),
        cells=_names(config, "cell", CELLS),
        sizes=_names(config, "size", SIZES),
        optimizers=_names(config, "optimizer", OPTIMIZERS),
        bidirectional=config.getoption("bidirectional"),
        dropout=_share(config),
        batch=_numbers(config, "batch"),
        steps=_numbers(config, "steps"),
        input=_numbers(config, "input"),
        hidden=_numbers(config, "hidden"),
        layers=_numbers(config, "layers"),
    )


def _parts_of_preset(config: pytest.Config) -> Iterator[None]:
    """Each part of --preset in turn, put where the command line says nothing; once without one."""
    name = config.getoption("preset")
    if name is None:
        yield
        return
    try:
        parts = presets.find(name).parts
    except KeyError as error:
        raise pytest.UsageError(f"--preset: {error.args[0]}") from error
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


def _refuse_stock(config: pytest.Config) -> None:
    words = [*given(config), *config.getini("addopts")]
    for option, instead in _REFUSED.items():
        if any(word == option or str(word).startswith(f"{option}=") for word in words):
            raise pytest.UsageError(f"{option} has no meaning here: {instead}")


def _split(config: pytest.Config, name: str) -> tuple[str, ...]:
    value = config.getoption(name)
    if value is None:
        return ()
    parts = [part.strip() for part in value.split(",")]
    if not all(parts):
        raise pytest.UsageError(f"--{name} {value!r}: expected a comma-separated list")
    return tuple(dict.fromkeys(parts))


def _names(config: pytest.Config, name: str, valid: Sequence[str]) -> tuple[str, ...]:
    chosen = _split(config, name)
    for part in chosen:
        if part not in valid:
            raise pytest.UsageError(f"--{name} {part!r} is unknown; expected {', '.join(valid)}")
    return chosen


def phase_of(file: Path) -> str:
    """The phase that a file of the suite measures: "bptt" of test_bptt.py."""
    return file.stem.removeprefix("test_")


def _phases_of_files(config: pytest.Config) -> tuple[str, ...]:
    """Those of suite files that are named on the command line."""
    files = [Path(str(argument).partition("::")[0]) for argument in config.args]
    named = {phase_of(file) for file in files if file.suffix == ".py"}
    return tuple(phase for phase in PHASES if phase in named)


def _devices(config: pytest.Config) -> tuple[str, ...]:
    chosen = _split(config, "device")
    for part in chosen:
        kind, colon, index = part.partition(":")
        if not (part == "cpu" or (kind == "cuda" and (not colon or index.isdecimal()))):
            raise pytest.UsageError(f"--device {part!r} is unknown; expected {', '.join(DEVICES)}")
    return tuple("cuda:0" if part == "cuda" else part for part in chosen)


def _number(name: str, value: str) -> int:
    if not value.isascii() or not value.isdecimal() or int(value) < 1:
        raise pytest.UsageError(f"--{name} {value!r}: expected a whole number of at least 1")
    return int(value)


def _numbers(config: pytest.Config, name: str) -> tuple[int, ...]:
    return tuple(dict.fromkeys(_number(name, part) for part in _split(config, name)))


def seconds(name: str, value: str) -> float:
    """The number of an option; raises pytest.UsageError unless it is finite and above 0."""
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not 0.0 < number < float("inf"):
        raise pytest.UsageError(f"--{name} {value!r}: expected a number of seconds above 0")
    return number


def _share(config: pytest.Config) -> float:
    value = config.getoption("dropout")
    if value is None:
        return 0.0
    try:
        share = float(value)
    except ValueError:
        share = -1.0
    if not 0.0 <= share < 1.0:
        raise pytest.UsageError(f"--dropout {value!r}: expected a share in [0, 1)")
    return share


def _serial(config: pytest.Config) -> bool:
    serial: bool = config.getoption("serial")
    if serial and _number("processes", config.getoption("processes")) > 1:
        raise pytest.UsageError("--serial is one process; expected no --processes beside it")
    return serial


def _backends(config: pytest.Config) -> tuple[tuple[str, ...], bool]:
    chosen = _split(config, "backend")
    try:
        if not chosen:
            return tuple(registry.default_names()), False
        if chosen == ("all",):
            return tuple(registry.default_names(everything=True)), False
        for name in chosen:
            missing = registry.find(name).missing()
            if missing:
                raise pytest.UsageError(f"--backend {name}: {missing}")
    except (registry.UnknownBackendError, registry.BrokenBackendError) as error:
        raise pytest.UsageError(str(error)) from error
    return chosen, True

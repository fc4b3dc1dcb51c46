"""`rnnbench selftest`: measures, prints what it found, and keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from backends import registry
from backends.interface import PHASES
from bench import signals
from bench.analysis import text
from bench.cli.console import Table, console, errors, line, show, table, wrong_use
from bench.config import grid, validation
from bench.config.grid import Request
from bench.config.options import default_reports
from bench.records import machine
from bench.records.schema import Selftest
from bench.records.store import remove_if_empty
from bench.records.workload import Workload
from bench.report.markdown.selftest import HEAD, findings, page, rows
from bench.selftest import run, trials
from bench.selftest.run import Plan
from bench.workers import core_locks
from bench.workers.pool import WorkerPool
from bench.workers.process import WorkerError
from tasks import TASKS

DEFAULT_VARIANTS = 3  # the first that are installed
SHORT = ("hihello", "source")  # whose steps take microseconds
# Steps of two threads take 3 to 50 times as long beside it.
BACKGROUND_LOAD_MINUTES = 10.0


_Backend = Annotated[
    str, typer.Option(help="The variants, separated by commas. Default: three that are here.")
]
_PytestBenchmark = Annotated[
    int, typer.Option(min=0, help="A/A trials a pair with pytest-benchmark's own loop.")
]
_Minutes = Annotated[
    float | None,
    typer.Option(
        min=0.1,
        help="Begin no trial later than that. Default: no limit; 10 with --background-load.",
    ),
]
_Reports = Annotated[
    Path | None,
    typer.Option(
        help="Where its folder goes. Default: reports/ in the clone of rnnbench, or outside of it "
        "in the current folder."
    ),
]


def selftest(
    backend: _Backend = "",
    task: Annotated[str, typer.Option(help="The task of the workload.")] = "sentiment",
    size: Annotated[str, typer.Option(help="The size of the workload.")] = "base",
    phase: Annotated[str, typer.Option(help="forward, bptt or train_step.")] = "bptt",
    threads: Annotated[int, typer.Option(min=0, help="0 is all cores.")] = 0,
    pairs: Annotated[int, typer.Option(min=2, help="Pairs of fresh processes a variant.")] = 4,
    repeats: Annotated[int, typer.Option(min=1, help="A/A trials a pair.")] = 1,
    injected: Annotated[int, typer.Option(min=0, help="Trials a pair and slow-down.")] = 1,
    pytest_benchmark: _PytestBenchmark = 0,
    pytest_benchmark_injected: Annotated[
        bool, typer.Option(help="Slow-downs with that loop too.")
    ] = False,
    seconds: Annotated[float, typer.Option(min=0.05, help="The time of a process a trial.")] = 0.5,
    background_load: Annotated[
        bool, typer.Option(help="Keep one core busy during the trials.")
    ] = False,
    minutes: _Minutes = None,
    reports: _Reports = None,
    name: Annotated[str, typer.Option(help="The name of its folder. Default: the time.")] = "",
    seed: Annotated[int, typer.Option(help="The seed of parameters, data and order.")] = 0,
) -> None:
    """Measure on this machine how well the harness finds differences that are known.

    It compares a program with itself (A/A), and with itself slowed down; with --pytest-benchmark
    also in that one's own loop. It takes some minutes; keep the machine quiet meanwhile. Every
    later run on this machine uses what it finds: how far two processes of one program lie apart.
    """
    if pytest_benchmark_injected and not (pytest_benchmark and injected):
        wrong_use(
            "--pytest-benchmark-injected has no effect without trials; expected --pytest-benchmark "
            "and --injected above 0 beside it"
        )
    try:
        workload = _workload(task, size, phase, threads)
        short = _workload(*SHORT, phase, threads)
        variants = _variants(backend)
    except (ValueError, registry.BrokenBackendError) as error:
        wrong_use(str(error))
    plan = Plan(
        workload,
        variants,
        short=short if short != workload else None,
        pairs=pairs,
        repeats=repeats,
        injected=injected,
        pytest_benchmark=pytest_benchmark,
        pytest_benchmark_injected=pytest_benchmark_injected,
        seconds=seconds,
        background_load=background_load,
        minutes=BACKGROUND_LOAD_MINUTES if background_load and minutes is None else minutes,
        seed=seed,
    )
    _run_in(
        reports or default_reports(Path.cwd()),
        name or f"{datetime.now(UTC):%Y-%m-%d-%H%M%S}-selftest",
        plan,
    )


def _run_in(reports: Path, name: str, plan: Plan) -> None:
    """Measure, print, and leave the trials and a page in a folder of `reports`."""
    folder, made = reports / name, not reports.exists()
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        wrong_use(f"{folder}: {error.strerror}")
    try:
        result = _run(plan, folder)
    except KeyboardInterrupt:
        line(f"{signals.received.in_words}: {_kept(folder)}", errors)
        raise typer.Exit(signals.received.exit_status) from None
    finally:
        _remove_if_empty(folder, *[reports] * made)
    kept = run.keep(result, plan)
    _print(result)
    (folder / "report.md").write_text(page(result), encoding="utf-8")
    if kept is not None:
        line("Later runs on this machine use these figures.")
    else:
        line("They are not kept for later runs.")
    line(f"report: {folder / 'report.md'}")
    if result.problems:
        raise typer.Exit(1)


def _kept(folder: Path) -> str:
    """What a selftest that did not end leaves."""
    file = folder / run.RAW
    ours, baseline = trials.read_raw(file) if file.exists() else ([], [])
    count = len(ours) + len(baseline)
    if not count:
        return "no trial had ended; nothing is kept"
    verb = "is" if count == 1 else "are"
    return f"{text.plural(count, 'trial')} {verb} kept in {file}; a result needs all of them"


def _remove_if_empty(folder: Path, *more: Path) -> None:
    """Remove a folder in which no trial has ended, and those around it that were made for it."""
    file = folder / run.RAW
    if file.exists() and not file.stat().st_size:
        file.unlink()
    remove_if_empty(folder, *more)


def _workload(task: str, size: str, phase: str, threads: int) -> Workload:
    request = Request(
        tasks=(validation.one_of("task", task, tuple(TASKS)),),
        phases=(validation.one_of("phase", phase, PHASES),),
        devices=("cpu",),
        dtypes=("float32",),
        threads=validation.threads([threads] if threads else []),
        sizes=(size,),
    )
    return next(grid.workloads(request))


def _variants(asked: str) -> Sequence[str]:
    if asked:
        return validation.backends(validation.split("backend", asked))
    names = (n for n in registry.default_names() if not registry.missing(registry.find(n)))
    return list(names)[:DEFAULT_VARIANTS]


def _run(plan: Plan, folder: Path) -> Selftest:
    line(f"{plan.workload.id}: {', '.join(plan.variants)}; {_about_minutes(plan)}")
    cores = machine.all_cores()[: plan.workload.threads]
    pool = WorkerPool(machine.cores_to_pin(), 600.0, "the limit of a selftest")
    try:
        locks = core_locks.held(cores, folder.name)
        with locks, pool, console.status("") as status:
            return run.run(plan, pool, folder, status.update)
    except core_locks.CoresInUseError as error:
        wrong_use(f"{error}; a selftest needs cores of its own", errors)
    except (WorkerError, registry.BrokenBackendError, ValueError) as error:
        line(f"rnnbench: {error}")
        raise typer.Exit(1) from None


def _about_minutes(plan: Plan) -> str:
    """ "about 12 minutes", or that and the limit."""
    minutes = plan.estimated_seconds() / 60
    if plan.minutes is None:
        return f"about {minutes:.0f} minutes"
    if plan.background_load or minutes > plan.minutes:
        return f"at most about {plan.minutes:g} minutes, and the last trial"
    return f"about {minutes:.0f} minutes, no trial begins after {plan.minutes:g}"


def _table(result: Selftest) -> Table:
    found = table(*HEAD, right=range(2, len(HEAD)))
    for row in rows(result):
        found.add_row(*row)
    return found


def _print(result: Selftest) -> None:
    """The table, and what it comes to."""
    show(_table(result))
    for sentence in (*findings(result), *(text.plain(problem, 400) for problem in result.problems)):
        line(sentence)

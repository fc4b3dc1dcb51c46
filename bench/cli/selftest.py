"""`rnnbench selftest`: measures, prints what it found, and keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.measure import Measurement
from rich.text import Text

from backends import registry
from backends.interface import PHASES
from bench.analysis import text
from bench.cli.console import console, line, table, wrong_use
from bench.config import grid, validation
from bench.config.grid import Request
from bench.records import machine
from bench.records.schema import Selftest
from bench.records.workload import Workload
from bench.report.markdown.selftest import HEAD, findings, page, rows
from bench.selftest import run
from bench.selftest.run import Plan
from bench.workers.pool import WorkerPool
from bench.workers.process import WorkerError
from tasks import TASKS

DEFAULT_VARIANTS = 3  # the first that are installed
# Steps of two threads take 3 to 50 times as long beside it.
BACKGROUND_LOAD_MINUTES = 10.0
WIDEST = 1000  # columns of a table that is never cut


def selftest(
    backend: Annotated[str, typer.Option(help="variants, comma-separated")] = "",
    task: Annotated[str, typer.Option(help="the workload's task")] = "sentiment",
    size: Annotated[str, typer.Option(help="the workload's size")] = "base",
    phase: Annotated[str, typer.Option(help="forward, bptt or train_step")] = "bptt",
    threads: Annotated[int, typer.Option(min=0, help="0: all cores")] = 0,
    pairs: Annotated[int, typer.Option(min=2, help="fresh process pairs a variant")] = 4,
    repeats: Annotated[int, typer.Option(min=1, help="A/A trials a pair")] = 3,
    injected: Annotated[int, typer.Option(min=0, help="trials a pair and slow-down")] = 1,
    pytest_benchmark: Annotated[
        int, typer.Option(min=0, help="A/A trials of pytest-benchmark's own loop a pair")
    ] = 1,
    pytest_benchmark_injected: Annotated[
        bool, typer.Option(help="slow-downs with that loop too, where it has trials")
    ] = True,
    seconds: Annotated[float, typer.Option(min=0.05, help="a process and trial")] = 1.0,
    background_load: Annotated[
        bool, typer.Option(help="have one core kept busy during the trials")
    ] = False,
    minutes: Annotated[
        float | None,
        typer.Option(
            min=0.1, help="begin no trial after them; default none, 10 with --background-load"
        ),
    ] = None,
    reports: Annotated[Path, typer.Option(help="where its folder goes")] = Path("reports"),
    name: Annotated[str, typer.Option(help="of its folder; default its time")] = "",
    seed: Annotated[int, typer.Option(help="of parameters, data and order")] = 0,
) -> None:
    """Prove the harness on this machine: A/A, injected slow-downs, beside pytest-benchmark's loop.

    A few minutes. Keep the machine quiet meanwhile. What it finds (how far two processes of one
    program lie apart) is used by every later run on this machine.
    """
    try:
        workload = _workload(task, size, phase, threads)
        variants = _variants(backend)
    except (ValueError, registry.BrokenBackendError) as error:
        wrong_use(str(error))
    plan = Plan(
        workload,
        variants,
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
    _run_in(reports / (name or f"{datetime.now(UTC):%Y-%m-%d-%H%M%S}-selftest"), plan)


def _run_in(folder: Path, plan: Plan) -> None:
    """Measure, print, and leave the trials and a page in `folder`."""
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        wrong_use(f"{folder}: {error.strerror}")
    result = _run(plan, folder)
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
    pool = WorkerPool(machine.cores_to_pin(), 600.0, "the limit of a selftest")
    try:
        with pool, console.status("") as status:
            return run.run(plan, pool, folder, status.update)
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


def _print(result: Selftest) -> None:
    """The table, in full whatever the width of the terminal, and what it comes to."""
    found = table(*HEAD)
    for number, column in enumerate(found.columns):
        column.no_wrap, column.justify = True, "left" if number < 2 else "right"
    for row in rows(result):
        found.add_row(*map(Text, row))
    wide = console.options.update(width=WIDEST)
    found.width = Measurement.get(console, wide, found).maximum
    console.print(found, soft_wrap=True)
    for sentence in (*findings(result), *(text.plain(problem, 400) for problem in result.problems)):
        line(sentence)

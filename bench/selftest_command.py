"""The command `rnnbench selftest`, and the table that it prints and keeps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from backends import registry
from backends.interface import PHASES
from bench import grid, machine, selftest, trials, verdicts
from bench.grid import Cell, Request
from bench.interpreter import WorkerError
from bench.lab import Lab
from bench.record import Selftest, Trials
from bench.report import text
from bench.selftest import Plan
from tasks import TASKS

DEFAULT_VARIANTS = 3  # the first that are installed
STRANGER_MINUTES = 10.0  # steps of two threads take 3 to 50 times as long beside it
HEAD = (
    "variant",
    "slowed by",
    "K",
    "ratio",
    "5 to 95 %",
    "called",
    "wrong",
    "truth held",
    "stock, 5 to 95 %",
)


def command(
    backend: Annotated[str, typer.Option(help="variants, comma-separated")] = "",
    task: Annotated[str, typer.Option(help="the cell's task")] = "sentiment",
    size: Annotated[str, typer.Option(help="the cell's size")] = "base",
    phase: Annotated[str, typer.Option(help="forward, bptt or train_step")] = "bptt",
    threads: Annotated[int, typer.Option(min=0, help="0: all cores")] = 0,
    pairs: Annotated[int, typer.Option(min=2, help="fresh process pairs a variant")] = 4,
    repeats: Annotated[int, typer.Option(min=1, help="A/A trials a pair")] = 3,
    injected: Annotated[int, typer.Option(min=0, help="trials a pair and slow-down")] = 1,
    stock: Annotated[int, typer.Option(min=0, help="A/A trials of the stock loop a pair")] = 1,
    stock_injected: Annotated[
        bool, typer.Option(help="slow-downs with the stock loop too, where it has trials")
    ] = True,
    seconds: Annotated[float, typer.Option(min=0.05, help="a side and trial")] = 1.0,
    stranger: Annotated[bool, typer.Option(help="have one core burned during the trials")] = False,
    minutes: Annotated[
        float | None,
        typer.Option(min=0.1, help="begin no trial after them; default none, 10 with --stranger"),
    ] = None,
    reports: Annotated[Path, typer.Option(help="where its folder goes")] = Path("reports"),
    name: Annotated[str, typer.Option(help="of its folder; default its time")] = "",
    seed: Annotated[int, typer.Option(help="of parameters, data and order")] = 0,
) -> None:
    """Prove the harness on this machine: A/A, injected slow-downs, beside the stock loop.

    A few minutes. Keep the machine quiet meanwhile. What it finds (how far two processes of one
    program lie apart) is used by every later run on this machine.
    """
    console = Console(highlight=False)
    try:
        cell = _cell(task, size, phase, threads or len(machine.available_cores()))
        variants = _variants(backend)
    except (ValueError, registry.UnknownBackendError, registry.BrokenBackendError) as error:
        console.print(f"rnnbench: {error}", soft_wrap=True, markup=False)
        raise typer.Exit(2) from None
    plan = Plan(
        cell,
        variants,
        pairs=pairs,
        repeats=repeats,
        injected=injected,
        stock=stock,
        stock_injected=stock_injected,
        seconds=seconds,
        stranger=stranger,
        minutes=STRANGER_MINUTES if stranger and minutes is None else minutes,
        seed=seed,
    )
    folder = reports / (name or f"{datetime.now(UTC):%Y-%m-%d-%H%M%S}-selftest")
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        console.print(f"rnnbench: {folder}: {error.strerror}", soft_wrap=True, markup=False)
        raise typer.Exit(2) from None
    console.print(
        f"{cell.id}: {', '.join(variants)}; {_about_minutes(plan)}",
        soft_wrap=True,
        markup=False,
    )
    cores = machine.available_cores() if machine.pinning() else None
    try:
        with Lab(cores, 600.0, "the limit of a selftest") as lab, console.status("") as status:
            result = selftest.run(plan, lab, folder, lambda what: status.update(what))
    except (WorkerError, registry.BrokenBackendError, ValueError) as error:
        console.print(f"rnnbench: {error}", soft_wrap=True, markup=False)
        raise typer.Exit(1) from None
    kept = selftest.keep(result, plan)
    _print(console, result)
    (folder / "report.md").write_text(markdown(result), encoding="utf-8")
    if kept is not None:
        console.print("Later runs on this machine use these figures.")
    else:
        console.print("They are not kept for later runs.")
    console.print(f"report: {folder / 'report.md'}", soft_wrap=True)
    if result.problems:
        raise typer.Exit(1)


def _about_minutes(plan: Plan) -> str:
    """ "about 12 minutes", or that and the limit."""
    minutes = plan.estimated_seconds() / 60
    if plan.minutes is None:
        return f"about {minutes:.0f} minutes"
    if plan.stranger or minutes > plan.minutes:
        return f"at most about {plan.minutes:g} minutes, and the last trial"
    return f"about {minutes:.0f} minutes, no trial begins after {plan.minutes:g}"


def _cell(task: str, size: str, phase: str, threads: int) -> Cell:
    cores = len(machine.available_cores())
    if threads > cores:
        raise ValueError(
            f"--threads {threads}: expected at most {cores}, the cores this process may use"
        )
    for option, given, known in (("task", task, tuple(TASKS)), ("phase", phase, PHASES)):
        if given not in known:
            raise ValueError(f"--{option} {given!r} is unknown; expected {', '.join(known)}")
    request = Request(
        tasks=(task,),
        phases=(phase,),
        devices=("cpu",),
        dtypes=("float32",),
        threads=(threads,),
        sizes=(size,),
    )
    return next(iter(grid.cells(request)))


def _variants(asked: str) -> list[str]:
    if not asked:
        names = [n for n in registry.default_names() if not registry.find(n).missing()]
        return names[:DEFAULT_VARIANTS]
    names = [name.strip() for name in asked.split(",")]
    for name in names:
        if missing := registry.find(name).missing():
            raise ValueError(f"--backend {name}: {missing}")
    return names


def rows(result: Selftest) -> list[list[str]]:
    """Of the table, as HEAD."""
    return [_row(trials) for trials in result.trials]


def _row(trials: Trials) -> list[str]:
    count = len(trials.ratios)
    return [
        trials.variant,
        f"{100 * trials.slowdown:.0f} %" if trials.slowdown else "-",
        str(trials.processes),
        f"{np.median(trials.ratios):.3f}",
        _range(trials.ratios),
        f"{trials.called} of {count}",
        str(trials.wrong),
        f"{trials.covered} of {count}",
        _range(trials.stock) if trials.stock else "",
    ]


def _range(ratios: Sequence[float]) -> str:
    low, high = np.quantile(ratios, (0.05, 0.95))
    return f"{low:.3f} - {high:.3f}"


def findings(result: Selftest) -> list[str]:
    """What it comes to, a sentence a line."""
    spread = result.offset.spread
    same = [t for t in result.trials if not t.slowdown and t.processes == 1]
    alarms, trials = sum(t.wrong for t in same), sum(len(t.ratios) for t in same)
    lines = [
        f"Two processes of one program differ by {100 * spread:.1f} % (standard deviation) for as "
        f"long as they live; {_enough(result.recommended_processes)}.",
        f"Called different though they are the same: {alarms} of {trials}.",
    ]
    if result.left_out:
        lines.append(
            f"{'Some failed' if result.problems else 'The time was used up'}: "
            f"{text.plural(result.left_out, 'trial')} of those asked for "
            f"{'is' if result.left_out == 1 else 'are'} missing, and later runs do not use these "
            "figures."
        )
    if result.others_cores is None:
        lines.append("How busy others kept the machine is not known.")
    elif result.disturbed:
        share = f"Others kept the machine busy in {100 * result.disturbed:.0f} % of the blocks"
        useless = ": on a quiet one all of this is different."
        lines.append(share + (useless if result.disturbed > verdicts.MOST_DISTURBED else "."))
    return lines


def _enough(processes: int) -> str:
    found = "a slow-down of 5 % in at least half of the cases"
    if not processes:
        return f"up to {trials.MOST_RECOMMENDED} processes a variant do not find {found}"
    noun = "process" if processes == 1 else "processes"
    verb = "finds" if processes == 1 else "find"
    return f"{processes} {noun} a variant (`--processes {processes}`) {verb} {found}"


def _print(console: Console, result: Selftest) -> None:
    table = Table(box=None, pad_edge=False)
    for number, heading in enumerate(HEAD):
        table.add_column(heading, justify="left" if number < 2 else "right", no_wrap=True)
    for row in rows(result):
        table.add_row(*row)
    console.print(table)
    for line in (*findings(result), *(text.plain(problem, 400) for problem in result.problems)):
        console.print(line, soft_wrap=True, markup=False)


_ABOUT = """\
Two fresh processes of one program, compared as two variants of a cell are; one of them waits busily
for a share of each step (slowed by). K process pairs make a trial, whose ratios are given by their
median and range. `called`: a verdict of faster or slower; `wrong`: the wrong way, or where there is
no difference; `truth held`: within the 95 % interval. The stock loop is pytest-benchmark's own, one
process after the other. `docs/measuring.md` explains the method; all trials are in `{raw}`."""


def markdown(result: Selftest) -> str:
    """A page of its own: what was tested, the table, what it comes to."""
    cores = text.plural(result.machine.cores, "core")
    threads = text.plural(result.threads, "thread")
    lines = [
        "# Selftest",
        f"{text.escape(result.cell)}, {threads}, {result.seconds:g} s a side and trial, on "
        f"{text.escape(result.machine.cpu)}, {cores}; {text.date(result.started)}.",
        _ABOUT.format(raw=selftest.RAW),
        text.table(
            HEAD, [list(map(text.escape, row)) for row in rows(result)], range(2, len(HEAD))
        ),
        *findings(result),
        *map(text.escape, result.problems),
    ]
    return "\n\n".join(lines) + "\n"

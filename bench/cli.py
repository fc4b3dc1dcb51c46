"""`rnnbench list | run | report`: what there is, a run of the suite, a report made again.

Exit status: 0 all good, 1 a variant disagreed, crashed or timed out, 2 wrong use.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from backends import registry
from bench import machine
from bench.lab import ROOT, Key, Lab, WorkerError
from bench.report.write import write_index, write_report
from tasks import TASKS

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help=__doc__,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
console = Console(highlight=False)

START_TIMEOUT_SECONDS = 120.0
PYTEST_WRONG_USE = (3, 4, 5)  # an internal error, a usage error, nothing collected


@app.command("list")
def list_(
    quick: Annotated[bool, typer.Option(help="start no framework: devices stay unknown")] = False,
) -> None:
    """Tasks, variants with their versions or what keeps them from running, devices."""
    try:
        entries = registry.table()
    except registry.BrokenBackendError as error:
        _wrong(str(error))
    console.print(_tasks())
    console.print()
    table = _table("variant", "versions", "devices", "from", "in a default run")
    problems: dict[str, str] = {}
    with Lab(None, START_TIMEOUT_SECONDS) as lab, console.status("") as status:
        for name, entry in entries.items():
            status.update(f"asking {name}")
            versions, devices, problem = _ask(lab, entry, quick)
            if problem:
                problems[name] = problem
            note = "no, see below" if problem else "yes" if entry.default else "no, by name"
            table.add_row(*map(Text, (name, versions, devices, entry.origin, note)))
    console.print(table)
    for name, problem in problems.items():
        # A line of its own, never wrapped: it holds a command to copy.
        console.print(f"\n{name}: {problem}", soft_wrap=True, markup=False)
    console.print(f"\n{machine.describe().cpu}, {len(machine.available_cores())} cores to use")


def _tasks() -> Table:
    table = _table("task", "shape", "size", "B", "T", "D", "H", "L")
    for name, task in TASKS.items():
        for number, (label, size) in enumerate(task.sizes.items()):
            head = ("", "") if number else (name, task.shape)
            numbers = (size.batch, size.steps, size.input, size.hidden, size.layers)
            table.add_row(*head, label, *map(str, numbers))
    return table


def _ask(lab: Lab, entry: registry.Entry, quick: bool) -> tuple[str, str, str]:
    """Versions, devices, and what keeps it from running."""
    missing = entry.missing()
    if missing:
        return _installed(entry), "", missing
    if quick:
        return _installed(entry), "not asked", ""
    try:
        started = lab.get(Key(entry.name, "float32", "cpu", 1)).started
    except (registry.BrokenBackendError, WorkerError) as error:
        return _installed(entry), "", str(error)
    versions = ", ".join(f"{name} {number}" for name, number in started.versions.items())
    return versions, ", ".join(started.devices), ""


def _installed(entry: registry.Entry) -> str:
    """Versions by the distributions' own word, without an import."""
    found = []
    for module in entry.modules:
        try:
            found.append(f"{module} {version(module)}")
        except PackageNotFoundError:
            continue  # not there, or under another name: the last column says what is missing
    return ", ".join(found)


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,
)
def run(context: typer.Context) -> None:
    """The suite: every option of `pytest --benchmark-only` (see `pytest --help`, "rnnbench")."""
    suite = ["--rootdir", str(ROOT), "-c", str(ROOT / "pyproject.toml"), str(ROOT / "bench/suite")]
    command = [sys.executable, "-m", "pytest", *suite, "--benchmark-only", *context.args]
    done = subprocess.run(command, check=False)
    if done.returncode in PYTEST_WRONG_USE:
        raise typer.Exit(2)
    raise typer.Exit(done.returncode and 1)


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="a folder with measurements.jsonl")],
) -> None:
    """Make a run's report.md again, and the index beside it, from the records alone."""
    try:
        written = write_report(run)
    except FileNotFoundError:
        _wrong(f"{run} holds no measurements.jsonl; expected the folder of a run, as in reports/")
    except (OSError, ValueError) as error:
        _wrong(str(error))
    write_index(run.resolve().parent)
    console.print(f"report: {written}", soft_wrap=True)


def _wrong(message: str) -> NoReturn:
    console.print(f"rnnbench: {message}", soft_wrap=True, markup=False)
    raise typer.Exit(2)


def main() -> None:
    """The console script."""
    app()


if __name__ == "__main__":
    main()

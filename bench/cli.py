"""`rnnbench list | run | report | check | new-backend`.

What there is, a run of the suite, a report made again; and for who adds a backend: what is right
and wrong with it, and a package to start from.

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
from backends.entries import Entry
from backends.words import plain
from bench import __version__, compare_command, machine, presets, selftest_command
from bench.check.command import check
from bench.interpreter import ROOT, Key, WorkerError
from bench.lab import Lab
from bench.scaffold.command import new_backend
from tasks import TASKS

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help=__doc__,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
console = Console(highlight=False)

PYTEST_WRONG_USE = (3, 4, 5)  # an internal error, a usage error, nothing collected


@app.command("list")
def list_(
    quick: Annotated[bool, typer.Option(help="start no framework: devices stay unknown")] = False,
    verbose: Annotated[bool, typer.Option(help="and where each variant comes from")] = False,
    wait: Annotated[float, typer.Option(help="seconds, for a framework to start")] = 120.0,
) -> None:
    """Tasks, variants with their versions or what keeps them from running, devices."""
    try:
        entries = registry.table()
    except registry.BrokenBackendError as error:
        _wrong(str(error))
    console.print(_tasks())
    console.print()
    console.print(_presets())
    console.print()
    table = _table("variant", "versions", "devices", "from", "in a default run")
    problems: dict[str, str] = {}
    with Lab(None, wait, "--wait") as lab, console.status("") as status:
        for name, entry in entries.items():
            status.update(f"asking {name}")
            versions, devices, problem = _ask(lab, entry, quick)
            if problem:
                problems[name] = problem
            note = "no, see below" if problem else "yes" if entry.default else "no, by name"
            table.add_row(*map(Text, (name, versions, devices, entry.origin, note)))
    console.print(table)
    if verbose:
        lines = map(_origin, entries.values())
        console.print("", *lines, sep="\n", soft_wrap=True, markup=False)
    for name, problem in problems.items():
        # A line of its own, never wrapped: it holds a command to copy.
        named = problem.startswith((f"{name} (", f"{name}: "))
        line = problem if named else f"{name}: {problem}"
        console.print(f"\n{line}", soft_wrap=True, markup=False)
    console.print(f"\n{machine.describe().cpu}, {len(machine.available_cores())} cores to use")


def _origin(entry: Entry) -> str:
    """ "torch: rnnbench 0.1.0, backends.torch_backend:torch_nn": whose it is and where it lies."""
    if entry.own_environment:
        return f"{entry.name}: {entry.origin}, {entry.runs} as {entry.python} has it"
    distribution = entry.origin if entry.plugin else f"rnnbench {__version__}"
    return f"{entry.name}: {distribution}, {plain(entry.target)}"


def _presets() -> Table:
    table = _table("preset", "asks", "source")
    for preset in map(presets.find, presets.names()):
        needs = " (needs a GPU)" if preset.gpu else ""
        table.add_row(*map(Text, (preset.name, preset.asks + needs, preset.source)))
    return table


def _tasks() -> Table:
    table = _table("task", "shape", "size", "B", "T", "D", "H", "L")
    for name, task in TASKS.items():
        for number, (label, size) in enumerate(task.sizes.items()):
            head = ("", "") if number else (name, task.shape)
            numbers = (size.batch, size.steps, size.input, size.hidden, size.layers)
            table.add_row(*head, label, *map(str, numbers))
    return table


def _ask(lab: Lab, entry: Entry, quick: bool) -> tuple[str, str, str]:
    """Versions, devices, and what keeps it from running."""
    missing = entry.missing()
    if missing:
        return _installed(entry), "", missing
    if quick:
        return _installed(entry), "not asked", ""
    key = Key(entry.name, "float32", "cpu", 1)
    try:
        started = lab.get(key).started
    except (registry.BrokenBackendError, WorkerError) as error:
        return _installed(entry), "", str(error)
    lab.end(key)
    versions = ", ".join(f"{name} {number}" for name, number in started.versions.items())
    return versions, ", ".join(started.devices), ""


def _installed(entry: Entry) -> str:
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
    form: Annotated[
        str, typer.Option("--format", help="md, html or csv; html is one file with all in it")
    ] = "md",
) -> None:
    """Make a run's report again, and the index beside it, from the records alone."""
    from bench.report.write import write_index, write_report  # which no other command needs

    try:
        written, index = write_report(run, form), write_index(run.resolve().parent)
    except FileNotFoundError:
        _wrong(f"{run} holds no measurements.jsonl; expected the folder of a run, as in reports/")
    except (OSError, ValueError) as error:
        _wrong(str(error))
    console.print(f"report: {written}", soft_wrap=True)
    if index is None:
        console.print("The README.md beside the run is no index of runs, and stays as it is.")


app.command()(check)
app.command("new-backend")(new_backend)
app.command("selftest")(selftest_command.command)
app.command("compare")(compare_command.command)


def _wrong(message: str) -> NoReturn:
    console.print(f"rnnbench: {message}", soft_wrap=True, markup=False)
    raise typer.Exit(2)


def main() -> None:
    """The console script."""
    app()


if __name__ == "__main__":
    main()

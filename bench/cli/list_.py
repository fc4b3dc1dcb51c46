"""`rnnbench list`."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from backends import registry
from bench import __version__
from bench.cli.console import Table, console, line, show, table, wrong_use
from bench.config import grid, presets
from bench.records import machine
from bench.records.workload import Workload
from bench.workers.pool import WorkerPool
from bench.workers.process import WorkerError, WorkerKey
from tasks import TASKS

WAIT = 120.0  # seconds


def list_(
    quick: Annotated[
        bool, typer.Option(help="Start no framework; the devices stay unknown.")
    ] = False,
    verbose: Annotated[bool, typer.Option(help="Show where each variant comes from, too.")] = False,
    wait: Annotated[
        float | None,
        typer.Option(help=f"How many seconds a framework may take to start. Default: {WAIT:g}."),
    ] = None,
) -> None:
    """Show the tasks, the presets, the variants and the devices on this machine.

    A variant has its versions, or what keeps it from running.
    """
    if quick and wait is not None:
        wrong_use("--wait has no effect beside --quick, which starts no framework; leave one out")
    try:
        entries = registry.table()
    except registry.BrokenBackendError as error:
        wrong_use(str(error))
    for known in (_tasks(), _presets()):
        show(known)
        line()
    found = table("variant", "versions", "devices", "from", "in a default run")
    problems: dict[str, str] = {}
    with (
        WorkerPool(None, WAIT if wait is None else wait, "--wait") as pool,
        console.status("") as status,
    ):
        for name, entry in entries.items():
            status.update(f"asking {name}")
            versions, devices, problem = _ask(pool, entry, quick)
            if problem:
                problems[name] = problem
            note = "no, see below" if problem else "yes" if entry.default else "no, by name"
            found.add_row(name, versions, devices, entry.origin, note)
    show(found)
    if verbose:
        for origin in ("", *map(_origin, entries.values())):
            line(origin)
    for name, problem in problems.items():
        # A line of its own, never wrapped: it holds a command to copy.
        named = problem.startswith((f"{name} (", f"{name}: "))
        line(f"\n{problem if named else f'{name}: {problem}'}")
    line(f"\n{machine.describe().cpu}, {len(machine.available_cores())} cores to use")


def _origin(entry: registry.Entry) -> str:
    """ "torch: rnnbench 0.1.0, backends.torch.backend:torch_nn": whose it is and where it lies."""
    if entry.own_environment:
        return f"{entry.name}: {entry.origin}, {entry.runs} as {entry.python} has it"
    distribution = entry.origin if entry.plugin else f"rnnbench {__version__}"
    return f"{entry.name}: {distribution}, {registry.plain(entry.target)}"


def _presets() -> Table:
    found = table("preset", "asks", "source")
    for preset in map(presets.find, presets.names()):
        needs = " (needs a GPU)" if preset.gpu else ""
        found.add_row(preset.name, preset.asks + needs, preset.source)
    return found


def _tasks() -> Table:
    rows: list[tuple[Workload, tuple[str, ...]]] = []
    for name, task in TASKS.items():
        request = grid.Request(
            tasks=(name,),
            phases=task.phases or ("bptt",),
            devices=("cpu",),
            dtypes=("float32",),
            threads=(1,),
            sizes=tuple(task.sizes),
        )
        for number, workload in enumerate(grid.workloads(request)):
            lead = ("", "") if number else (name, task.shape)
            rows.append((workload, (*lead, workload.size)))
    found = table("task", "shape", "size", *rows[0][0].facts)
    for workload, head in rows:
        found.add_row(*head, *workload.facts.values())
    return found


def _ask(pool: WorkerPool, entry: registry.Entry, quick: bool) -> tuple[str, str, str]:
    """Versions, devices, and what keeps it from running."""
    missing = registry.missing(entry)
    if missing:
        return _installed(entry), "", missing
    if quick:
        return _installed(entry), "not asked", ""
    key = WorkerKey(entry.name, "float32", "cpu", 1)
    try:
        started = pool.get(key).started
    except (registry.BrokenBackendError, WorkerError) as error:
        return _installed(entry), "", str(error)
    pool.end(key)
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

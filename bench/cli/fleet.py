"""`rnnbench fleet`: submit, status, requeue, collect."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from backends import registry
from bench import ROOT
from bench.analysis import text
from bench.analysis.text import plain
from bench.cli.console import errors, line, show, table, wrong_use
from bench.cli.report import show_machines
from bench.config import validation

FOLDERS = Path("fleets")  # in the current folder
OWN = ("--reports", "--run-name", "--resume", "--queue", "--dry-run", "--benchmark-disable")

_Folder = Annotated[Path | None, typer.Argument(help="Its folder. Default: the newest in fleets/.")]


def submit(
    context: typer.Context,
    nodes: Annotated[int, typer.Option(min=1, help="On how many nodes: one job each.")],
    folder: Annotated[
        Path | None,
        typer.Option(help="Where all of its state goes; every node must see it. Default: fleets/"),
    ] = None,
    local: Annotated[
        bool, typer.Option("--local", help="On this machine, by submitit's local executor.")
    ] = False,
    time: Annotated[str, typer.Option(help="Limit of a job: minutes, or H:MM:SS.")] = "4:00:00",
    partition: Annotated[str, typer.Option(help="As sbatch has it.")] = "",
    constraint: Annotated[str, typer.Option(help="As sbatch has it.")] = "",
    sbatch: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Any other option of sbatch. Repeat it."),
    ] = None,
    requeue: Annotated[
        bool, typer.Option("--requeue", help="Go on where the time limit or preemption ends a job.")
    ] = False,
    allow_busy: Annotated[
        bool, typer.Option("--allow-busy", help="Measure on nodes where others work too.")
    ] = False,
) -> None:
    """Measure all workloads on each of many nodes, by SLURM or on this machine.

    All other words are those of `rnnbench run`: FILE.toml, --task, --backend and so on.
    """
    from bench.fleet import state, submission

    words = context.args
    further = {"partition": partition, "constraint": constraint, **_sbatch(sbatch or [])}
    sbatch_options = {name: value for name, value in further.items() if value}
    if local and (sbatch_options or requeue):
        wrong_use("--local has no queue; expected no option of sbatch beside it", errors)
    minutes = _minutes(time)
    _expect_words(words)
    folder = (folder or FOLDERS / f"{datetime.now(UTC):%Y-%m-%d-%H%M%S}").resolve()
    fleet = state.Fleet(
        words=tuple(words),
        variants=tuple(_variants(words)),
        directory=str(Path.cwd()),
        salt=state.salt(),
        local=local,
        minutes=minutes,
        requeue=requeue,
        allow_busy=allow_busy,
        sbatch=sbatch_options,
        jobs=((),) * nodes,
    )
    try:
        state.new(folder, fleet)
        submission.submit(folder, fleet, range(1, nodes + 1))
    except ModuleNotFoundError:
        _without_submitit()
    except (OSError, RuntimeError) as error:
        wrong_use(str(error), errors)
    line(f"submitted {text.plural(nodes, 'job')}; `rnnbench fleet status {_shown(folder)}`")


def status(folder: _Folder = None) -> None:
    """Show what has become of each job of a fleet."""
    from bench.fleet import state
    from bench.fleet.status import statuses

    folder = _folder(folder)
    try:
        found = [*statuses(folder, state.load(folder))]
    except (ValueError, RuntimeError) as error:
        wrong_use(str(error), errors)
    shown = table("task", "node", "state", "workloads", "found", right=(0, 3))
    for each in found:
        why = plain("; ".join(each.found))
        shown.add_row(str(each.task), each.node or "-", each.state, str(each.workloads), why)
    show(shown)
    counts: dict[str, int] = {}
    for each in found:
        counts[each.state] = counts.get(each.state, 0) + 1
    line(", ".join(f"{count} {word}" for word, count in counts.items()))
    if any(each.open for each in found):
        line(f"`rnnbench fleet requeue {_shown(folder)}` starts what has ended early again.")


def requeue(folder: _Folder = None) -> None:
    """Submit a further job for each task whose job has ended without its run.

    On the same node it goes on with the run; on another one it begins anew.
    """
    from bench.fleet import state, submission
    from bench.fleet.status import statuses

    folder = _folder(folder)
    try:
        fleet = state.load(folder)
        tasks = [each.task for each in statuses(folder, fleet) if each.open]
        if tasks:
            submission.submit(folder, fleet, tasks)
    except ModuleNotFoundError:
        _without_submitit()
    except (OSError, ValueError, RuntimeError) as error:
        wrong_use(str(error), errors)
    line(f"submitted {text.plural(len(tasks), 'job')}" if tasks else "No task has ended early.")


def collect(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(help="Their folders, or copies. Default: the newest in fleets/."),
    ] = None,
) -> None:
    """Make one table over the machines of one or several fleets: machines.md in the first folder.

    Sick nodes and fragments of runs are named and left out. Exit status 1 if nothing is left.
    """
    from bench.fleet import collect as of_fleet
    from bench.report.write import write_machines

    chosen = [*map(_folder, folders)] if folders else [_folder(None)]
    try:
        runs, left_out = of_fleet.collect(chosen)
        path, found = write_machines(runs, chosen[0], left_out)
    except (OSError, ValueError) as error:
        wrong_use(str(error), errors)
    show_machines(found)
    line(f"report: {_shown(path)}")
    if not found.kinds:
        raise typer.Exit(1)


def _expect_words(words: Sequence[str]) -> None:
    """Ask `rnnbench run` whether it takes these words, before anything is submitted."""
    for word in words:
        if word.partition("=")[0] in OWN:
            wrong_use(f"{word}: a fleet chooses it for each of its runs", errors)
    # This machine may have fewer cores than the nodes.
    asked = [word for word in words if not re.fullmatch(r"--threads=\d+", word)]
    done = subprocess.run(
        [sys.executable, "-m", "bench.cli", "run", *asked, "--dry-run"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), *_paths()))},
    )
    if done.returncode:
        shown = [word for word in (done.stdout + done.stderr).splitlines() if word.strip()]
        wrong_use(shown[-1].removeprefix("ERROR: ") if shown else "the words are refused", errors)


def _paths() -> list[str]:
    return [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]


def _variants(words: Sequence[str]) -> list[str]:
    """The variants that each node must have: those asked for, or the default ones of this machine.

    Of a file, whose variants are its own, the default ones count too.
    """
    for number, word in enumerate(words):
        name, sign, value = word.partition("=")
        if name == "--backend":
            value = value if sign else "".join(words[number + 1 : number + 2])
            if value != "all":
                return [*validation.split("backend", value)]
    names = registry.default_names()
    return [name for name in names if not registry.missing(registry.find(name))]


def _sbatch(options: Sequence[str]) -> dict[str, str]:
    found = {}
    for option in options:
        name, sign, value = option.removeprefix("--").partition("=")
        if not sign or not re.fullmatch(r"[a-z][a-z0-9-]*", name):
            wrong_use(f"--sbatch {option!r}: expected NAME=VALUE, as in gres=gpu:1", errors)
        found[name] = value
    return found


def _minutes(time: str) -> int:
    """The minutes, rounded up, of "90" or "1:30:00"."""
    if re.fullmatch(r"\d+", time) and int(time):
        return int(time)
    found = re.fullmatch(r"(\d+):([0-5]\d):([0-5]\d)", time)
    if found is None or not any(map(int, found.groups())):
        wrong_use(f"--time {time!r}: expected minutes, or H:MM:SS", errors)
    hours, minutes, seconds = map(int, found.groups())
    return 60 * hours + minutes + (seconds > 0)


def _folder(given: Path | None) -> Path:
    """The folder of a fleet: the given one, or the newest of this folder."""
    if given is not None:
        if not (given / "nodes").is_dir():
            wrong_use(f"{given} is not the folder of a fleet", errors)
        return given.resolve()
    found = sorted(FOLDERS.glob("*/fleet.json"), key=lambda file: file.stat().st_mtime)
    if not found:
        wrong_use("fleets/ has no fleet; expected the folder of one", errors)
    return found[-1].parent.resolve()


def _shown(path: Path) -> str:
    """Relative to the current folder where it lies in it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _without_submitit() -> NoReturn:
    wrong_use('submitit is not installed; install with: pip install -e ".[fleet]" '
              "-c constraints.txt", errors)  # fmt: skip


WORDS = {"allow_extra_args": True, "ignore_unknown_options": True}  # passed on to `rnnbench run`

fleet = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Measure on many machines, and compare them in one table (docs/cluster.md).",
)
fleet.command("submit", context_settings=WORDS)(submit)
fleet.command("status")(status)
fleet.command("requeue")(requeue)
fleet.command("collect")(collect)

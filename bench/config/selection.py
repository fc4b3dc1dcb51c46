"""Which tasks, sizes and phases a run takes, and what it leaves out by name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.config.request import Request
from bench.records.workload import LEARN
from tasks.task import Task

# The default sizes. The note of hihello has a single sequence, so its default is "source".
DEFAULT_SIZE = "base"
DEFAULT_SIZES = {"hihello": "source"}


def tasks(request: Request) -> list[Task]:
    """Those of a run; one that takes long to learn only where it is the only one."""
    found = [request.task(name) for name in request.tasks]
    if LEARN not in request.phases or len(found) == 1:
        return found
    return [task for task in found if not _alone(task)]


def _alone(task: Task) -> bool:
    return task.target is not None and task.target.alone


def sizes(task: Task, asked: Sequence[str], asked_phases: Sequence[str] = ()) -> list[str]:
    """Those that are asked for and that the task has; by default one: to learn, the target's."""
    if asked:
        return [size for size in asked if size in task.sizes]
    if LEARN in asked_phases and task.target is not None:
        return [task.target.size]
    default = DEFAULT_SIZES.get(task.name, DEFAULT_SIZE)
    return [default if default in task.sizes else next(iter(task.sizes))]


def phases(task: Task, asked: Sequence[str]) -> list[str]:
    """Those that are asked for and that the task can be measured in."""
    known = [phase for phase in asked if task.phases is None or phase in task.phases]
    return [phase for phase in known if phase != LEARN or task.target is not None]


def left_out(request: Request) -> Iterator[str]:
    """What a task lacks of what is asked, in words that say what to do."""
    taken_tasks, asked_sizes, asked_phases = tasks(request), request.sizes, request.phases
    for task in map(request.task, request.tasks):
        if task not in taken_tasks:
            yield (
                f"{task.name} is left out of phase {LEARN}: it takes long; expected it alone, with "
                f"--task={task.name}"
            )
            continue
        if LEARN in asked_phases and task.target is None and task.phases is None:
            yield f"{task.name} is left out of phase {LEARN}: it has no target"
            continue
        for kind, asked, taken, has in (
            ("size", asked_sizes, sizes(task, asked_sizes), task.sizes),
            ("phase", asked_phases, phases(task, asked_phases), task.phases or ()),
        ):
            if lacking := [one for one in asked if one not in taken]:
                yield (
                    f"{task.name} is left out of {kind} {' and '.join(lacking)}: it has "
                    f"{', '.join(has)} alone; expected --{kind}={','.join(has)}"
                )

"""Which sizes and phases of a task a run takes, and what it leaves out by name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tasks import TASKS
from tasks.task import Task

# The default sizes. The note of hihello has a single sequence, so its default is "source".
DEFAULT_SIZE = "base"
DEFAULT_SIZES = {"hihello": "source"}


def sizes(task: Task, asked: Sequence[str]) -> list[str]:
    """Those that are asked for and that the task has; by default one."""
    default = DEFAULT_SIZES.get(task.name, DEFAULT_SIZE)
    if not asked:
        return [default if default in task.sizes else next(iter(task.sizes))]
    return [size for size in asked if size in task.sizes]


def phases(task: Task, asked: Sequence[str]) -> list[str]:
    """Those that are asked for and that the task can be measured in."""
    return [phase for phase in asked if task.phases is None or phase in task.phases]


def left_out(
    tasks: Sequence[str], asked_sizes: Sequence[str], asked_phases: Sequence[str]
) -> Iterator[str]:
    """What a task lacks of what is asked, in words that say what to do."""
    for task in map(TASKS.__getitem__, tasks):
        for kind, asked, taken, has in (
            ("size", asked_sizes, sizes(task, asked_sizes), task.sizes),
            ("phase", asked_phases, phases(task, asked_phases), task.phases or ()),
        ):
            if lacking := [one for one in asked if one not in taken]:
                yield (
                    f"{task.name} is left out of {kind} {' and '.join(lacking)}: it has "
                    f"{', '.join(has)} alone; expected --{kind}={','.join(has)}"
                )

"""The tasks: data, model and score of each, made from a seed. numpy only, no clock."""

from __future__ import annotations

from tasks.hihello import HiHello
from tasks.sentiment import Sentiment
from tasks.sin_sequence import SinSequence
from tasks.task import Task

TASKS: dict[str, Task] = {
    task.name: task for task in (HiHello(), SinSequence(), Sentiment())
}  # in the order in which they are listed and run


def find_task(name: str) -> Task:
    """The task of that name; an unknown one raises KeyError with the valid names."""
    if name not in TASKS:
        raise KeyError(f"task {name!r} is unknown; expected one of {', '.join(TASKS)}")
    return TASKS[name]

"""The tasks: data from a seed, a model and a score for each. numpy only, no clock."""

from __future__ import annotations

from tasks.custom import Custom
from tasks.hihello import HiHello
from tasks.sentiment import Sentiment
from tasks.sin_sequence import SinSequence
from tasks.task import Task

TASKS: dict[str, Task] = {
    task.name: task for task in (HiHello(), SinSequence(), Sentiment(), Custom())
}  # in the order of lists and runs
DEFAULT_TASKS = ("hihello", "sin_sequence", "sentiment")  # of a run that names no task

"""The smallest numbers that the data of a task allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tasks.task import Size, Task

LEAST: Mapping[str, Mapping[str, int]] = {
    "hihello": {"input": 5, "classes": 5},
    "sentiment": {"classes": 3},
    "charseq": {"input": 10, "classes": 10},
    "hello_batch": {"input": 4},
    "long_sentence": {"input": 35, "classes": 35},
    "multiplication": {"input": 2, "steps": 2},
    "pos_tagging": {"classes": 5},
    "copy": {"input": 9, "classes": 9, "steps": 2},
}


def least(task: str, option: str) -> int:
    return LEAST.get(task, {}).get(option, 1)


def enough(task: str, option: str, values: Sequence[int]) -> tuple[int, ...]:
    """Those of `values` that the task allows."""
    return tuple(value for value in values if value >= least(task, option))


def usual(task: Task) -> Size:
    """Its size "base", or the one that it has."""
    return task.sizes["base" if "base" in task.sizes else "source"]

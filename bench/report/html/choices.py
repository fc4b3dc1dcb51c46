"""What a user of the page chooses from: workloads and curves, by task, cell and so on. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.analysis import text
from bench.analysis.workload_view import WorkloadView, cell_in_words
from bench.records.workload import Workload

LONGEST_NAME = 80  # characters of a name; the records hold all of it

# From left to right: its name in the address, and on the page.
CHOICES = {
    "run": "Run",
    "task": "Task",
    "cell": "Cell",
    "phase": "Phase",
    "device": "Device",
    "dtype": "Arithmetic",
    "threads": "Threads",
    "size": "Size or curve",
}


def choice(run: str, workload: Workload, size: str) -> list[str]:
    """Its values in the order of CHOICES."""
    own = (workload.task, cell_in_words(workload), workload.phase, workload.device, workload.dtype)
    values = (*own, text.threads(workload.threads), size)
    return [run, *(text.plain(value, LONGEST_NAME) for value in values)]


def of_workloads(run: str, views: Sequence[WorkloadView]) -> Iterator[list[str]]:
    """One of each; where two were the same, a number follows the size."""
    taken: dict[tuple[str, ...], list[str]] = {}
    for view in views:
        *others, size = choice(run, view.workload, view.workload.label)
        sizes = taken.setdefault(tuple(others), [])
        sizes.append(text.numbered(size, sizes))
        yield [*others, sizes[-1]]

"""What a process used in the timed steps of one workload, by the counts of the system."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Usage:
    """Sums over all blocks of timed steps, of all threads of this process."""

    def __init__(self) -> None:
        self.cpu_seconds = self.wall_seconds = 0.0
        self._steps = self._faults = self._switches = 0

    @contextmanager
    def counted(self) -> Iterator[list[float]]:
        """Count what the block uses; it puts an item for each step into the list."""
        steps: list[float] = []
        before = resource.getrusage(resource.RUSAGE_SELF)
        cpu, wall = time.process_time(), time.perf_counter()
        yield steps
        self.wall_seconds += time.perf_counter() - wall
        self.cpu_seconds += time.process_time() - cpu
        after = resource.getrusage(resource.RUSAGE_SELF)
        self._faults += after.ru_minflt - before.ru_minflt
        self._switches += after.ru_nvcsw + after.ru_nivcsw - before.ru_nvcsw - before.ru_nivcsw
        self._steps += len(steps)

    def read(self) -> dict[str, float | None]:
        """Cores that were busy, and a step's page faults without disk access and context switches;
        None before the first step.
        """
        if not self._steps or not self.wall_seconds:
            return {"busy": None, "page_faults": None, "switches": None}
        return {
            "busy": self.cpu_seconds / self.wall_seconds,
            "page_faults": self._faults / self._steps,
            "switches": self._switches / self._steps,
        }

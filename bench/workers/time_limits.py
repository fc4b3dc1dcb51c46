"""How long one answer of a worker may take: by itself, and by its workload and the run."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from bench import signals
from bench.config.limits import Limits


class RunTimeUpError(Exception):
    """The time of the whole run is used up."""


@dataclass
class TimeLimits:
    """The clock of a run. It stands still while the run is suspended by Ctrl-Z."""

    limits: Limits
    _begin: float = field(default_factory=signals.awake_seconds)
    _begin_of_workload: float = math.inf  # none has begun

    def begin_run(self) -> None:
        self._begin = signals.awake_seconds()

    def run_seconds(self) -> float:
        """How long the run has taken until now."""
        return signals.awake_seconds() - self._begin

    def begin_workload(self) -> None:
        """Raises RunTimeUpError if the run has no time left."""
        self._begin_of_workload = signals.awake_seconds()
        self.expect_time()

    def expect_time(self) -> None:
        """Raises RunTimeUpError if the run has no time left."""
        if self._left(self._begin, self.limits.run_seconds) <= 0:
            raise RunTimeUpError(
                f"the {self.limits.run_seconds:g} s of the run are used up (--run-timeout)"
            )

    def of_answer(self, seconds: float) -> tuple[float, str]:
        """Of `seconds` for an answer, those that are left; and, if that is less, what limits them.

        Raises RunTimeUpError if the run has no time left.
        """
        self.expect_time()
        left = self._left(self._begin, self.limits.run_seconds)
        of_workload = self._left(self._begin_of_workload, self.limits.workload_seconds)
        if of_workload < min(left, seconds):
            return of_workload, f"{self.limits.workload_seconds:g} s of its workload"
        return min(left, seconds), ""

    @staticmethod
    def _left(begin: float, seconds: float) -> float:
        return math.inf if math.isinf(seconds) else seconds - (signals.awake_seconds() - begin)

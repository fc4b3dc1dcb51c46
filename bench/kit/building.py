"""How long the models of a check take to build and compile.

A framework may compile in the first call of a phase, and again for a batch of another shape. So the
first call with each shape counts as building.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Any

from bench.kit.subject import Subject

CALLS = ("answer", "loaded", "read_late")


class BuildingClock:
    """`bench.kit.subject.Subject`, which adds up the seconds of building in `seconds`."""

    def __init__(self, subject: Subject) -> None:
        self.name, self.device = subject.name, subject.device
        self.seconds = 0.0
        self._subject = subject
        self._shape: Any = None  # of the placed batch
        self._called: set[Any] = set()  # (phase, shape) of the present model
        self._first_seconds: float | None = None  # of the first training of the present model

    def consult(self, member: str, /, *arguments: Any, **options: Any) -> Any:
        return self._subject.consult(member, *arguments, **options)

    def about(self, dtype: str) -> tuple[Mapping[str, str], Sequence[str]]:
        return self._subject.about(dtype)

    def ask(self, dtype: str, operation: str, /, **arguments: Any) -> Any:
        if operation == "build":
            self._shape = _shape(arguments["batches"][0])
        elif operation == "renew":
            self._shape = _shape(arguments["batch"])
        begin = monotonic()
        answer = self._subject.ask(dtype, operation, **arguments)
        seconds = monotonic() - begin
        if operation == "build":
            self._called, self._first_seconds = set(), None
            self.seconds += answer  # the worker's seconds, without collecting its garbage
        elif operation in CALLS:
            call = arguments["phase"], self._shape
            if call not in self._called:
                self._called.add(call)
                self.seconds += seconds
        elif operation == "train" and arguments["steps"]:
            # All updates but the first take as long in the next training, which compiles nothing.
            if self._first_seconds is None:
                self._first_seconds = seconds
            else:
                self.seconds += max(0.0, self._first_seconds - seconds)
        return answer


def _shape(batch: Mapping[str, Any]) -> tuple[Any, ...]:
    """The name and the shape of each array."""
    return tuple((name, shape) for name, (_, shape, _) in batch.items())

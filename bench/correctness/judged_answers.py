"""Judges what the timed steps of one variant return, as its worker reports it during the rounds."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from bench.correctness.asked_model import Ask
from bench.correctness.oracle import Tensors
from bench.records.schema import Agreement
from bench.workers.seen_answers import SeenAnswer
from bench.workers.serialization import unpack

FIRST_LOOKS, FIRST_SECONDS = 8, 1.0  # before the first round; fewer if they take so long
LOOKS = 3  # before each block; the last timed step is looked at as well
MORE = 20  # once an answer was wrong: they show how often

DURING = "during the rounds"


class Judge(Protocol):
    """Judges the answers of one model."""

    count: int  # of answers so far

    def judge(self, looked: Sequence[SeenAnswer]) -> list[Agreement]:
        """The comparisons of these that are made at once."""
        ...

    def finish(self) -> list[Agreement]:
        """Those that wait until the rounds are over."""
        ...


@dataclasses.dataclass
class JudgedAnswers:
    """The answers of one model. `compare` compares one for batch number N with the oracle."""

    ask: Ask
    phase: str
    compare: Callable[[int, Tensors], Agreement]
    count: int = 0
    _wrong: int = 0
    _failures: dict[tuple[int, str], tuple[str, ...]] = dataclasses.field(default_factory=dict)
    _batches: set[int] = dataclasses.field(default_factory=set)

    def judge(self, looked: Sequence[SeenAnswer]) -> list[Agreement]:
        """The comparisons to keep: the first answer for each batch, and whatever is wrong.

        Equal bits to an answer that was right are right.
        """
        found = self._take(looked)
        if not any(each.failures for each in found):
            return found
        found += self._take(self.ask("look", phase=self.phase, looks=MORE, seconds=math.inf))
        often = f"{self._wrong} of {self.count} answers"
        return [
            msgspec.structs.replace(
                each, failures=tuple(f"{often} {failure}" for failure in each.failures)
            )
            for each in found
        ]

    def finish(self) -> list[Agreement]:
        """Nothing is left to compare."""
        return []

    def _take(self, looked: Sequence[SeenAnswer]) -> list[Agreement]:
        found = []
        for batch, digest, packed in looked:
            key = batch, digest
            if packed is not None:
                compared = self.compare(batch, unpack(packed))
                self._failures[key] = compared.failures
                if compared.failures or batch not in self._batches:
                    found.append(compared)
                self._batches.add(batch)
            self.count += 1
            self._wrong += bool(self._failures[key])
        return found

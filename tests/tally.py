"""What this session compared with the oracle: a check that passes on nothing is none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from bench.correctness.oracle import Reference


class Tally:
    """Counts of (model and batch, variant, tensor), each once however often it was asked for."""

    def __init__(self) -> None:
        self._compared: Counter[str] = Counter()  # by variant
        self._kept: Counter[str] = Counter()  # models, by dtype
        self._dropped: Counter[str] = Counter()  # models, by reason

    def kept(self, dtype: str) -> int:
        return self._kept[dtype]

    @property
    def dropped(self) -> int:
        return self._dropped.total()

    @property
    def compared(self) -> int:
        return self._compared.total()

    def keep(self, dtype: str) -> None:
        self._kept[dtype] += 1

    def drop(self, reason: str) -> None:
        self._dropped[reason] += 1

    def add(self, variant: str, expected: Reference) -> None:
        """One variant gave every tensor of `expected`."""
        self._compared[variant] += len(expected.tensors)

    def counts(self) -> dict[str, dict[str, int]]:
        """All of it, for another process."""
        return {
            "compared": dict(self._compared),
            "kept": dict(self._kept),
            "dropped": dict(self._dropped),
        }

    def merge(self, counts: Mapping[str, Mapping[str, int]]) -> None:
        """What another process counted, on top."""
        self._compared.update(counts.get("compared", {}))
        self._kept.update(counts.get("kept", {}))
        self._dropped.update(counts.get("dropped", {}))

    def lines(self, seconds: float) -> list[str]:
        """For the end of a session, its agreement shown after `seconds`; none without a count."""
        if not self._compared:
            return []
        models = ", ".join(f"{count} in {dtype}" for dtype, count in self._kept.items())
        each = ", ".join(f"{name} {count}" for name, count in self._compared.items())
        return [
            f"agreement: {self.compared} (model, variant, tensor) comparisons on {models} models"
            f" random or given; {self.dropped} left out as ill-conditioned",
            f"agreement: {each}",
            f"agreement: all of it shown after {seconds / 60:.1f} min",
        ]


TALLY = Tally()

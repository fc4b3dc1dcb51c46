"""What this session compared with the oracle: a check that passes on nothing is none."""

from __future__ import annotations

from collections import Counter

from bench.agreement import Reference


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

    def lines(self) -> list[str]:
        """For the end of a session; none where nothing was counted."""
        if not self._compared:
            return []
        models = ", ".join(f"{count} in {dtype}" for dtype, count in self._kept.items())
        each = ", ".join(f"{name} {count}" for name, count in self._compared.items())
        return [
            f"agreement: {self.compared} (model, variant, tensor) comparisons on {models} models"
            f" drawn or given; {self.dropped} left out as ill-conditioned",
            f"agreement: {each}",
        ]


TALLY = Tally()

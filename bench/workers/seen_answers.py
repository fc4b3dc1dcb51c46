"""What timed calls return, looked at during the rounds: each answer by its bits, and how often."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np

from bench.workers.serialization import Packed, pack

SeenAnswer = tuple[int, str, Packed | None]  # the batch, a digest, and the answer where it is new


class SeenAnswers:
    """The answers of one built model that were seen so far."""

    def __init__(self) -> None:
        self._seen: set[tuple[int, str]] = set()

    def take(self, batch: int, host: Mapping[str, np.ndarray]) -> SeenAnswer:
        """One answer for batch number `batch`; it is packed if its bits are new."""
        packed = pack(host)
        digest = hashlib.blake2b(digest_size=16)
        for name, (dtype, shape, data) in sorted(packed.items()):
            digest.update(f"{name} {dtype} {shape} ".encode())
            digest.update(data)
        key = batch, digest.hexdigest()
        new = key not in self._seen
        self._seen.add(key)
        return *key, packed if new else None

"""The limits of a run: how long it and its parts may take, and the memory of a worker."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from bench.config import validation

OF_WORKERS = ("worker-timeout", "workload-timeout", "max-memory")
_SIZE = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)([KMGT])(?:i?B)?", re.I | re.A)
_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
LEAST_BYTES = 2**20


@dataclass(frozen=True)
class Limits:
    """Seconds are infinite, and bytes None, where there is no limit."""

    answer_seconds: float  # for one answer of a worker
    workload_seconds: float = math.inf  # for one workload
    run_seconds: float = math.inf  # for the whole run
    memory_bytes: int | None = None  # for each worker


def read(config: pytest.Config, given: Sequence[str], serial: bool) -> Limits:
    """Raises ValueError that says what was expected and what came.

    `given` are the words of the command line. A serial run has no workers that could be limited.
    """
    names = {word.partition("=")[0].removeprefix("--") for word in given if word.startswith("--")}
    for name in OF_WORKERS if serial else ():
        if name in names:
            raise ValueError(f"--serial has no workers; expected no --{name} beside it")

    def value(name: str) -> str | None:
        found: str | None = config.getoption(name.replace("-", "_"))
        return found

    def seconds(name: str) -> float:
        text = value(name)
        return math.inf if text is None else validation.seconds(name, text)

    memory = value("max-memory")
    return Limits(
        answer_seconds=seconds("worker-timeout"),
        workload_seconds=seconds("workload-timeout"),
        run_seconds=seconds("run-timeout"),
        memory_bytes=None if memory is None else size("max-memory", memory),
    )


def size(name: str, text: str) -> int:
    """Bytes: "4G" and "4GiB" are 4 · 2**30."""
    found = _SIZE.fullmatch(text.strip())
    count = int(float(found[1]) * _UNITS[found[2].upper()]) if found else 0
    if count < LEAST_BYTES:
        raise ValueError(f"--{name} {text!r}: expected a size of at least 1M, such as 500M or 4G")
    return count

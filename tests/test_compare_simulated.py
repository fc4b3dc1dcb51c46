"""Runs whose truth is known, as noisy as a shared host: how often `compare` is right."""

from __future__ import annotations

import math

import numpy as np

from bench import compare
from bench.compare import Result
from bench.record import Offset
from bench.sides import Key, Sample, Side

PROCESSES, ROUNDS, TRIALS = 5, 30, 25
SCATTER, DRIFT, OFFSET = 0.12, 0.10, 0.024  # of a round, of the machine, between processes
VARIANTS = ("numpy", "torch", "jax", "keras-tensorflow")


def run(rng: np.random.Generator, slower: float = 0.0) -> Side:
    """Two cells in the same processes, whose offsets both have; `jax` slowed by a share."""
    entries = (*VARIANTS, "control:numpy", "floor:numpy")
    offsets = {name: OFFSET / math.sqrt(2) * rng.standard_normal(PROCESSES) for name in entries}
    cells = {}
    for cell in ("bptt[a]", "bptt[b]"):
        drift = DRIFT * rng.standard_normal((PROCESSES, ROUNDS))
        cells[Key(cell, 2)] = {
            name: entry(rng, name, offsets[name], drift, slower) for name in entries
        }
    return Side("run", cells, "", "", "", offset=Offset(spread=OFFSET, degrees=42.0))


def entry(
    rng: np.random.Generator, name: str, offset: np.ndarray, drift: np.ndarray, slower: float
) -> Sample:
    """`offset` is (K,) and `drift` (K, rounds), both of log seconds."""
    logs = offset[:, None] + drift + SCATTER * rng.standard_normal(drift.shape)
    seconds = np.exp(logs) * (1 + slower if name == "jax" else 1)
    role, _, of = name.rpartition(":")
    return Sample(
        name=of,
        program="floor:" if role == "floor" else of,
        processes=tuple(seconds),
        variant=not role,
        floor=role == "floor",
    )


def called(result: Result) -> set[str]:
    found = [(change.base.name, change.judged) for change in result.changes]
    found += list(result.variants.items())
    return {name for name, judged in found if judged.verdict in ("slower", "faster")}


def test_equal_runs_are_equal_and_a_tenth_is_named_alone() -> None:
    rng = np.random.default_rng(0)
    alarms, alone, held = 0, 0, []
    for _ in range(TRIALS):
        base = run(rng)
        equal, slowed = (compare.compare(base, run(rng, share)) for share in (0.0, 0.1))
        alarms += bool(called(equal))
        alone += called(slowed) == {"jax"}
        judged = [change.judged for change in equal.changes] + list(equal.variants.values())
        intervals = [comparison.estimate.interval for comparison in judged]
        held += [low <= 1 <= high for low, high in intervals]
    assert len(held) == TRIALS * len(VARIANTS) * 3  # two cells, and both together
    assert np.mean(held) >= 0.93
    assert alarms <= 3
    assert alone >= 20

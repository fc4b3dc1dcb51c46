"""Runs whose truth is known, as noisy as a shared host: how often `compare` is right."""

from __future__ import annotations

import math

import numpy as np

from bench.compare import changes, power
from bench.compare.changes import Result
from bench.compare.runs import RunData, Sample, WorkloadKey
from bench.records.schema import BetweenProcess, Role

PROCESSES, ROUNDS, TRIALS = 5, 30, 25
SCATTER, DRIFT, DEVIATION = 0.12, 0.10, 0.024  # of a round, of the machine, between processes
VARIANTS = ("numpy", "torch", "jax", "keras-tensorflow")


def run(rng: np.random.Generator, slower: float = 0.0) -> RunData:
    """Two workloads in the same processes, which both deviate; `jax` slowed by a share."""
    roles: dict[str, Role] = dict.fromkeys(VARIANTS, "variant")
    roles |= {"control:numpy": "control", "gemm baseline:numpy": "gemm baseline"}
    lasting = {name: DEVIATION / math.sqrt(2) * rng.standard_normal(PROCESSES) for name in roles}
    workloads = {}
    for task in ("a", "b"):
        drift = DRIFT * rng.standard_normal((PROCESSES, ROUNDS))
        workloads[WorkloadKey(phase="bptt", task=task, threads=2)] = {
            name: sample(rng, name, role, lasting[name][:, None] + drift, slower)
            for name, role in roles.items()
        }
    between = BetweenProcess(deviation=DEVIATION, degrees=42.0)
    return RunData("run", workloads, "", "", "", between_process=between)


def sample(
    rng: np.random.Generator, name: str, role: Role, drift: np.ndarray, slower: float
) -> Sample:
    """`drift` is (K, rounds), of log seconds: of the machine and of the process."""
    logs = drift + SCATTER * rng.standard_normal(drift.shape)
    seconds = np.exp(logs) * (1 + slower if name == "jax" else 1)
    of = name.rpartition(":")[2]
    program = role if role == "gemm baseline" else of
    return Sample(name=of, program=program, processes=tuple(seconds), role=role)


def called(result: Result) -> set[str]:
    found = [(change.base.name, change.judged) for change in result.changes]
    found += list(result.variants.items())
    return {name for name, judged in found if judged.verdict in ("slower", "faster")}


def test_equal_runs_are_equal_and_a_tenth_is_named_alone() -> None:
    rng = np.random.default_rng(0)
    alarms, alone, held = 0, 0, []
    for _ in range(TRIALS):
        base = run(rng)
        equal, slowed = (changes.compare(base, run(rng, share)) for share in (0.0, 0.1))
        alarms += bool(called(equal))
        alone += called(slowed) == {"jax"}
        judged = [change.judged for change in equal.changes] + list(equal.variants.values())
        intervals = [comparison.estimate.interval for comparison in judged]
        held += [low <= 1 <= high for low, high in intervals]
    assert len(held) == TRIALS * len(VARIANTS) * 3  # two workloads, and both together
    assert np.mean(held) >= 0.93
    assert alarms <= 3
    assert alone >= 20


def test_what_it_says_that_two_runs_show_they_show() -> None:
    rng = np.random.default_rng(1)
    base, equal = run(rng), run(rng)
    result = changes.compare(base, equal)
    least = next(each.least for each in power.of(result, ["a"] * len(result.changes))
                 if each.variant == "jax" and not each.workload)  # fmt: skip
    assert 1.03 < least < 1.2
    found = []
    for _ in range(2 * TRIALS):
        result = changes.compare(run(rng), run(rng, least - 1))
        found.append(result.variants["jax"].verdict == "slower")
    assert 0.65 <= np.mean(found) <= 0.95  # 80 %

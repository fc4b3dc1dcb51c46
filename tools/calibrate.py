"""Measures the errors of correct programs and of mutants, in bounds.

    python -m tools.calibrate --models 200 --backend torch,jax
    python -m tools.calibrate --dtype bfloat16

Prints the tables of docs/agreement.md. The first row is the numpy backend with tanh and exp off by
up to four ulp and its sums in random order: the least accurate program that still counts as
correct.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backends import registry
from bench import ROOT
from bench.correctness import tolerances
from bench.correctness.arithmetics import Functions
from bench.kit.case import CaseSpec
from bench.kit.conditioning import pair_of_cases
from bench.kit.examine import ADAM, SGD, TRAIN_STEPS, examine, examine_training
from bench.kit.fixed_cases import fixed_cases, training_cases
from bench.kit.strategy import random_cases
from bench.kit.subject import Subject, phases, unsupported
from bench.records.schema import Agreement
from bench.workers.process import WorkerError
from tasks.spec import CELLS, ModelSpec

sys.path.append(str(ROOT / "tests"))  # the folder of the mutants

import asked
import mutants_of_the_cell
import mutants_of_the_step
from in_process import InProcess
from mutations import Mutant, Mutation

ULP = 2.0**-23
FUNCTION_ULPS = 4


class Sloppy(Functions):
    """numpy in float32 with functions off by up to FUNCTION_ULPS and with shuffled sums."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(0)

    def tanh(self, a: np.ndarray, out: np.ndarray) -> np.ndarray:
        return self._off(np.tanh(a, out=out))

    def exp(self, a: np.ndarray, out: np.ndarray) -> np.ndarray:
        return self._off(np.exp(a, out=out))

    def _off(self, a: np.ndarray) -> np.ndarray:
        if a.dtype == np.float32:
            a *= 1 + FUNCTION_ULPS * ULP * self._rng.uniform(-1, 1, a.shape)
        return a

    def dot(self, a: np.ndarray, b: np.ndarray, out: Any = None) -> np.ndarray:
        order = self._rng.permutation(a.shape[-1])
        return np.matmul(np.ascontiguousarray(a[..., order]), b[order], out=out)

    matmul = dot


@dataclass
class Seen:
    """Errors in bounds, one per kind of tensor and comparison."""

    severities: list[float] = field(default_factory=list)
    beyond: list[str] = field(default_factory=list)

    def add(self, case: CaseSpec, found: list[Agreement]) -> None:
        for each in found:
            self.severities += [e.severity for k, e in each.kinds.items() if k != "parameters"]
            self.beyond += [f"{failure} in {case.code()}" for failure in each.failures]


LONG = {"steps": 500, "batch": 4}
LONG_SEEDS = 10
EXACTLY = "float32"  # what a mutant computes in that claims bfloat16: only its fault is off


class Claimed(Mutant):
    """A mutant that computes bfloat16 in EXACTLY."""

    def refusal(self, spec: ModelSpec, *, device: str, dtype: str, phase: str) -> str | None:
        return super().refusal(spec, device=device, dtype=_exactly(dtype), phase=phase)

    def build(self, *given: Any, dtype: str, **options: Any) -> Any:
        return super().build(*given, dtype=_exactly(dtype), **options)


def _exactly(dtype: str) -> str:
    return EXACTLY if dtype == "bfloat16" else dtype


def correct(subject: Subject, cases: list[CaseSpec], dtype: str) -> Seen:
    seen = Seen()
    for case in cases:
        chosen = tuple(p for p in phases(subject, case.spec, dtype) if p != "train_step")
        if chosen and unsupported(subject, case, dtype) is None:
            seen.add(case, examine(subject, case, dtype, chosen))
    return seen


def trained(subject: Subject, dtype: str) -> Seen:
    """After TRAIN_STEPS updates of each cell, with Adam and SGD."""
    seen = Seen()
    for case in training_cases(0):
        usable = not isinstance(pair_of_cases(case, dtype), str)
        if usable and "train_step" in phases(subject, case.spec, dtype):
            for optimizer in (ADAM, SGD):
                seen.add(case, examine_training(subject, dtype, optimizer, case))
    return seen


def long_cases(dtype: str) -> list[CaseSpec]:
    """Each cell over T 500 with LONG_SEEDS seeds, as far as these are well-conditioned."""
    specs = [ModelSpec(cell, input_size=8, hidden_size=16, output_size=3) for cell in CELLS]
    cases = [CaseSpec(s, seed=seed, **LONG) for s in specs for seed in range(LONG_SEEDS)]
    return _kept(cases, dtype, "models over T 500")


def nearest_mutant(name: str, cell: str, mutation: Mutation, dtype: str) -> float:
    """The mutant's largest error, in bounds, over the fixed cases.

    Where that does not tell it, it is trained on the first TRAINED of them.
    """
    subject, largest = InProcess(Claimed(name, mutation)), 0.0
    usable = [
        case for case in fixed_cases(0, (cell,)) if not isinstance(pair_of_cases(case, dtype), str)
    ]
    try:
        for case in usable:
            largest = max(largest, *_severities(examine(subject, case, dtype, FIRST)))
        for case in usable[:TRAINED]:
            if largest <= 1:
                found = examine_training(subject, dtype, ADAM, case)
                largest = max(largest, *_severities(found))
    except WorkerError:
        return float("inf")
    return largest


FIRST = ("forward", "bptt")
TRAINED = 3


def _severities(found: list[Agreement]) -> list[float]:
    return [error.severity for each in found for error in each.kinds.values()]


def well_conditioned(dtype: str, models: int, seed: int) -> list[CaseSpec]:
    return _kept(random_cases(seed, models), dtype, "random models")


def _kept(cases: list[CaseSpec], dtype: str, what: str) -> list[CaseSpec]:
    reasons = Counter(why for case in cases if isinstance(why := pair_of_cases(case, dtype), str))
    kept = [case for case in cases if not isinstance(pair_of_cases(case, dtype), str)]
    print(f"{dtype}: {len(kept)} of {len(cases)} {what} are well-conditioned")
    for why, count in reasons.items():
        print(f"  left out {count}: {why}")
    print(flush=True)
    return kept


def row(name: str, seen: Seen) -> str:
    s = np.array(seen.severities)
    numbers = f"{np.median(s):.3f} | {np.quantile(s, 0.99):.2f} | {s.max():.2f}"
    return f"| {name} | {len(s)} | {numbers} | {len(seen.beyond)} |"


def show(name: str, seen: Seen) -> None:
    if seen.severities:
        print(row(name, seen), flush=True)
    for failure in seen.beyond:
        print(f"  {failure}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--backend", default="")
    parser.add_argument("--dtype", default="float32,float64")
    parser.add_argument("--mutants", choices=("too", "only", "no"), default="too")
    options = parser.parse_args()
    names = options.backend.split(",") if options.backend else asked.VARIANTS
    for dtype in options.dtype.split(","):
        if options.mutants != "only":
            of_variants(names, dtype, options.models, options.seed)
        if options.mutants != "no":
            of_mutants(dtype)


def of_variants(names: Sequence[str], dtype: str, models: int, seed: int) -> None:
    chosen = well_conditioned(dtype, models, seed)
    long = long_cases(dtype) if dtype == "bfloat16" else []
    print("| correct program | errors | median | 99 % | largest | beyond |")
    print("|---|---|---|---|---|---|")
    if dtype == "float32":
        show("sloppy numpy", correct(sloppy_subject(), chosen, dtype))
    for pool in asked.opened():
        for name in names:
            if registry.missing(registry.find(name)):
                continue
            subject = asked.subject(pool, name)
            show(name, correct(subject, chosen, dtype))
            if long:
                show(f"{name}, T 500", correct(subject, long, dtype))
                show(f"{name}, {TRAIN_STEPS} updates", trained(subject, dtype))
    print()


def of_mutants(dtype: str) -> None:
    every = mutants_of_the_cell.MUTANTS | mutants_of_the_step.MUTANTS
    found = {}
    for name, (cell, mutation, _) in every.items():
        found[name] = nearest_mutant(name, cell, mutation, dtype)
    print("| mutant | largest error, in bounds |\n|---|---|")
    for name, largest in sorted(found.items(), key=lambda item: item[1]):
        print(f"| {name} | {largest:.2g} |")
    rejected = sum(largest > 1 for largest in found.values())
    print(f"\n{dtype}: {rejected} of {len(found)} mutants are rejected\n", flush=True)


def sloppy_subject() -> InProcess:
    # The oracle's own runs are cached by now: only the subject is inaccurate.
    return InProcess(Mutant("sloppy numpy", Mutation(ops=Sloppy())))


if __name__ == "__main__":
    assert tolerances.SHAKES, "the table is about the rule with a shaken float32 reference error"
    main()

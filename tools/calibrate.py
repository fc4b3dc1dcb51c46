"""Measures the errors of correct programs and of mutants, in bounds.

    python -m tools.calibrate --models 200 --backend torch,jax

Prints the tables of docs/agreement.md. The first row is the numpy backend with tanh and exp off by
up to four ulp and its sums in random order: the least accurate program that still counts as
correct.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import numpy as np

from backends import registry
from backends.numpy import cells, net, scan
from bench import ROOT
from bench.correctness import tolerances
from bench.kit.case import CaseSpec
from bench.kit.conditioning import pair_of_cases
from bench.kit.examine import ADAM, examine, examine_training
from bench.kit.fixed_cases import fixed_cases
from bench.kit.strategy import random_cases
from bench.kit.subject import Subject, phases
from bench.records.schema import Agreement
from bench.workers.process import WorkerError

sys.path.append(str(ROOT / "tests"))  # the folder of the mutants

import asked
import mutants_of_the_cell
import mutants_of_the_step
from in_process import InProcess
from mutations import Mutant, Mutation

ULP = 2.0**-23
FUNCTION_ULPS = 4


class Sloppy:
    """numpy in float32 with functions off by up to FUNCTION_ULPS and with shuffled sums."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(0)

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

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


@contextlib.contextmanager
def sloppy() -> Iterator[None]:
    made = Sloppy()
    with (
        mock.patch.object(cells, "np", made),
        mock.patch.object(net, "np", made),
        mock.patch.object(scan, "np", made),
    ):
        yield


@dataclass
class Seen:
    """Errors in bounds, one per kind of tensor and comparison."""

    severities: list[float] = field(default_factory=list)
    beyond: list[str] = field(default_factory=list)

    def add(self, case: CaseSpec, found: list[Agreement]) -> None:
        for each in found:
            self.severities += [e.severity for k, e in each.kinds.items() if k != "parameters"]
            self.beyond += [f"{failure} in {case.code()}" for failure in each.failures]


def correct(subject: Subject, cases: list[CaseSpec], dtype: str) -> Seen:
    seen = Seen()
    for case in cases:
        chosen = tuple(p for p in phases(subject, case.spec, dtype) if p != "train_step")
        if chosen:
            seen.add(case, examine(subject, case, dtype, chosen))
    return seen


def nearest_mutant(name: str, cell: str, mutation: Mutation, dtype: str) -> float:
    """The mutant's largest error, in bounds, over the fixed cases."""
    subject, largest = InProcess(Mutant(name, mutation)), 0.0
    for case in fixed_cases(0, (cell,)):
        try:
            found = examine(subject, case, dtype, ("forward", "bptt"))
            found += examine_training(subject, dtype, ADAM, case)
        except WorkerError:
            return float("inf")
        severities = [e.severity for each in found for e in each.kinds.values()]
        largest = max(largest, *severities)
    return largest


def well_conditioned(dtype: str, models: int, seed: int) -> list[CaseSpec]:
    cases = random_cases(seed, models)
    kept = [case for case in cases if not isinstance(pair_of_cases(case, dtype), str)]
    print(f"{dtype}: {len(kept)} of {len(cases)} random models are well-conditioned\n")
    return kept


def row(name: str, seen: Seen) -> str:
    s = np.array(seen.severities)
    numbers = f"{np.median(s):.3f} | {np.quantile(s, 0.99):.2f} | {s.max():.2f}"
    return f"| {name} | {len(s)} | {numbers} | {len(seen.beyond)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--backend", default="")
    options = parser.parse_args()
    names = options.backend.split(",") if options.backend else asked.VARIANTS
    for dtype in ("float32", "float64"):
        chosen = well_conditioned(dtype, options.models, options.seed)
        print("| correct program | errors | median | 99 % | largest | beyond |")
        print("|---|---|---|---|---|---|")
        if dtype == "float32":
            print(row("sloppy numpy", correct(sloppy_subject(), chosen, dtype)), flush=True)
        for pool in asked.opened():
            for name in names:
                if registry.missing(registry.find(name)):
                    continue
                seen = correct(asked.subject(pool, name), chosen, dtype)
                if seen.severities:
                    print(row(name, seen), flush=True)
                for failure in seen.beyond:
                    print(f"  {failure}")
        print()
        every = mutants_of_the_cell.MUTANTS | mutants_of_the_step.MUTANTS
        found = {n: nearest_mutant(n, c, m, dtype) for n, (c, m, _) in every.items()}
        print("| mutant | largest error, in bounds |\n|---|---|")
        for name, largest in sorted(found.items(), key=lambda item: item[1]):
            print(f"| {name} | {largest:.2g} |")
        print()


def sloppy_subject() -> InProcess:
    # The oracle's own runs are cached by now: only the subject is inaccurate.
    return InProcess(Mutant("sloppy numpy", Mutation(within=sloppy)))


if __name__ == "__main__":
    assert tolerances.SHAKES, "the table is about the rule with a shaken float32 reference error"
    main()

"""Which models a variant is asked about: those of the plan, or the nearest that it takes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from backends.interface import PHASES
from bench.kit.case import CaseSpec
from bench.kit.conditioning import pair_of_cases, reference_case
from bench.kit.covering import Pair, all_pairs, hides, infeasible_pairs, levels_of, pairs_of
from bench.kit.findings import Findings, Pairs
from bench.kit.fixed_cases import fixed_cases, training_cases
from bench.kit.plan import Plan
from bench.kit.shrink import nearest
from bench.kit.strategy import random_cases
from bench.kit.subject import Subject, carries, phases, refusal, streams, unsupported

Asked = tuple[CaseSpec, str]  # a case and its dtype

MORE = 4  # as many random cases are drawn for each that is asked


class Models:
    """The models for one subject. What it refuses, and which cases are dropped, is recorded."""

    def __init__(self, subject: Subject, plan: Plan, findings: Findings) -> None:
        self._subject, self._plan, self._findings = subject, plan, findings
        self._asked: set[Asked] = set()  # with a seed of 0

    def phases(self, case: CaseSpec, dtype: str) -> tuple[str, ...]:
        return phases(self._subject, case.spec, dtype)

    def takes_any(self, dtype: str) -> bool:
        """Whether it computes anything in this dtype."""
        taken: dict[str, bool] = {}
        for case in fixed_cases(self._plan.seed, self._plan.cells):
            self._keep_refusals(case, dtype)
            cell = case.spec.cell
            if cell not in taken:
                taken[cell] = self._fitted(case, dtype, "forward", "bptt") is not None
        return any(taken.values()) or next(self.training(dtype, stateful=False), None) is not None

    def fixed(self, dtypes: Sequence[str]) -> list[Asked]:
        """The fixed cases for each dtype; each model once, however many of them lead to it."""
        found = []
        for case in fixed_cases(self._plan.seed, self._plan.cells):
            for dtype in dtypes:
                fitted = self._fitted(case, dtype, "forward", "bptt")
                if fitted is not None and self._new(fitted, dtype) and self._tells(fitted, dtype):
                    found.append((fitted, dtype))
        return found

    def random(self, dtypes: Sequence[str]) -> Iterator[Asked]:
        """`plan.models` further models for each dtype, none of which differs in its seed alone."""
        left = dict.fromkeys(dtypes, self._plan.models)
        for case in random_cases(self._plan.seed, MORE * self._plan.models, self._plan.cells):
            for dtype in dtypes:
                if not left[dtype]:
                    continue
                fitted = self._fitted(case, dtype, "forward", "bptt")
                if fitted is not None and self._new(fitted, dtype) and self._tells(fitted, dtype):
                    left[dtype] -= 1
                    yield fitted, dtype

    def training(self, dtype: str, *, stateful: bool) -> Iterator[CaseSpec]:
        """One model per cell that it can train; a single one twice, so that both optimizers run.

        If `stateful`, those that it trains with the state carried on.
        """
        found = []
        for case in training_cases(self._plan.seed, self._plan.cells, both=not stateful):
            if stateful:
                fitted = case if carries(self._subject, case.spec, dtype) else None
            else:
                fitted = self._fitted(case, dtype, "train_step")
            if fitted is not None and not isinstance(reference_case(fitted, dtype), str):
                found.append(fitted)
                yield fitted
        yield from found if len(found) == 1 else ()

    def with_rows(self, models: Sequence[Asked]) -> list[Asked]:
        """Of these, one with several rows for each cell and dtype, whose levels hide nothing."""
        found: dict[tuple[str, str], Asked] = {}
        for case, dtype in sorted(models, key=lambda asked: _hides(asked[0])):
            if case.batch > 1 and refusal(self._subject, case.spec, dtype, "forward") is None:
                found.setdefault((case.spec.cell, dtype), (case, dtype))
        return list(found.values())

    def with_streams(self, models: Sequence[Asked]) -> list[Asked]:
        """Of these, for each cell and dtype a net of one layer and one of several, if they stream.

        Those whose levels hide nothing come first.
        """
        found: dict[tuple[str, str, bool], Asked] = {}
        for case, dtype in sorted(models, key=lambda asked: _hides(asked[0])):
            spec, plain = case.spec, case.lengths is None and case.steps > 1
            if plain and not spec.dropout and streams(self._subject, spec, dtype):
                found.setdefault((spec.cell, dtype, spec.num_layers > 1), (case, dtype))
        return list(found.values())

    def pairs(self, asked: Sequence[Asked]) -> Pairs:
        """How many pairs of levels these models have, in each dtype alike."""
        cells = self._plan.cells
        infeasible = infeasible_pairs(cells)
        feasible = all_pairs(cells) - set(infeasible)
        had: dict[str, set[Pair]] = {}
        for case, dtype in asked:
            had.setdefault(dtype, set()).update(pairs_of(levels_of(case)))
        covered = set.intersection(*had.values()) & feasible if had else set()
        return Pairs(len(feasible), len(covered), len(infeasible))

    def _fitted(self, case: CaseSpec, dtype: str, *needs: str) -> CaseSpec | None:
        """The case, or the nearest one that it takes for a phase of `needs`."""
        self._keep_refusals(case, dtype)

        def taken(case: CaseSpec) -> bool:
            if unsupported(self._subject, case, dtype) is not None:
                return False
            return any(refusal(self._subject, case.spec, dtype, phase) is None for phase in needs)

        return nearest(case, taken)

    def _keep_refusals(self, case: CaseSpec, dtype: str) -> None:
        for phase in PHASES:
            reason = refusal(self._subject, case.spec, dtype, phase)
            reason = reason or unsupported(self._subject, case, dtype)
            if reason is not None:
                self._findings.refuse(reason, case.spec.cell, dtype, phase)

    def _new(self, case: CaseSpec, dtype: str) -> bool:
        """Whether no model before differs from it in its seed alone."""
        key = dataclasses.replace(case, seed=0), dtype
        new = key not in self._asked
        self._asked.add(key)
        return new

    def _tells(self, case: CaseSpec, dtype: str) -> bool:
        """Whether the case is well-conditioned; counts those that are not."""
        why = pair_of_cases(case, dtype)
        if isinstance(why, str):
            self._findings.dropped[why] += 1
        return not isinstance(why, str)


def _hides(case: CaseSpec) -> tuple[bool, bool]:
    """Sorts first what hides nothing, and of these what takes numbers: no token is extreme."""
    return hides(levels_of(case)), case.spec.vocab_size is not None

"""The kit as pytest tests, for the repository of a plugin. In a test file there:

    from bench.kit.conformance import conformance

    TestConformance = conformance("NAME")

Then `pytest` runs the same checks as `rnnbench check NAME`, in the same time.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest

from bench.kit.ask import check, missing
from bench.kit.findings import Findings
from bench.kit.plan import CHECKS, SHORT
from tasks.spec import CELLS


def conformance(
    name: str, *, cells: Sequence[str] = CELLS, seed: int = 0, device: str = "cpu"
) -> type:
    """A test class for the variant: one test per check, and one that something was compared."""

    class TestConformance:
        @pytest.fixture(scope="class")
        def findings(self) -> Findings:
            absent = missing(name)
            if absent:
                pytest.skip(absent)
            plan = dataclasses.replace(SHORT, seed=seed, cells=tuple(cells))
            return check(name, device=device, plan=plan)

        @pytest.mark.parametrize("part", CHECKS)
        def test_nothing_is_wrong(self, findings: Findings, part: str) -> None:
            wrong = [failure for failure in findings.failures if failure.check == part]
            if wrong:
                pytest.fail("\n".join(findings.describe(wrong[0])), pytrace=False)
            if not any(line.models for (made, _), line in findings.lines.items() if made == part):
                reasons = "; ".join(findings.refusals) or "it was interrupted"
                pytest.skip(f"{part}: not checked: {reasons}")

        def test_something_was_compared(self, findings: Findings) -> None:
            assert findings.tensors, f"{name} refuses everything: {'; '.join(findings.refusals)}"
            assert findings.complete, f"{findings.unasked} models were not asked"

    return TestConformance

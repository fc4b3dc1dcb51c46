"""The kit as tests, for the repository of a plugin. In a test file there:

    from bench.check.suite import conformance

    TestConformance = conformance("NAME")

and `pytest` runs what `rnnbench check NAME` runs, in as long.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest

from backends import registry
from bench.check.ask import check
from bench.check.kit import CHECKS, SHORT
from bench.check.report import Report
from bench.check.show import told
from tasks.spec import CELLS


def conformance(
    name: str, *, cells: Sequence[str] = CELLS, seed: int = 0, device: str = "cpu"
) -> type:
    """A test class for the variant of that name: a test a check, and one that counts."""

    class TestConformance:
        @pytest.fixture(scope="class")
        def report(self) -> Report:
            entry = registry.find(name)
            missing = None if entry.plugin else entry.missing()
            if missing:
                pytest.skip(missing)
            plan = dataclasses.replace(SHORT, seed=seed, cells=tuple(cells))
            return check(name, device=device, plan=plan)

        @pytest.mark.parametrize("part", CHECKS)
        def test_nothing_is_wrong(self, report: Report, part: str) -> None:
            wrong = [failure for failure in report.failures if failure.check == part]
            if wrong:
                pytest.fail("\n".join(told(report, wrong[0], 1)), pytrace=False)
            if not any(line.models for (made, _), line in report.lines.items() if made == part):
                reasons = "; ".join(report.refusals) or "the time was up"
                pytest.skip(f"{part}: not checked: {reasons}")

        def test_something_was_compared(self, report: Report) -> None:
            assert report.tensors, f"{name} refuses everything: {'; '.join(report.refusals)}"

    return TestConformance

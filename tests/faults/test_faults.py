"""Each fault of the kit: nothing is lost, nothing is left, and what is printed is documented."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from kit import Fault
from table import GROUPS, PAGE, page

IN_THIS_PROCESS = ("Machines", "Names and texts of others")  # no run: `make test` has them


def _parameters() -> Iterator[object]:
    for title, faults in GROUPS.items():
        for fault in faults:
            marks = [] if title in IN_THIS_PROCESS else [pytest.mark.slow]
            marks += [pytest.mark.prove] * fault.prove
            yield pytest.param(fault, id=fault.name, marks=marks)


@pytest.mark.parametrize("fault", list(_parameters()))
def test_a_fault(fault: Fault, tmp_path: Path) -> None:
    happened = fault.do(tmp_path)
    assert happened.code == fault.code, happened.output
    assert fault.says in happened.output, happened.output
    assert happened.lost == []
    assert happened.left == []
    assert "Traceback" not in happened.output, happened.output
    assert "INTERNALERROR" not in happened.output, happened.output


def test_the_page_lists_every_fault() -> None:
    assert PAGE.read_text() == page(), "PYTHONPATH=.:tests python tests/faults/table.py"


def test_there_are_many_faults_and_no_name_comes_twice() -> None:
    names = [fault.name for faults in GROUPS.values() for fault in faults]
    assert len(names) == len(set(names)) >= 40

"""docs/reliability.md: every fault of the kit, and what comes of it.

python tests/faults/table.py
"""

from __future__ import annotations

from pathlib import Path

import faults_of_backends
import faults_of_disks
import faults_of_machines
import faults_of_neighbours
import faults_of_records
import faults_of_signals
import faults_of_text
from kit import Fault

from bench import ROOT
from bench.analysis import text

PAGE = ROOT / "docs" / "reliability.md"
GROUPS: dict[str, list[Fault]] = {
    "Backends": faults_of_backends.FAULTS,
    "Signals": faults_of_signals.FAULTS,
    "Neighbours": faults_of_neighbours.FAULTS,
    "Disks": faults_of_disks.FAULTS,
    "Records": faults_of_records.FAULTS,
    "Machines": faults_of_machines.FAULTS,
    "Names and texts of others": faults_of_text.FAULTS,
}
HEAD = (Path(__file__).parent / "head.md").read_text()
COLUMNS = ("fault", "made by", "exit status", "printed, or in the report")


def page() -> str:
    parts = [HEAD.replace("COUNT", str(sum(map(len, GROUPS.values()))))]
    for title, faults in GROUPS.items():
        rows = [
            (
                text.escape(fault.what) + (" (`make prove`)" if fault.prove else ""),
                text.escape(fault.means),
                "-" if fault.code is None else str(fault.code),
                text.escape(fault.says) or "nothing",
            )
            for fault in faults
        ]
        parts.append(f"## {title}\n\n{text.table(COLUMNS, rows)}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page())

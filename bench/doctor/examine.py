"""Every check of `rnnbench doctor`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from bench.doctor import of_machine, of_setup
from bench.doctor.finding import Finding

Check = Callable[[], Finding | None]  # None: it does not apply to this machine

OF_MACHINE: tuple[Check, ...] = (
    of_machine.background_load,
    of_machine.cores,
    of_machine.hardware_threads,
    of_machine.pinning,
    of_machine.governor,
    of_machine.power,
    of_machine.memory,
    of_machine.timer,
    of_machine.python_build,
    of_machine.gpu,
)


def examine(reports: Path) -> Iterator[Finding]:
    """The finding of each check that applies here; `reports` is where a run would write."""
    for check in OF_MACHINE:
        if (found := check()) is not None:
            yield found
    yield from of_setup.variables()
    yield from of_setup.frameworks()
    yield of_setup.selftest()
    yield of_setup.folder(reports)

"""The machine of a run, in words. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from bench.analysis import text
from bench.records.schema import Machine, Run


@dataclass(frozen=True)
class MachineView:
    """The machine by its parts."""

    processor: str
    cores: str
    memory: str
    gpus: tuple[str, ...]
    system: str
    python: str
    governor: str  # empty if unknown
    pinning: bool
    environment: str  # variables that may change numbers; empty if there are none
    memory_limit: str  # of each worker; empty: none


def view(run: Run) -> MachineView:
    """The machine of a run, escaped."""
    machine = run.machine
    return MachineView(
        processor=text.escape(machine.cpu),
        cores=_cores(run.machine),
        memory=f"{machine.memory_bytes / 2**30:.1f} GiB",
        gpus=tuple(map(text.escape, machine.gpus)),
        system=text.escape(machine.system),
        python=text.escape(machine.python),
        governor=text.escape(machine.governor),
        pinning=machine.pinning,
        environment=text.listing(f"{name}={value}" for name, value in run.environment.items()),
        memory_limit=text.escape(run.memory_limit),
    )


def _cores(machine: Machine) -> str:
    """ "8 cores", and what holds back others."""
    parts = [text.plural(machine.cores, "core")]
    if machine.slow_cores:
        parts.append(f"without {text.plural(machine.slow_cores, 'slower one')}")
    if machine.quota_cores is not None:
        parts.append(f"with a CPU quota of {machine.quota_cores:.2g} cores")
    return " ".join(parts)

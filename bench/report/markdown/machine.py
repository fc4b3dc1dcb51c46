"""The machine of a run, in words. Pure."""

from __future__ import annotations

from collections.abc import Collection
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
    bfloat16: str  # how this CPU computes it; empty where the run does not ask


def view(run: Run, dtypes: Collection[str] = ()) -> MachineView:
    """The machine of a run in these dtypes, escaped."""
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
        bfloat16=bfloat16_in_words(run) if "bfloat16" in dtypes else "",
    )


def bfloat16_in_words(run: Run) -> str:
    """How its CPU computes bfloat16; empty if unknown."""
    if run.bfloat16 is None:
        return ""
    if not run.bfloat16:
        return "computed in software: this processor has no instructions for it"
    return f"this processor has instructions for it ({text.listing(run.bfloat16)})"


def _cores(machine: Machine) -> str:
    """ "8 cores", and what holds back others."""
    parts = [text.plural(machine.cores, "core")]
    if machine.slow_cores:
        parts.append(f"without {text.plural(machine.slow_cores, 'slower one')}")
    if machine.quota_cores is not None:
        parts.append(f"with a CPU quota of {machine.quota_cores:.2g} cores")
    return " ".join(parts)

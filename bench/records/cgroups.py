"""The CPU quota of this process, which cgroups of either version set, and how often it was reached.

A quota holds for the group of the process and for every group around it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")
_OF_PROCESS = Path("/proc/self/cgroup")


def quota(groups: Path = _GROUPS, of_process: Path = _OF_PROCESS) -> float | None:
    """The least quota, in cores, which may be a fraction of one; None without a limit."""
    found = [each for group in _own(groups, of_process) if (each := _quota(group)) is not None]
    return min(found, default=None)


def pauses(groups: Path = _GROUPS, of_process: Path = _OF_PROCESS) -> int:
    """How often a quota has paused the groups of this process; 0 if the system does not count."""
    return sum(_pauses(group) for group in _own(groups, of_process))


def _own(groups: Path, of_process: Path) -> Iterator[Path]:
    """The group of this process and those around it, which hold the files of its CPU time."""
    for top, own in _hierarchies(groups, of_process):
        # A container may see the path of its group on the host, where it has nothing.
        inner = top / os.path.normpath(f"/{own}").strip("/")
        while inner != top:
            if inner.is_dir():
                yield inner
            inner = inner.parent
        yield top


def _hierarchies(groups: Path, of_process: Path) -> Iterator[tuple[Path, str]]:
    """The top of each hierarchy with a CPU controller, and the path of the own group in it."""
    try:
        lines = of_process.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    of_cpu, of_all = "", ""
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if "cpu" in controllers.split(","):
            of_cpu = path
        elif not controllers:
            of_all = path
    yield groups, of_all  # version 2
    yield from (
        (groups / name, of_cpu) for name in ("cpu", "cpu,cpuacct") if (groups / name).is_dir()
    )


def _quota(group: Path) -> float | None:
    try:
        limit, period = (group / "cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        try:  # version 1
            limit = (group / "cpu.cfs_quota_us").read_text(encoding="ascii").strip()
            period = (group / "cpu.cfs_period_us").read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            return None
    if not (limit.isdecimal() and period.isdecimal()) or not int(period):
        return None  # "max", or -1
    return int(limit) / int(period)


def _pauses(group: Path) -> int:
    try:
        lines = (group / "cpu.stat").read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return 0
    counts = [line.split()[1] for line in lines if line.startswith("nr_throttled ")]
    return int(counts[0]) if counts and counts[0].isdecimal() else 0

"""The limit of a worker's memory: a cgroup of its own where one can be made, else its resident set.

There is no limit of the address space: XLA and CUDA reserve far more than they use.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

CGROUP, RESIDENT = "a cgroup", "the resident set, looked at after each answer"
_GROUPS = Path("/sys/fs/cgroup")
_OF_PROCESS = Path("/proc/self/cgroup")
_VMSTAT = Path("/proc/vmstat")
_REMOVED_WITHIN = 20  # tries, 10 ms each, until an ended process has left its group


class MemoryLimit:
    """Limits one worker, from its start to its end."""

    def __init__(self, count: int, pid: int) -> None:
        """Limit process `pid` and those that it starts to `count` bytes."""
        self._count = count
        self._group = _make_group(count, pid)
        self.how = CGROUP if self._group else RESIDENT

    def excess(self, processes: list[psutil.Process]) -> str | None:
        """Why they must end, or None. The kernel ends those in a cgroup by itself."""
        if self._group is not None:
            return None
        held = 0
        for process in processes:
            with contextlib.suppress(psutil.Error):
                held += process.memory_info().rss
        if held <= self._count:
            return None
        return f"out of memory: {held / 2**30:.2f} GiB resident, {self.in_words}"

    @property
    def in_words(self) -> str:
        return f"of at most {self._count / 2**30:.2f} GiB (--max-memory)"

    def killed(self) -> bool:
        """Whether the kernel has ended a process of its cgroup."""
        return self._group is not None and _kills(self._group) > 0

    def close(self) -> None:
        """Remove its cgroup, after its processes have ended."""
        if self._group is None:
            return
        for _ in range(_REMOVED_WITHIN):
            try:
                self._group.rmdir()
            except FileNotFoundError:
                return
            except OSError:
                time.sleep(0.01)
            else:
                return


class SystemKills:
    """How often the kernel has ended a process of this machine for want of memory."""

    def __init__(self) -> None:
        self._seen = self._count()

    def rose(self) -> bool:
        """Whether it has done so since the last question."""
        before, self._seen = self._seen, self._count()
        return self._seen > before

    @staticmethod
    def _count() -> int:
        """0 if the system does not count."""
        try:
            lines = _VMSTAT.read_text(encoding="ascii").splitlines()
        except OSError:
            return 0
        return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))


def _make_group(count: int, pid: int) -> Path | None:
    """A group of `pid` alone with this limit; None where none can be made."""
    for parent, files in _parents():
        _remove_left(parent)
        group = parent / f"rnnbench-{pid}"
        try:
            group.mkdir()
            for name, required in files.items():
                limit = group / name
                if required or limit.exists():
                    limit.write_text(str(count if required else 0 if "swap" in name else count))
            (group / "cgroup.procs").write_text(str(pid))
        except OSError:  # not mounted, read-only, or not ours: the next one, or the resident set
            with contextlib.suppress(OSError):
                group.rmdir()
        else:
            return group
    return None


def _remove_left(parent: Path) -> None:
    """Remove the groups that a run has left which was killed."""
    for group in parent.glob("rnnbench-*"):
        pid = group.name.partition("-")[2]
        if pid.isdecimal() and not psutil.pid_exists(int(pid)):
            with contextlib.suppress(OSError):  # other processes are in it, or it is gone
                group.rmdir()


def _parents() -> Iterator[tuple[Path, dict[str, bool]]]:
    """Where a group may be made, with the files of its limit and whether each must be there."""
    try:
        lines = _OF_PROCESS.read_text(encoding="ascii").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, own = line.split(":", 2)
        if "memory" in controllers.split(","):
            files = {"memory.limit_in_bytes": True, "memory.memsw.limit_in_bytes": False}
            yield _GROUPS / "memory" / own.strip("/"), files
        elif not controllers:
            files = {"memory.max": True, "memory.swap.max": False}
            # A group with processes of its own has no limited children, so its sibling comes next.
            mine = _GROUPS / own.strip("/")
            yield mine, files
            if mine != _GROUPS:
                yield mine.parent, files


def _kills(group: Path) -> int:
    """How often the kernel has ended a process of the group for want of memory."""
    for name in ("memory.events", "memory.oom_control"):
        with contextlib.suppress(OSError):
            for line in (group / name).read_text(encoding="ascii").splitlines():
                if line.startswith("oom_kill "):
                    return int(line.split()[1])
    return 0

"""Locks of the cores on which a run takes times: two runs never time on one core at once.

A lock is a file for each core, locked by flock(2), which the kernel releases when its process ends
in whatever way. The folder is common to all users of the machine.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from backends import registry

FOLDER = "RNNBENCH_LOCKS"  # environment variable that names another folder
DEFAULT_FOLDER = "/tmp/rnnbench-locks"  # whatever TMPDIR is: all runs must find the same one
LONGEST = 200  # characters of a run's name in its lock


class CoresInUseError(RuntimeError):
    """Another run takes times on one of the cores; the message says which."""


@contextmanager
def held(
    cores: Iterable[int], run: str, wait: Callable[[str], None] | None = None
) -> Iterator[None]:
    """Hold the locks of `cores` for `run`, a name that others see.

    Raises CoresInUseError if another run holds one of them; with `wait` it waits instead, after it
    has passed who is waited for. Raises OSError if the folder cannot be used.
    """
    with ExitStack() as stack:
        folder = _folder()
        # All runs lock in the same order, so that two of them never wait for each other.
        for core in sorted(set(cores)):
            lock = _opened(folder / f"core-{core}")
            stack.callback(os.close, lock)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = f"core {core} is in use by {_holder(lock)}"
                if wait is None:
                    raise CoresInUseError(holder) from None
                wait(holder)
                fcntl.flock(lock, fcntl.LOCK_EX)
            stack.callback(os.ftruncate, lock, 0)
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{run} (process {os.getpid()})".encode(), 0)
        yield


def _folder() -> Path:
    own = os.environ.get(FOLDER)
    folder = Path(own or DEFAULT_FOLDER)
    try:
        folder.mkdir(parents=bool(own))
    except FileExistsError:
        if not own and folder.is_symlink():  # any user may have made it
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from None
        return folder
    if not own:
        folder.chmod(0o1777)  # as /tmp: any user adds files, nobody removes those of others
    return folder


def _opened(file: Path) -> int:
    """Open for reading and writing; any user may. A link in its place is refused."""
    flags = os.O_RDWR | os.O_NOFOLLOW
    with contextlib.suppress(FileNotFoundError):
        return os.open(file, flags)
    try:
        lock = os.open(file, flags | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:  # another run has made it in between
        return os.open(file, flags)
    os.fchmod(lock, 0o666)  # whatever the umask is
    return lock


def _holder(lock: int) -> str:
    """The run that a lock names; any user may have written it."""
    name = registry.plain(os.pread(lock, 4 * LONGEST, 0).decode(errors="replace"), LONGEST)
    return f"the timed run {name}" if name else "another timed run"


def cannot_be_used(error: OSError) -> str:
    """What to do about an OSError of `held`."""
    folder = os.environ.get(FOLDER) or DEFAULT_FOLDER
    reason = os.strerror(error.errno) if error.errno else str(error)
    if error.errno == errno.ELOOP:
        reason = "it, or one of its files, is a link"
    return f"the locks of cores in {folder} cannot be used: {reason}; name a folder with {FOLDER}"

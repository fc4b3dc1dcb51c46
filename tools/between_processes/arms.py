"""The environments that are compared."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from backends.torch.backend import QUIET_MALLOC

# From <sys/personality.h>: a program and its libraries lie at the same addresses in each process.
_NO_RANDOM_ADDRESSES, _ASK = 0x0040000, 0xFFFFFFFF


@dataclass(frozen=True)
class Arm:
    """An environment; `what` it changes."""

    what: str
    variables: Mapping[str, str] = field(default_factory=dict)
    random_addresses: bool = True


NOW = "as now"
ARMS = {
    NOW: Arm("nothing"),
    "thresholds": Arm(
        "glibc keeps freed memory: it neither maps large blocks apart nor trims",
        QUIET_MALLOC,
    ),
    "hugetlb": Arm(
        "glibc advises huge pages for what it maps", {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
    ),
    "no advice": Arm(
        "numpy does not advise huge pages for large arrays", {"NUMPY_MADVISE_HUGEPAGE": "0"}
    ),
    "fixed addresses": Arm("addresses are not random (setarch -R)", random_addresses=False),
}


@contextmanager
def within(arm: Arm) -> Iterator[None]:
    """Processes that start in this block start in that environment."""
    kept = {name: os.environ.get(name) for name in arm.variables}
    libc = ctypes.CDLL(None, use_errno=True)
    before = libc.personality(_ASK)
    os.environ.update(arm.variables)
    if not arm.random_addresses and libc.personality(before | _NO_RANDOM_ADDRESSES) == -1:
        raise OSError(ctypes.get_errno(), "the kernel does not allow fixed addresses")
    try:
        yield
    finally:
        libc.personality(before)
        for name, value in kept.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value

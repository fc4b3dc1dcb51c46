"""A process that keeps a core busy, as a neighbour does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# Until the process whose number it gets is no longer its parent.
_BURN = "import os, sys\nwhile os.getppid() == int(sys.argv[1]): pass"


@contextmanager
def background_load(wanted: bool = True) -> Iterator[None]:
    """Keep a core busy within the block, if it is wanted.

    A selftest builds its models before it: beside it, that takes minutes.
    """
    if not wanted:
        yield
        return
    with subprocess.Popen([sys.executable, "-c", _BURN, str(os.getpid())]) as burning:
        try:
            yield
        finally:
            burning.kill()

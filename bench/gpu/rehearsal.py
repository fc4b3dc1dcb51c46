"""Parts that go wrong on purpose, to see that a run outlives them."""

from __future__ import annotations

import signal
import subprocess
import sys
from time import sleep

FOREVER = "import time\nwhile True: time.sleep(60)"


def hang() -> None:
    """Never end: ignore polite requests, with a child in a session of its own beside it."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", FOREVER], start_new_session=True)
    print(f"hanging on purpose, with process {child.pid} beside it", flush=True)
    while True:
        sleep(60)


def fail() -> None:
    """End with an exception."""
    raise RuntimeError("failing on purpose")

"""The process of one part: started, watched, and ended with everything that it started."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic, sleep

import psutil

from bench import ROOT
from bench.gpu.judge import Ended
from bench.records import provenance

# In the environment of a part and of all that it starts, also in sessions of their own.
MARK = "RNNBENCH_GPU_PART"
# Output for a file; and of pytest's plugins that alone which the suite needs: a machine may have
# others, and their warnings are errors here.
PLAIN = {
    "NO_COLOR": "1",
    "COLUMNS": "200",
    "PYTHONUNBUFFERED": "1",
    "PYTHONFAULTHANDLER": "1",
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "PYTEST_PLUGINS": "pytest_benchmark.plugin",
}
GRACE_SECONDS = 8.0  # between the request to end and the end
PR_SET_PDEATHSIG = 1
SWEEPS = 5


class PartProcess:
    """A program whose output goes to `log`; it is ended once `limit_seconds` have passed."""

    def __init__(
        self, command: Sequence[str], log: Path, limit_seconds: float, variables: Mapping[str, str]
    ) -> None:
        """`command` is what follows the Python."""
        self.limit_seconds, self.log = limit_seconds, log
        self.begin = monotonic()
        self.timed_out = False
        self._mark = f"{os.getpid()}-{log.stem}-{self.begin}"
        self._asked_to_end: float | None = None
        environment = {k: v for k, v in os.environ.items() if k != "PYTEST_ADDOPTS"}
        environment |= {**PLAIN, **variables, MARK: self._mark}
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env=environment,
                start_new_session=True,
                preexec_fn=_begin,
            )

    @property
    def seconds(self) -> float:
        """Since its start."""
        return monotonic() - self.begin

    def running(self) -> bool:
        """SeenAnswer at it: beyond its limit it is asked to end, and ended a little later."""
        if self._process.poll() is not None:
            return False
        if self._asked_to_end is None:
            if self.seconds > self.limit_seconds:
                self.timed_out = True
                self.ask_to_end()
        elif monotonic() - self._asked_to_end > GRACE_SECONDS:
            self._process.kill()
        return True

    def ask_to_end(self) -> None:
        """As Ctrl-C does: a run of the suite then still writes its report."""
        self._asked_to_end = monotonic()
        self._process.send_signal(signal.SIGINT)

    def end(self) -> Ended:
        """End all that is left of it; gives its exit status and the lines of its log, which is
        written again without paths.
        """
        if self._process.poll() is None:
            self._process.kill()
        code = self._process.wait()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._sweep()
        raw = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        lines = [provenance.without_paths(_printable(line)).rstrip() for line in raw]
        self.log.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return Ended(code, [line for line in lines if line])

    def _sweep(self) -> None:
        """Workers have sessions of their own: they are found by their mark."""
        for _ in range(SWEEPS):
            left = [process for process in psutil.process_iter() if self._marked(process)]
            if not left:
                return
            for process in left:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            sleep(0.05)

    def _marked(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get(MARK) == self._mark
        except (psutil.Error, OSError):
            return False  # ended, or somebody else's


def _begin() -> None:
    """A run that is killed leaves nothing on the GPU, and one in the background can be interrupted.

    A shell starts what it puts into the background with SIGINT ignored, and so would be each part.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _printable(line: str) -> str:
    return "".join(c if c.isprintable() or c == "\t" else " " for c in line)

"""What a fault is, and runs of `rnnbench` in which one happens."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from running import environment

from bench import ROOT
from bench.records import store

MARK = "RNNBENCH_TEST_MARK"
QUICK = ("--task=hihello", "--backend=numpy", "--benchmark-max-time=0.05")
BOTH = ("bptt[hihello-rnn_tanh-source-cpu-float32]", "forward[hihello-rnn_tanh-source-cpu-float32]")
HERE = (Path(__file__).parent, Path(__file__).parent.parent)  # for backends in these folders
# A shell that starts a test in its background has it ignore SIGINT.
_MAIN = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from bench.cli.app import main
main()
"""


@dataclass
class Happened:
    """What a fault left."""

    code: int | None  # the exit status; None: no command was run
    output: str
    lost: list[str] = field(default_factory=list)  # workloads that were measured, and are not kept
    left: list[str] = field(default_factory=list)  # processes

    def also(self, condition: bool, what: str) -> Happened:
        """A further result that must hold."""
        assert condition, f"{what}\n{self.output}"
        return self


@dataclass(frozen=True)
class Fault:
    """A row of the table: what happens, and what must come of it."""

    name: str
    what: str
    means: str  # how the kit makes it
    code: int | None  # the exit status
    says: str  # a part of what is printed, or of the report's reason
    do: Callable[[Path], Happened] = field(repr=False, compare=False)
    prove: bool = False  # too long for `make test-all`


class Run:
    """`rnnbench run` in a process and a group of its own, marked to find all that it starts."""

    def __init__(
        self,
        folder: Path,
        *words: str,
        paths: Sequence[Path] = (),
        variables: dict[str, str] | None = None,
        limit: Callable[[], None] = lambda: None,
        stdout: Path | None = None,
    ) -> None:
        """Its reports go into `folder`/reports, the run into `folder`/reports/run.

        `limit` is called in the new process before it becomes `rnnbench`.
        """
        self.folder, self.reports = folder / "reports" / "run", folder / "reports"
        self.mark = f"{os.getpid()}-{time.monotonic_ns()}"
        self._log = folder / f"log-{self.mark}"
        folder.mkdir(parents=True, exist_ok=True)
        places = [] if any(word.startswith("--resume") for word in words) else ["--run-name=run"]
        command = [sys.executable, "-c", _MAIN, "run", f"--reports={self.reports}", *places, *words]
        locks = {"RNNBENCH_LOCKS": str(folder / "locks")}
        self.output_file = stdout or self._log
        with self._log.open("ab") as log, self.output_file.open("ab") as out:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment({MARK: self.mark, **locks, **(variables or {})}, *paths),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                # A group of its own in this session, as a shell has it: Ctrl-Z stops no other.
                process_group=0,
                preexec_fn=limit,
            )

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        for left in marked(self.mark):
            left.kill()
        self.process.wait()

    @property
    def output(self) -> str:
        found = self._log.read_text(errors="replace")
        if self.output_file.is_file() and self.output_file != self._log:
            found += self.output_file.read_text(errors="replace")
        return found

    def wait_for(self, text: str, seconds: float = 90) -> Run:
        until(seconds, repr(text), lambda: text in self.output or self.process.poll() is not None)
        assert text in self.output, self.output
        return self

    def workers(self) -> list[psutil.Process]:
        """The interpreters of workers, but not the guardian."""
        found = []
        for process in marked(self.mark):
            with contextlib.suppress(psutil.NoSuchProcess):
                if "-u" in process.cmdline():
                    found.append(process)
        return found

    def send(self, number: signal.Signals) -> Run:
        os.killpg(self.process.pid, number)  # a terminal sends it to the whole group
        return self

    def end(self, *expected: str, at: Path | None = None, seconds: float = 120) -> Happened:
        """Wait for its end. The records, `at` the folder of the run, must have `expected`."""
        code = self.process.wait(seconds)
        with contextlib.suppress(AssertionError):
            until(5, "the end of all", lambda: not marked(self.mark))
        lost = missing(at or self.folder, *expected)
        left = [" ".join(process.cmdline()) for process in marked(self.mark)]
        return Happened(code, self.output, lost, left)


def missing(folder: Path, *expected: str) -> list[str]:
    """The workloads that the records do not have once, with a time of numpy."""
    if not expected:
        return []
    _, found, _ = store.read(folder / store.FILE)
    times = [
        m.workload.id
        for m in found
        if m.role == "variant" and m.variant == "numpy" and m.status == "ok" and m.processes
    ]
    return [name for name in expected if times.count(name) != 1]


def marked(mark: str) -> list[psutil.Process]:
    """Every process that was started with this mark in its environment, running or stopped."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            ended = process.status() == psutil.STATUS_ZOMBIE
            if not ended and process.environ().get(MARK) == mark:
                found.append(process)
    return found


def until(seconds: float, what: str, condition: Callable[[], object]) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s in vain for {what}"
        time.sleep(0.05)


@contextlib.contextmanager
def mounted(folder: Path, size: str) -> Iterator[bool]:
    """A file system of `size` in `folder`, if this user may mount one; whether it is there."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "rnnbench-test", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        done = False
    try:
        yield done
    finally:
        if done:
            subprocess.run(["umount", "-l", str(folder)], check=True)

"""The parent's side of the workers: starts their interpreters, keeps them, ends them."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from time import perf_counter

import execnet
import psutil
from execnet import XSpec

from backends import registry
from backends.words import plain
from bench.interpreter import (
    Interpreter,
    Key,
    Started,
    WorkerError,
    WorkerRaisedError,
    WorkerUnfitError,
)

# A worker on Linux ties its own life to its parent's (bench.worker); this reaches what a worker
# has started too, and serves where there is no such call: its input ends with the parent, and
# then it ends every worker's process group.
_GUARDIAN = """
import os, signal, sys
groups = set()
for line in sys.stdin:
    sign, group = line[0], int(line[1:])
    (groups.add if sign == "+" else groups.discard)(group)
for group in groups:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass
"""


class Lab:
    """All workers of a run. A context manager: leaving it ends every one."""

    def __init__(
        self, cores: list[int] | None, timeout: float, option: str = "--worker-timeout"
    ) -> None:
        """`cores` to pin to, None where there is no pinning; `timeout` seconds an answer, and the
        option of the command line that sets it.
        """
        self.timeout = timeout
        self._option = option
        self._cores = cores
        self._group = execnet.Group()
        self._interpreters: dict[Key, Interpreter] = {}
        self._logs = Path(tempfile.mkdtemp(prefix="rnnbench-"))
        self._guardian: subprocess.Popen[str] | None = None
        self._count = 0

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def get(self, key: Key, progress: Callable[[str], None] = lambda _: None) -> Interpreter:
        """The parked interpreter of `key`, started if it is not there.

        Raises registry.BrokenBackendError where the framework cannot be imported, and WorkerError
        where the process ends or gives no answer while it starts.
        """
        interpreter = self._interpreters.get(key)
        if interpreter is not None and interpreter.alive():
            return interpreter
        self.end(key)  # a dead one is forgotten before another takes its place
        progress(f"starting {key.variant}")
        interpreter = self._start(key)
        self._interpreters[key] = interpreter
        return interpreter

    def cores_of(self, threads: int) -> list[int] | None:
        """The cores of a worker of so many threads; None where there is no pinning."""
        return self._cores[:threads] if self._cores is not None else None

    def end(self, key: Key) -> None:
        """End the interpreter of `key`, if there is one."""
        interpreter = self._interpreters.pop(key, None)
        if interpreter is not None:
            self._end(interpreter)

    def keep_only(self, keys: Iterable[Key]) -> None:
        """End every interpreter that is not among `keys`."""
        for key in set(self._interpreters) - set(keys):
            self.end(key)

    def close(self) -> None:
        """End all of them and remove their logs."""
        self.keep_only(())
        self._group.terminate(timeout=1.0)  # lets go of pipes and threads: the processes are gone
        if self._guardian is not None and self._guardian.stdin is not None:
            self._guardian.stdin.close()  # it knows of none by now, and ends
            self._guardian.wait(5)
            self._guardian = None
        shutil.rmtree(self._logs, ignore_errors=True)

    def _start(self, key: Key) -> Interpreter:
        if threading.current_thread() is not threading.main_thread():
            # The kernel ends a child together with the thread that made it.
            raise RuntimeError("workers are started from the main thread only")
        entry = registry.find(key.variant)
        variables = registry.ask(
            key.variant, "environment", threads=key.threads, device=key.device, dtype=key.dtype
        )
        begin = perf_counter()
        interpreter = self._spawn(key, entry.interpreter, variables)
        self._guard("+", interpreter)
        cores = self.cores_of(key.threads)
        try:
            said = interpreter.call(
                "start",
                self.timeout,
                parent=os.getpid(),
                backend=entry.backend,
                cores=cores,
                log=str(interpreter.log),
            )
        except WorkerError as error:
            self._end(interpreter)
            if isinstance(error, WorkerRaisedError | WorkerUnfitError):
                raise registry.BrokenBackendError(
                    f"{key.variant} is installed and fails at import: {error}"
                ) from error
            raise
        seconds = perf_counter() - begin
        interpreter.started = Started(
            versions=said["versions"],
            devices=tuple(said["devices"]),
            start_seconds=seconds - said["import_seconds"],
            import_seconds=said["import_seconds"],
        )
        return interpreter

    def _spawn(self, key: Key, python: str, variables: Mapping[str, str]) -> Interpreter:
        """A process of that interpreter; raises registry.BrokenBackendError where it ends."""
        self._count += 1
        spec = XSpec(f"popen//id=worker-{self._count}")
        log = self._logs / f"{spec.id}.log"
        # `env` and not execnet's own: the variables must stand before the interpreter starts. And
        # what it prints until it is told the same (bench.worker) is not the terminal's either.
        pairs = [f"{name}={value}" for name, value in variables.items()]
        to_log = ["sh", "-c", 'exec "$@" 2>> "$0"', str(log)]
        spec.python = shlex.join([*to_log, "env", *pairs, python])
        before = set(psutil.Process().children())
        try:
            gateway = self._group.makegateway(spec)
            (process,) = set(psutil.Process().children()) - before
            return Interpreter(key, gateway, process, log, self._option)
        except (EOFError, OSError, ValueError) as error:  # closed, or gone already
            printed = plain(log.read_text(errors="replace"), 200) if log.exists() else ""
            raise registry.BrokenBackendError(
                f"{key.variant}: its interpreter ends before it answers; its `environment` sets "
                f"{', '.join(variables) or 'nothing'}; it printed {printed or 'nothing'}"
            ) from error

    def _end(self, interpreter: Interpreter) -> None:
        interpreter.kill()
        self._guard("-", interpreter)

    def _guard(self, sign: str, interpreter: Interpreter) -> None:
        if self._guardian is None:
            self._guardian = subprocess.Popen(
                [sys.executable, "-c", _GUARDIAN],
                stdin=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        assert self._guardian.stdin is not None
        self._guardian.stdin.write(f"{sign}{interpreter.process.pid}\n")
        self._guardian.stdin.flush()

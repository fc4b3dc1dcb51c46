"""Backends that do what none should, and are right otherwise."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from third_party import Correct

_kept: list[Any] = []


class Acting:
    """A model that does something before its calls, or before those of a timed block."""

    def __init__(self, whole: Any, act: Callable[[], Any], timed: bool) -> None:
        self._whole, self._act, self._timed = whole, act, timed

    def __getattr__(self, member: str) -> Any:
        return getattr(self._whole, member)

    def _called(self) -> None:
        if not self._timed or _in_block():
            self._act()

    def forward(self, placed: Any) -> Any:
        self._called()
        return self._whole.forward(placed)

    def bptt(self, placed: Any) -> Any:
        self._called()
        return self._whole.bptt(placed)


class Faulty(Correct):
    """It acts when it is imported ("import"), built ("build"), in every step ("step"), or in those
    of a timed block ("block").
    """

    def __init__(self, name: str, where: str, act: Callable[[], Any]) -> None:
        super().__init__(name)
        self._where, self._act = where, act

    def versions(self) -> Any:
        if self._where == "import":
            self._act()
        if self._where == "versions":
            return {"numpy": self._act()}
        return super().versions()

    def build(self, *args: Any, **kwargs: Any) -> Any:
        if self._where == "build":
            self._act()
        model = super().build(*args, **kwargs)
        acts = self._where in ("step", "block")
        return Acting(model, self._act, self._where == "block") if acts else model


def _in_block() -> bool:
    """Whether the worker runs a timed block."""
    frame = sys._getframe()
    while frame.f_back is not None:
        if frame.f_code.co_name == "block":
            return True
        frame = frame.f_back
    return False


def _eat() -> None:
    """Two GiB, written to, so that they are resident."""
    _kept.extend(np.ones(100 * 2**20 // 8) for _ in range(20))


def _leak() -> None:
    _kept.append(np.ones(30 * 2**20 // 8))


def _raise(error: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


def _flood() -> None:
    line = b"x" * 999 + b"\n"
    for _ in range(100_000):  # 100 MB
        os.write(2, line)


def _corrupt() -> None:
    """Write into every descriptor that is open, of which one is the channel."""
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, b"not a message" * 100)
        except OSError:
            continue


def _child() -> None:
    _kept.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"]))


def _daemon() -> None:
    """A process with a session and a parent of its own, which keeps the descriptors too."""
    if os.fork():
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    time.sleep(3600)
    os._exit(0)


def _die_beside_a_child() -> None:
    if not os.fork():
        time.sleep(3600)
        os._exit(0)
    os._exit(7)


def _thread() -> None:
    def spin() -> None:
        while True:
            time.sleep(0.0)

    threading.Thread(target=spin, daemon=True).start()


def _signals() -> None:
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCONT, signal.SIGTSTP, signal.SIGUSR1):
        signal.signal(number, lambda *_: time.sleep(0.001))


def _cores() -> None:
    os.sched_setaffinity(0, range(os.cpu_count() or 1))


def _elsewhere() -> None:
    os.chdir("/")
    os.umask(0o777)
    os.environ.clear()
    sys.path.clear()


def _alarm() -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(1)
    time.sleep(5)


def _cpu_limit() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (1, 2))
    while True:
        pass


def _recurse() -> None:
    _recurse()


EVIL = "\x1b[2J\x1b]0;owned\x07<script>alert(1)</script> | [x](javascript:alert(1)) ../../etc\r\n"

# Name -> where it acts, and how.
ACTS: dict[str, tuple[str, Callable[[], Any]]] = {
    "segfault": ("build", lambda: ctypes.string_at(0)),
    "abort": ("block", os.abort),
    "exits": ("step", lambda: os._exit(0)),
    "sys-exit": ("build", lambda: sys.exit(3)),
    "killed": ("build", lambda: os.kill(os.getpid(), signal.SIGKILL)),
    "kills-its-group": ("build", lambda: os.killpg(0, signal.SIGKILL)),
    "alarm": ("build", _alarm),
    "cpu-limit": ("build", _cpu_limit),
    "real-time-signal": ("build", lambda: os.kill(os.getpid(), signal.SIGRTMIN + 3)),
    "dies-at-import": ("import", lambda: os.kill(os.getpid(), signal.SIGILL)),
    "hangs": ("build", lambda: time.sleep(3600)),
    "hangs-in-a-step": ("block", lambda: time.sleep(3600)),
    "stops-itself": ("build", lambda: os.kill(os.getpid(), signal.SIGSTOP)),
    "raises": ("block", _raise(ValueError("no such kernel"))),
    "raises-evil": ("build", _raise(ValueError(EVIL * 20_000))),
    "recursion": ("build", _recurse),
    "interrupts": ("build", _raise(KeyboardInterrupt())),
    "memory-error": ("build", _raise(MemoryError("Unable to allocate 8.00 GiB"))),
    "eats-memory": ("build", _eat),
    "leaks-memory": ("block", _leak),
    "closes-descriptors": ("build", lambda: os.closerange(3, 256)),
    "corrupts-channel": ("build", _corrupt),
    "dies-beside-a-child": ("build", _die_beside_a_child),
    "changes-cores": ("block", _cores),
    "prints": ("step", lambda: print("hello\n" * 100)),
    "floods": ("build", _flood),
    "leaves-a-child": ("build", _child),
    "leaves-a-daemon": ("build", _daemon),
    "leaves-a-thread": ("build", _thread),
    "signal-handlers": ("build", _signals),
    "elsewhere": ("build", _elsewhere),
    "evil-version": ("versions", lambda: EVIL),
}
# Of a soak: what the backend of that name does in every tenth workload, by the size of its model.
SOAKED = ("segfault", "abort", "exits", "raises", "killed", "memory-error", "floods", "prints",
          "leaves-a-child", "leaves-a-daemon", "dies-beside-a-child", "recursion")  # fmt: skip


class Soaked(Correct):
    """Right in nine of ten workloads."""

    def build(self, spec: Any, *args: Any, **kwargs: Any) -> Any:
        model = super().build(spec, *args, **kwargs)
        if spec.hidden_size % 10:
            return model
        where, act = ACTS[SOAKED[spec.hidden_size // 10 * 7 % len(SOAKED)]]
        if where == "build":
            act()
            return model
        return Acting(model, act, where == "block")


def soaked() -> Soaked:
    return Soaked("soaked")


ENTRY_POINTS = {name: f"faulty:{name.replace('-', '_')}" for name in ACTS}
_BY_ATTRIBUTE = {name.replace("-", "_"): name for name in ACTS}


def __getattr__(attribute: str) -> Callable[[], Faulty]:
    """`faulty:sys_exit` is the factory of "sys-exit"."""
    if attribute not in _BY_ATTRIBUTE:
        raise AttributeError(attribute)
    name = _BY_ATTRIBUTE[attribute]
    return lambda: Faulty(name, *ACTS[name])

"""Backends that are wrong or dishonest in one way each, and an honest one beside them.

Each is the numpy backend with one member changed; the gate must see every one.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

from backends.numpy_backend import NumpyBackend


class Model:
    """Passes everything on to numpy's model; what a mutant changes, it overrides."""

    def __init__(self, honest: Any) -> None:
        self._honest = honest

    def __getattr__(self, member: str) -> Any:
        return getattr(self._honest, member)


class Remembering(Model):
    """The first answer, for ever."""

    first: Any = None

    def bptt(self, placed: Any) -> Any:
        if self.first is None:
            self.first = self._honest.to_host(self._honest.bptt(placed))
        return self.first

    def to_host(self, result: Any) -> Any:
        return result if isinstance(result, dict) else self._honest.to_host(result)


class NotWaiting(Model):
    """Work goes to a thread; `sync` does not wait for it."""

    def bptt(self, placed: Any) -> Any:
        before = getattr(self, "last", None)
        box: list[Any] = []

        def work() -> None:
            if before is not None:
                before.join()
            time.sleep(0.002)
            box.append(self._honest.to_host(self._honest.bptt(placed)))

        self.last = threading.Thread(target=work)
        self.last.start()
        return self.last, box

    def to_host(self, result: Any) -> Any:
        if not isinstance(result, tuple):
            return self._honest.to_host(result)
        result[0].join()
        return result[1][0]


class Piling(Model):
    """Gradients pile up over calls."""

    def __init__(self, honest: Any) -> None:
        super().__init__(honest)
        self.sum: dict[str, Any] = {}

    def bptt(self, placed: Any) -> Any:
        host = self._honest.to_host(self._honest.bptt(placed))
        grads = {k: v for k, v in host.items() if k != "loss"}
        self.sum = {k: self.sum.get(k, 0.0) + v for k, v in grads.items()}
        return {"loss": host["loss"], **self.sum}

    def to_host(self, result: Any) -> Any:
        return result if isinstance(result, dict) else self._honest.to_host(result)


class Altering(Model):
    """Results are changed on their way out."""

    def __init__(self, honest: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        super().__init__(honest)
        self.change = change

    def to_host(self, result: Any) -> Any:
        return self.change(dict(self._honest.to_host(result)))


class OwnParameters(Model):
    """New parameters are ignored."""

    def load(self, params: Any) -> None:
        pass


class Failing(Model):
    """Something happens in the timed call, once the checks are passed."""

    calls = 0

    def __init__(self, honest: Any, happen: Callable[[], None]) -> None:
        super().__init__(honest)
        self.happen = happen

    def bptt(self, placed: Any) -> Any:
        self.calls += 1
        if self.calls > 2:
            self.happen()
        return self._honest.bptt(placed)


class Backend(NumpyBackend):
    def __init__(self, name: str, model: Callable[[Any], Any]) -> None:
        super().__init__()
        self.name = name
        self.model = model

    def build(self, *args: Any, **kwargs: Any) -> Any:
        return self.model(super().build(*args, **kwargs))


class BrokenAtImport(NumpyBackend):
    name = "broken"

    def versions(self) -> Any:
        raise ImportError("libstranger.so.3: cannot open shared object file\nand more lines")


def _slightly_off(host: dict[str, Any]) -> dict[str, Any]:
    if "grad.l0.fwd.W_hh" in host:
        host["grad.l0.fwd.W_hh"] = host["grad.l0.fwd.W_hh"] * (1 + 1e-4)
    return host


def _without_state(host: dict[str, Any]) -> dict[str, Any]:
    host.pop("l0.fwd.h", None)
    return host


def _raise() -> None:
    raise ValueError("no such kernel")


def honest() -> Backend:
    return Backend("honest", Model)


def remembering() -> Backend:
    return Backend("remembering", Remembering)


def not_waiting() -> Backend:
    return Backend("not-waiting", NotWaiting)


def piling() -> Backend:
    return Backend("piling", Piling)


def slightly_off() -> Backend:
    return Backend("slightly-off", lambda model: Altering(model, _slightly_off))


def without_state() -> Backend:
    return Backend("without-state", lambda model: Altering(model, _without_state))


def own_parameters() -> Backend:
    return Backend("own-parameters", OwnParameters)


def crashing() -> Backend:
    def end() -> None:
        os.kill(os.getpid(), signal.SIGSEGV)

    return Backend("crashing", lambda model: Failing(model, end))


def hanging() -> Backend:
    return Backend("hanging", lambda model: Failing(model, lambda: time.sleep(3600)))


def raising() -> Backend:
    return Backend("raising", lambda model: Failing(model, _raise))


def broken() -> BrokenAtImport:
    return BrokenAtImport()


NAMES = (
    "honest",
    "remembering",
    "not-waiting",
    "piling",
    "slightly-off",
    "without-state",
    "own-parameters",
    "crashing",
    "hanging",
    "raising",
    "broken",
)
ENTRY_POINTS = {name: f"mutants:{name.replace('-', '_')}" for name in NAMES}

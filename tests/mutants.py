"""Backends that are wrong in one way each, or skip work, and a correct one beside them.

Each is the numpy backend with one member changed; the checks must see every one.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from backends.numpy.backend import NumpyBackend


class Model:
    """Passes everything on to numpy's model; what a mutant changes, it overrides."""

    def __init__(self, correct: Any) -> None:
        self._correct = correct

    def __getattr__(self, member: str) -> Any:
        return getattr(self._correct, member)


class Remembering(Model):
    """The first answer, for ever."""

    first: Any = None

    def bptt(self, placed: Any) -> Any:
        if self.first is None:
            self.first = self._correct.to_host(self._correct.bptt(placed))
        return self.first

    def to_host(self, result: Any) -> Any:
        return result if isinstance(result, dict) else self._correct.to_host(result)


class NotWaiting(Model):
    """The device is busy for longer than the call; `sync` does not wait for it."""

    def bptt(self, placed: Any) -> Any:
        before = getattr(self, "last", None)
        host = self._correct.to_host(self._correct.bptt(placed))
        box = [{name: np.array(value) for name, value in host.items()}]

        def work() -> None:
            if before is not None:
                before.join()
            time.sleep(0.008)

        time.sleep(0.001)  # few are started in a block, so that the last ends soon after it
        self.last = threading.Thread(target=work)
        self.last.start()
        return self.last, box

    def to_host(self, result: Any) -> Any:
        if not isinstance(result, tuple):
            return self._correct.to_host(result)
        result[0].join()
        return result[1][0]


class Piling(Model):
    """Gradients pile up over calls."""

    def __init__(self, correct: Any) -> None:
        super().__init__(correct)
        self.sum: dict[str, Any] = {}

    def bptt(self, placed: Any) -> Any:
        host = self._correct.to_host(self._correct.bptt(placed))
        grads = {k: v for k, v in host.items() if k != "loss"}
        self.sum = {k: self.sum.get(k, 0.0) + v for k, v in grads.items()}
        return {"loss": host["loss"], **self.sum}

    def to_host(self, result: Any) -> Any:
        return result if isinstance(result, dict) else self._correct.to_host(result)


class Altering(Model):
    """Results are changed on their way out."""

    def __init__(self, correct: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        super().__init__(correct)
        self.change = change

    def to_host(self, result: Any) -> Any:
        return self.change(dict(self._correct.to_host(result)))


class Kept(Model):
    """What a call gives is a dict of arrays already."""

    def to_host(self, result: Any) -> Any:
        return dict(result) if isinstance(result, dict) else self._correct.to_host(result)

    def now(self, phase: str, placed: Any) -> dict[str, Any]:
        return dict(self._correct.to_host(getattr(self._correct, phase)(placed)))


class InPlace(Kept):
    """The work is done while the batch is placed."""

    def place(self, batch: Any) -> Any:
        placed = self._correct.place(batch)
        return placed, {phase: self.now(phase, placed) for phase in ("forward", "bptt")}

    def forward(self, placed: Any) -> Any:
        return placed[1]["forward"]

    def bptt(self, placed: Any) -> Any:
        return placed[1]["bptt"]

    def train_step(self, placed: Any) -> Any:
        return self._correct.train_step(placed[0])


class LastGradients(Kept):
    """The loss of this call, the gradients of the one before it."""

    last: dict[str, Any] | None = None

    def bptt(self, placed: Any) -> Any:
        now = self.now("bptt", placed)
        given = (self.last or now) | {"loss": now["loss"]}
        self.last = now
        return given


class OwnParameters(Model):
    """New parameters are ignored."""

    def load(self, params: Any) -> None:
        pass


class Failing(Model):
    """Something happens in the timed call, once the checks are passed."""

    calls = 0

    def __init__(self, correct: Any, happen: Callable[[], None]) -> None:
        super().__init__(correct)
        self.happen = happen

    def bptt(self, placed: Any) -> Any:
        self.calls += 1
        if self.calls > 2:
            self.happen()
        return self._correct.bptt(placed)


class Backend(NumpyBackend):
    def __init__(self, name: str, model: Callable[[Any], Any]) -> None:
        super().__init__()
        self.name = name
        self.model = model

    def build(self, *args: Any, **kwargs: Any) -> Any:
        return self.model(super().build(*args, **kwargs))


class WithoutMasks(Backend):
    """Builds the model without its dropout."""

    def build(self, spec: Any, *args: Any, **kwargs: Any) -> Any:
        return super().build(dataclasses.replace(spec, dropout=0.0), *args, **kwargs)


class BrokenAtImport(NumpyBackend):
    name = "broken"

    def versions(self) -> Any:
        raise ImportError("libmissing.so.3: cannot open shared object file\nand more lines")


class RaisingMember(NumpyBackend):
    """A member that the parent asks raises."""

    def __init__(self, name: str, member: str) -> None:
        super().__init__()
        self.name = name
        setattr(self, member, self._raise)

    def _raise(self, *args: Any, **kwargs: Any) -> Any:
        raise KeyError("no such setting")


class DiesAtImport(NumpyBackend):
    name = "dies-at-import"

    def versions(self) -> Any:
        os.kill(os.getpid(), signal.SIGILL)


def _slightly_off(host: dict[str, Any]) -> dict[str, Any]:
    if "grad.l0.fwd.W_hh" in host:
        host["grad.l0.fwd.W_hh"] = host["grad.l0.fwd.W_hh"] * (1 + 1e-4)
    return host


def _without_state(host: dict[str, Any]) -> dict[str, Any]:
    host.pop("l0.fwd.h", None)
    return host


def _raise() -> None:
    raise ValueError("no such kernel")


def correct() -> Backend:
    return Backend("correct", Model)


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


def in_place() -> Backend:
    return Backend("in-place", InPlace)


def last_gradients() -> Backend:
    return Backend("last-gradients", LastGradients)


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


def lists() -> Backend:
    def change(host: dict[str, Any]) -> dict[str, Any]:
        return {name: value.tolist() for name, value in host.items()}

    return Backend("lists", lambda model: Altering(model, change))


def unmasked() -> Backend:
    return WithoutMasks("unmasked", Model)


def raising_refusal() -> RaisingMember:
    return RaisingMember("raising-refusal", "refusal")


def raising_environment() -> RaisingMember:
    return RaisingMember("raising-environment", "environment")


def dies_at_import() -> DiesAtImport:
    return DiesAtImport()


# Seen at any size.
MUTANTS = (
    "correct",
    "remembering",
    "not-waiting",
    "piling",
    "slightly-off",
    "without-state",
    "own-parameters",
    "in-place",
    "last-gradients",
    "lists",
    "crashing",
    "hanging",
    "raising",
    "broken",
    "raising-refusal",
    "raising-environment",
    "dies-at-import",
)
WITH_DROPOUT = ("unmasked",)
ENTRY_POINTS = {name: f"mutants:{name.replace('-', '_')}" for name in (*MUTANTS, *WITH_DROPOUT)}

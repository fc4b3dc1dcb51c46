"""Backends as third parties write them, each with one fault, and a correct one.

They import nothing of this project but numpy's own backend, to have something that works.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from backends.numpy.backend import NumpyBackend

OF_THE_BACKEND = ("name", "environment", "refusal", "optimizer", "versions", "devices", "build")
PURE = ("environment", "refusal", "optimizer")
OF_THE_MODEL = ("load", "place", "bptt", "sync", "to_host", "params", "path")
MISNAMED = {
    "environment": lambda *, threads, dev, dtype: {},
    "refusal": lambda spec, dev, dtype, phase: None,
    "optimizer": lambda: None,
    "versions": lambda where: {},
    "devices": lambda where: (),
    "build": lambda spec, params, device, precision, optimizer=None: None,
}
MODEL_MISNAMED = {
    "load": lambda: None,
    "place": lambda x, y: None,
    "bptt": lambda placed, loss: None,
    "sync": lambda: None,
    "to_host": lambda: {},
    "params": lambda which: {},
    "path": lambda which: "",
}


def _raise(*_: Any, **__: Any) -> Any:
    raise KeyError("no such \x1b[31msetting")


class Without:
    """Another object, less one member, or with another in its place."""

    def __init__(self, whole: Any, member: str, instead: Any = None) -> None:
        self._whole, self._member, self._instead = whole, member, instead

    def __getattr__(self, member: str) -> Any:
        if member != self._member:
            return getattr(self._whole, member)
        if self._instead is None:
            raise AttributeError(member)
        return self._instead


class Correct(NumpyBackend):
    """numpy under another name."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


class Building(Correct):
    """The same; what it builds is changed."""

    def __init__(self, name: str, change: Callable[[Any], Any]) -> None:
        super().__init__(name)
        self._change = change

    def build(self, *args: Any, **kwargs: Any) -> Any:
        return self._change(super().build(*args, **kwargs))


class Giving(Correct):
    """A member gives what it should not."""

    def __init__(self, name: str, member: str, value: Any) -> None:
        super().__init__(name)
        setattr(self, member, lambda *_, **__: value)


class Raising:
    """A property that raises in place of a member."""

    def __init__(self, name: str) -> None:
        self._whole = Correct(name)

    @property
    def versions(self) -> Any:
        raise RuntimeError("no licence\x07")

    def __getattr__(self, member: str) -> Any:
        return getattr(self._whole, member)


def _without(member: str) -> Any:
    return Without(Correct(f"without-{member}"), member)


def _faulty(name: str) -> Any:
    """The backend of that name: "raises-build", "model-without-sync", ..."""
    kind, _, member = name.rpartition("-")
    instead: dict[str, Any] = {"without": None, "raises": _raise}
    if kind in instead:
        return Without(Correct(name), member, instead[kind])
    if kind == "misnamed":
        return Without(Correct(name), member, MISNAMED[member])
    if kind == "model-misnamed":
        return Building(name, lambda model: Without(model, member, MODEL_MISNAMED[member]))
    assert kind.startswith("model-"), name
    return Building(name, lambda model: Without(model, member, instead[kind[6:]]))


FACTORIES: dict[str, Callable[[], Any]] = {
    "correct": lambda: Correct("correct"),
    "raises-name": lambda: Raising("raises-name"),
    "another-name": lambda: Correct("\x1b[2Jtorch"),
    "no-object": lambda: None,
    "lying-refusal": lambda: Giving("lying-refusal", "refusal", True),
    "lying-environment": lambda: Giving("lying-environment", "environment", {"THREADS": 4}),
    "bad-variable": lambda: Giving("bad-variable", "environment", {"A=B": "c"}),
    "lying-optimizer": lambda: Giving("lying-optimizer", "optimizer", "adam"),
    "lying-versions": lambda: Giving("lying-versions", "versions", "1.0"),
    "lost-python": lambda: Giving("lost-python", "environment", {"PYTHONHOME": "/nowhere"}),
    "coloured": lambda: Giving("coloured", "refusal", "not \x1b[31mtoday\x1b[0m\r\nor \x07ever"),
    "hanging-refusal": lambda: Without(
        Correct("hanging-refusal"), "refusal", lambda spec, **_: time.sleep(3600)
    ),
    "ending-refusal": lambda: Without(
        Correct("ending-refusal"), "refusal", lambda spec, **_: os._exit(3)
    ),
}
for _kind, _members in (
    ("without", OF_THE_BACKEND),
    ("raises", OF_THE_BACKEND[1:]),
    ("misnamed", OF_THE_BACKEND[1:]),
    ("model-without", OF_THE_MODEL),
    ("model-raises", OF_THE_MODEL),
    ("model-misnamed", OF_THE_MODEL),
):
    for _member in _members:
        _name = f"{_kind}-{_member}"
        FACTORIES[_name] = lambda name=_name: _faulty(name)  # type: ignore[misc]


# How a fault is said: both sides of it.
EXPECTED = {
    "without-name": "lacks `name`; expected name = 'without-name'",
    "without-environment": "lacks `environment`; expected environment(*, threads, device, dtype)",
    "without-refusal": "lacks `refusal`; expected refusal(spec, *, device, dtype, phase)",
    "without-optimizer": "lacks `optimizer`; expected optimizer(spec), or a refusal of train_step",
    "without-versions": "lacks `versions`; expected versions()",
    "without-devices": "lacks `devices`; expected devices()",
    "without-build": "lacks `build`; expected build(spec, params, *, device, dtype, optimizer",
    "raises-name": "raises RuntimeError: no licence when `versions` is read",
    "raises-environment": "fails in `environment`: KeyError: 'no such \\x1b[31msetting'",
    "raises-refusal": "fails in `refusal`: KeyError: 'no such \\x1b[31msetting'",
    "raises-optimizer": "fails in `optimizer`: KeyError: 'no such \\x1b[31msetting'",
    "raises-versions": "fails at import: KeyError: 'no such \\x1b[31msetting'",
    "raises-devices": "fails at import: KeyError: 'no such \\x1b[31msetting'",
    "raises-build": "KeyError: 'no such \\x1b[31msetting'",
    "misnamed-environment": (
        "environment(*, threads, dev, dtype) lacks `device`; "
        "expected environment(*, threads, device, dtype)"
    ),
    "misnamed-refusal": (
        "refusal(spec, dev, dtype, phase) lacks `device`; "
        "expected refusal(spec, *, device, dtype, phase)"
    ),
    "misnamed-optimizer": "too many positional arguments; expected optimizer(spec)",
    "misnamed-versions": "missing a required argument: 'where'; expected versions()",
    "misnamed-devices": "missing a required argument: 'where'; expected devices()",
    "misnamed-build": (
        "build(spec, params, device, precision, optimizer=None) lacks `dtype`; "
        "expected build(spec, params, *, device, dtype, optimizer=None)"
    ),
    "another-name": "has name = '\\x1b[2Jtorch'; expected name = 'another-name'",
    "no-object": "lacks `environment`; expected environment(",
    "lying-refusal": "`refusal` returns True (bool); expected a reason in words, or None",
    "lying-environment": "`environment['THREADS']` returns 4 (int); expected a string",
    "bad-variable": "`environment` returns 'A=B' (str); expected names of environment variables",
    "lying-optimizer": "`optimizer` returns 'adam' (str); expected an OptimizerSpec, the given one",
    "lying-versions": "AttributeError: 'str' object has no attribute 'items'",
    "lost-python": "its interpreter ended before it answered; its `environment` sets PYTHONHOME",
    "coloured": "not [31mtoday [0m or ever",
    "ending-refusal": "ended its process in `refusal` (exit status 3)",
    **{f"model-without-{m}": f"returns lacks `{m}`; expected {m}(" for m in OF_THE_MODEL},
    **{f"model-misnamed-{m}": f"; expected {m}(" for m in OF_THE_MODEL},
    **{f"model-raises-{m}": "KeyError: 'no such \\x1b[31msetting'" for m in OF_THE_MODEL},
}

ENTRY_POINTS = {name: f"third_party:{name.replace('-', '_')}" for name in FACTORIES}
_BY_ATTRIBUTE = {name.replace("-", "_"): factory for name, factory in FACTORIES.items()}


def __getattr__(attribute: str) -> Callable[[], Any]:
    """`third_party:without_build` is the factory of "without-build"."""
    if attribute not in _BY_ATTRIBUTE:
        raise AttributeError(attribute)
    return _BY_ATTRIBUTE[attribute]

"""Which variants there are: the built-in table, and entry points of "rnnbench.backends".

Nothing here imports a framework. A backend that cannot be had is never an exception of the whole:
it is an `Entry` whose `problem` says why and what to do.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import Any, cast

from backends.interface import Backend

GROUP = "rnnbench.backends"
NAME = re.compile(r"(?!all$)[A-Za-z0-9][A-Za-z0-9._@+-]*")  # `all` means every one
MEMBERS = ("name", "environment", "refusal", "versions", "devices", "build")


@dataclass(frozen=True)
class Entry:
    """Where a variant comes from. `modules` must be importable before it can run."""

    name: str
    target: str  # "package.module:factory"
    modules: tuple[str, ...] = ()
    extra: str = ""  # of our own pyproject, for the install command
    default: bool = True  # in a run that names no backend
    origin: str = "built in"

    def missing(self) -> str | None:
        """Why it is not installed, with the command that installs it; None if it is."""
        absent = [module for module in self.modules if find_spec(module) is None]
        if not absent:
            return None
        command = f'pip install -e ".[{self.extra}]" -c constraints.txt'
        return f"{' and '.join(absent)} is not installed; install with: {command}"


BUILT_IN: tuple[Entry, ...] = (
    Entry("numpy", "backends.numpy_backend:numpy_backend"),
    Entry("torch", "backends.torch_backend:torch_nn", ("torch",), "torch"),
    Entry(
        "keras-tensorflow",
        "backends.keras_backend:keras_tensorflow",
        ("keras", "tensorflow"),
        "tensorflow",
    ),
    Entry(
        "keras-tensorflow-jit",
        "backends.keras_backend:keras_tensorflow_jit",
        ("keras", "tensorflow"),
        "tensorflow",
        default=False,
    ),
    Entry("keras-jax", "backends.keras_backend:keras_jax", ("keras", "jax"), "keras,jax"),
    Entry("keras-torch", "backends.keras_backend:keras_torch", ("keras", "torch"), "keras,torch"),
    Entry("jax", "backends.jax_backend:jax_scan", ("jax",), "jax"),
    Entry("flax", "backends.flax_backend:flax_nnx", ("jax", "flax"), "jax"),
    # A time loop in Python is what the notes teach, not what anyone should race.
    Entry(
        "torch-cell", "backends.torch_cell_backend:torch_cell", ("torch",), "torch", default=False
    ),
)


class UnknownBackendError(ValueError):
    """No variant of that name; the message lists those there are."""


class BrokenBackendError(RuntimeError):
    """A variant is there and cannot be used; the message says why."""


@cache
def table() -> Mapping[str, Entry]:
    """Every variant by name, built in first, plugins after them in the order of their names.

    Raises BrokenBackendError where two have one name: it would not be known whose number it is.
    """
    entries = {entry.name: entry for entry in BUILT_IN}
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        origin = _origin(point)
        if not NAME.fullmatch(point.name):
            raise BrokenBackendError(
                f"a backend of {origin} is named {point.name!r}; expected ASCII letters, digits "
                "and . _ @ + -, and not `all`: rename its entry point"
            )
        if point.name in entries:
            raise BrokenBackendError(
                f"two backends are named {point.name!r}: one {entries[point.name].origin}, one "
                f"from {origin}; uninstall or rename one of them"
            )
        entries[point.name] = Entry(point.name, point.value, origin=origin)
    return entries


def _origin(point: EntryPoint) -> str:
    distribution = point.dist
    return f"{distribution.name} {distribution.version}" if distribution else point.value


def find(name: str) -> Entry:
    """The entry of that name; raises UnknownBackendError."""
    entries = table()
    if name not in entries:
        raise UnknownBackendError(
            f"backend {name!r} is unknown; expected one of {', '.join(entries)}"
        )
    return entries[name]


def default_names() -> list[str]:
    """The variants of a run that names none: the built-in defaults and every plugin."""
    return [entry.name for entry in table().values() if entry.default]


@cache
def load(name: str) -> Backend:
    """The backend object itself. Imports its file, not its framework.

    Raises UnknownBackendError, or BrokenBackendError with the first line of what went wrong.
    """
    entry = find(name)
    module, _, factory = entry.target.partition(":")
    try:
        backend = getattr(importlib.import_module(module), factory)()
    except Exception as error:  # a stranger's code may raise anything; it becomes a named reason
        raise BrokenBackendError(
            f"{name} ({entry.origin}) cannot be loaded: {first_line(error)}"
        ) from error
    absent = _absent(backend, MEMBERS)
    if absent:
        raise BrokenBackendError(
            f"{name} ({entry.origin}) lacks {', '.join(absent)}; "
            f"a backend has {', '.join(MEMBERS)} (backends/interface.py)"
        )
    if backend.name != name:
        raise BrokenBackendError(
            f"{name} ({entry.origin}) calls itself {backend.name!r}; expected {name!r}"
        )
    return cast(Backend, backend)


def ask(name: str, member: str, *arguments: Any, **options: Any) -> Any:
    """What a pure member (environment, refusal, optimizer) of a backend gives.

    Raises BrokenBackendError where it is absent or raises: one variant's fault is not the run's.
    """
    backend = load(name)
    try:
        return getattr(backend, member)(*arguments, **options)
    except Exception as error:  # a stranger's code may raise anything; it becomes a named reason
        raise BrokenBackendError(
            f"{name} ({find(name).origin}) fails in `{member}`: {first_line(error)}"
        ) from error


def _absent(thing: object, members: Iterable[str]) -> list[str]:
    return [member for member in members if not hasattr(thing, member)]


def first_line(error: BaseException) -> str:
    """ "ImportError: no such file", without what follows."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__

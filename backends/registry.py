"""The list of variants, and everything that the harness may ask them before they run.

Variants come from the built-in table, from the entry points "rnnbench.backends", and from the
configuration of the current folder, which gives some an environment of their own. Nothing here
imports a framework, and third-party code is never imported into the process of a run
(`backends.plugins`). An unavailable backend does not raise: it is an `Entry` whose `problem` says
why and what to do.

The harness knows the backends only by this module and `backends.interface`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends.built_in import BUILT_IN as BUILT_IN
from backends.described import READERS
from backends.described import Activation as Activation
from backends.described import Described as Described
from backends.described import NotDescribableError as NotDescribableError
from backends.described import Shape as Shape
from backends.described import probe_shape as probe_shape
from backends.described import random_input as random_input
from backends.entry import Entry as Entry
from backends.features import supports
from backends.interface import Backend
from backends.plugins import entry_points, environments, loading, marks
from backends.plugins.entry_points import GROUP as GROUP
from backends.plugins.errors import BrokenBackendError as BrokenBackendError
from backends.plugins.errors import BrokenContractError as BrokenContractError
from backends.plugins.errors import DiedError as DiedError
from backends.plugins.errors import NoAnswerError as NoAnswerError
from backends.plugins.errors import ProcessError as ProcessError
from backends.plugins.errors import RaisedError as RaisedError
from backends.plugins.errors import StartError as StartError
from backends.plugins.errors import UnknownBackendError as UnknownBackendError
from backends.plugins.sanitize import first_line as first_line
from backends.plugins.sanitize import plain as plain
from backends.plugins.server import serve as serve

if TYPE_CHECKING:
    from backends.plugins.process import PythonProcess


@cache
def table() -> Mapping[str, Entry]:
    """Every variant by name: the built-in ones, plugins sorted by name, then those with an
    environment of their own.

    A variant that cannot be used is included, with its `problem`. Raises BrokenBackendError if the
    configuration cannot be read.
    """
    entries = {entry.name: entry for entry in BUILT_IN}
    for name, found in sorted(entry_points.find().items()):
        there = [entries[name]] if name in entries else []
        entries[name] = entry_points.only([*there, *found])
    try:
        own = environments.read(Path.cwd())
    except ValueError as error:
        raise BrokenBackendError(str(error)) from error
    for environment in own:
        entries[environment.name] = _in_own(environment)
    return entries


def _in_own(environment: environments.Environment) -> Entry:
    return Entry(
        environment.name,
        target="",
        origin=environment.file,
        runs=environment.backend,
        python=environment.python,
        problem=environment.problem,
    )


def find(name: str) -> Entry:
    """The entry of that name; raises UnknownBackendError, or BrokenBackendError if two have it."""
    entries = table()
    if name not in entries:
        raise UnknownBackendError(loading.unknown(name, list(entries)))
    if entries[name].ambiguous:
        raise BrokenBackendError(entries[name].problem)
    return entries[name]


def default_names(*, everything: bool = False) -> list[str]:
    """The variants of a run that names none: the default ones, or everything.

    Raises BrokenBackendError if two of them have the same name.
    """
    chosen = [entry for entry in table().values() if entry.default or everything]
    for entry in chosen:
        if entry.ambiguous:
            raise BrokenBackendError(f"{entry.problem}, or name the backends to run with --backend")
    return [entry.name for entry in chosen]


def missing(entry: Entry) -> str | None:
    """Why it cannot run and what to do; None if no reason is known."""
    if entry.problem:
        return entry.problem
    if entry.third_party:
        from backends.plugins import client  # it needs packages that a worker may lack

        return client.problem(entry)
    absent = entry.absent()
    if not absent:
        return None
    command = f'pip install -e ".[{entry.extra}]" -c constraints.txt'
    return f"{' and '.join(absent)} is not installed; install with: {command}"


@cache
def load(name: str) -> Backend:
    """The backend object itself, in this process. Imports its file, not its framework.

    Workers call it; a run calls it only for built-in variants (see `ask`). Raises
    UnknownBackendError, or BrokenBackendError with the first line of the error.
    """
    return loading.load(name)


def oracle(ops: Any = None) -> Backend:
    """The numpy backend, with whose results in float64 all others are compared.

    `ops` replaces functions of numpy, to show what another arithmetic does to the results.
    """
    from backends.numpy.backend import NumpyBackend

    return NumpyBackend() if ops is None else NumpyBackend(ops)


def ask(name: str, member: str, *arguments: Any, **options: Any) -> Any:
    """The result of a pure member (environment, refusal, supports, optimizer) of a backend.

    Those of `supports` are all given by name; a backend without it gives the reason (`features`).
    Raises UnknownBackendError, or BrokenBackendError if the member is missing or raises.
    """
    entry = find(name)
    if entry.problem:
        raise BrokenBackendError(entry.problem)
    if entry.third_party:
        from backends.plugins import client

        spec = arguments[0] if arguments else options.pop("spec", None)
        return client.answer(entry, member, spec, tuple(sorted(options.items())))
    backend = load(name)
    try:
        if member == "supports":
            return supports(backend, **options)
        return getattr(backend, member)(*arguments, **options)
    except Exception as error:  # any fault of a variant becomes its reason, not the run's end
        raise BrokenBackendError(
            f"{name} ({entry.origin}) fails in `{member}`: {first_line(error)}"
        ) from error


def start(python: str, server: str, variables: Mapping[str, str]) -> PythonProcess:
    """Start another Python that answers operations; see `PythonProcess`. Raises StartError."""
    from backends.plugins.process import PythonProcess

    return PythonProcess(python, server, variables)


def process_mark() -> tuple[str, str]:
    """A variable, and the beginning of its value, in the environment of all processes that were
    started here, and of those that they started.
    """
    return marks.VARIABLE, f"{marks.OF_THIS_RUN}-"


def reader(net: object) -> Callable[..., Described] | None:
    """The function that reads a net which a user wrote; None if `net` is none that can be read.

    It takes the net, and B and T (a `Shape`) for one that takes no others. It raises
    NotDescribableError for a net that no ModelSpec describes.
    """
    bases = {(base.__module__.partition(".")[0], base.__name__) for base in type(net).__mro__}
    for (package, kind), target in READERS.items():
        if any(package == found for found, _ in bases):
            module, _, name = target.partition(":")
            read = getattr(importlib.import_module(module), name)
            return read if (package, kind) in bases else None
    return None

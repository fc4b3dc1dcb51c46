"""Which variants there are: the built-in table, entry points of "rnnbench.backends", and those
that the current folder's configuration gives an environment of their own.

Nothing here imports a framework, and no stranger's code is imported into the process of a run: a
plugin, or a backend in another environment, is asked in a process of its own (`backends.probe`).
A backend that cannot be had is never an exception of the whole: it is an `Entry` whose `problem`
says why and what to do.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, cast

from backends import apart, environments
from backends.contract import Checked, ContractError, backend_faults
from backends.entries import BUILT_IN, Entry
from backends.interface import Backend
from backends.probe import ProbeError
from backends.words import first_line as first_line  # the worker's way to say what was raised
from backends.words import plain

GROUP = "rnnbench.backends"
NAME = environments.NAME


class UnknownBackendError(ValueError):
    """No variant of that name; the message lists those there are."""


class BrokenBackendError(RuntimeError):
    """A variant is there and cannot be used; the message says why."""


@cache
def table() -> Mapping[str, Entry]:
    """Every variant by name: built in, then plugins in the order of their names, then those that
    the current folder's configuration gives an environment of their own.

    One that cannot be used is there too, with its `problem`. Raises BrokenBackendError where the
    configuration cannot be read.
    """
    entries = {entry.name: entry for entry in BUILT_IN}
    for name, found in sorted(_plugins().items()):
        there = [entries[name]] if name in entries else []
        entries[name] = _only([*there, *found])
    try:
        own = environments.read(Path.cwd())
    except ValueError as error:
        raise BrokenBackendError(str(error)) from error
    for environment in own:
        entries[environment.name] = _in_own(environment)
    return entries


def _plugins() -> dict[str, list[Entry]]:
    """The entry points of this environment by name, each name as it can be typed."""
    found: dict[str, list[Entry]] = {}
    for point in entry_points(group=GROUP):
        name, problem = _typed(point.name), ""
        if name != point.name:
            problem = (
                f"a backend of {_origin(point)} is named {plain(repr(point.name), 100)}; expected "
                "ASCII letters, digits and . _ @ + -, and not `all`: rename its entry point"
            )
        entry = Entry(name, point.value, origin=_origin(point), plugin=True, problem=problem)
        found.setdefault(name, []).append(entry)
    return found


def _typed(name: str) -> str:
    """The name, or one like it that can be typed."""
    if NAME.fullmatch(name):
        return name
    typed = re.sub(r"[^A-Za-z0-9._@+-]", "_", name)[:100].lstrip("._@+-")
    return f"{typed or 'plugin'}-unnamed"


def _only(entries: list[Entry]) -> Entry:
    """The one there is; of several, none can be used: it would not be known whose number it is."""
    first = entries[0]
    if len(entries) == 1:
        return first
    if all(entry.problem for entry in entries):
        return replace(first, problem="; ".join(entry.problem for entry in entries))
    origins = [
        f"one {'from ' if e.plugin else ''}{e.origin}{f' ({e.target})' if e.plugin else ''}"
        for e in entries
    ]
    count = {2: "two"}.get(len(entries), str(len(entries)))
    problem = (
        f"{count} backends are named {first.name!r}: {', '.join(origins)}; uninstall or rename "
        f"{'one' if len(entries) == 2 else 'all but one'} of them"
    )
    return replace(first, problem=problem, ambiguous=True)


def _origin(point: EntryPoint) -> str:
    """ "rnnbench-cupy 0.1", by the distribution's own word."""
    distribution = point.dist
    if distribution is None:
        return "a folder without a distribution"
    return plain(f"{distribution.name} {distribution.version or 'of no version'}", 100)


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
    """The entry of that name; raises UnknownBackendError, or BrokenBackendError for one of two."""
    entries = table()
    if name not in entries:
        raise UnknownBackendError(
            f"backend {plain(name, 100)!r} is unknown; expected one of {', '.join(entries)}"
        )
    if entries[name].ambiguous:
        raise BrokenBackendError(entries[name].problem)
    return entries[name]


def default_names(*, everything: bool = False) -> list[str]:
    """The variants of a run that names none: those on by default, or everything.

    Raises BrokenBackendError where two of one name are among them.
    """
    chosen = [entry for entry in table().values() if entry.default or everything]
    for entry in chosen:
        if entry.ambiguous:
            raise BrokenBackendError(f"{entry.problem}, or name the backends to run with --backend")
    return [entry.name for entry in chosen]


def installed(name: str) -> Entry:
    """The entry that this interpreter has under that name, whatever the current folder configures.

    Built-in ones come first: the oracle is never a stranger's. Raises UnknownBackendError, or
    BrokenBackendError for a plugin that cannot be told from another.
    """
    own = {entry.name: entry for entry in BUILT_IN}
    if name in own:
        return own[name]
    plugins = _plugins()
    if name not in plugins:
        known = ", ".join([*own, *sorted(plugins)])
        raise UnknownBackendError(
            f"backend {plain(name, 100)!r} is unknown; expected one of {known}"
        )
    entry = _only(plugins[name])
    if entry.problem:
        raise BrokenBackendError(entry.problem)
    return entry


@cache
def load(name: str) -> Backend:
    """The backend object itself, in this process. Imports its file, not its framework.

    A worker calls this; so does a run for built-in variants, and for those alone: see `ask`.
    Raises UnknownBackendError, or BrokenBackendError with the first line of what went wrong.
    """
    entry = installed(name)
    try:
        return make(entry)
    except ContractError as error:
        raise BrokenBackendError(f"{name} ({entry.origin}) {error}") from error


def make(entry: Entry) -> Backend:
    """What the factory of `entry` gives, looked at; raises ContractError."""
    module, _, factory = entry.target.partition(":")
    if not module or not factory:
        raise ContractError(
            f"has the entry point {plain(repr(entry.target), 200)}; expected "
            "'package.module:factory'"
        )
    try:
        backend = getattr(importlib.import_module(module), factory)()
    except (Exception, SystemExit) as error:  # a stranger's code may raise anything
        raise ContractError(f"cannot be loaded: {first_line(error)}") from error
    if not entry.plugin:
        return cast(Backend, backend)
    if faults := backend_faults(backend, entry.name):
        raise ContractError("; ".join(faults))
    return cast(Backend, Checked(backend))


def ask(name: str, member: str, *arguments: Any, **options: Any) -> Any:
    """What a pure member (environment, refusal, optimizer) of a backend gives.

    Raises UnknownBackendError, or BrokenBackendError where it is absent or raises: one variant's
    fault is not the run's.
    """
    entry = find(name)
    if entry.problem:
        raise BrokenBackendError(entry.problem)
    if entry.asked_apart:
        spec = arguments[0] if arguments else None
        try:
            return apart.answer(entry, member, spec, tuple(sorted(options.items())))
        except ProbeError as error:
            raise BrokenBackendError(str(error)) from error
    backend = load(name)
    try:
        return getattr(backend, member)(*arguments, **options)
    except Exception as error:  # one variant's fault, whatever it is, becomes a named reason
        raise BrokenBackendError(
            f"{name} ({entry.origin}) fails in `{member}`: {first_line(error)}"
        ) from error

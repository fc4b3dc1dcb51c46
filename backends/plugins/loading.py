"""Loads a backend object by its name, in this process. Imports its file, not its framework.

Workers and the processes for plugins do this. The process of a run does it only for built-in
variants.
"""

from __future__ import annotations

import importlib
from typing import cast

from backends.built_in import BUILT_IN
from backends.entry import Entry
from backends.interface import Backend
from backends.plugins import entry_points
from backends.plugins.contract import Checked, backend_faults
from backends.plugins.errors import BrokenBackendError, ContractError, UnknownBackendError
from backends.plugins.sanitize import first_line, plain


def installed(name: str) -> Entry:
    """The entry with that name in this Python, without the configuration of the current folder.

    Built-in entries come first, so the oracle is never a plugin. Raises UnknownBackendError, or
    BrokenBackendError if several plugins have that name.
    """
    own = {entry.name: entry for entry in BUILT_IN}
    if name in own:
        return own[name]
    plugins = entry_points.find()
    if name not in plugins:
        raise UnknownBackendError(unknown(name, [*own, *sorted(plugins)]))
    entry = entry_points.only(plugins[name])
    if entry.problem:
        raise BrokenBackendError(entry.problem)
    return entry


def unknown(name: str, known: list[str]) -> str:
    """The message for an unknown name."""
    return f"backend {plain(name, 100)!r} is unknown; expected one of {', '.join(known)}"


def make(entry: Entry) -> Backend:
    """The checked result of the factory of `entry`; raises ContractError."""
    module, _, factory = entry.target.partition(":")
    if not module or not factory:
        raise ContractError(
            f"has the entry point {plain(repr(entry.target), 200)}; expected "
            "'package.module:factory'"
        )
    try:
        backend = getattr(importlib.import_module(module), factory)()
    except (Exception, SystemExit) as error:  # third-party code may raise anything
        raise ContractError(f"cannot be loaded: {first_line(error)}") from error
    if not entry.plugin:
        return cast(Backend, backend)
    if faults := backend_faults(backend, entry.name):
        raise ContractError("; ".join(faults))
    return cast(Backend, Checked(backend))


def load(name: str) -> Backend:
    """Raises UnknownBackendError, or BrokenBackendError with the first line of the error."""
    entry = installed(name)
    try:
        return make(entry)
    except ContractError as error:
        raise BrokenBackendError(f"{name} ({entry.origin}) {error}") from error

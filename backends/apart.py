"""Variants that are not imported into the process of a run: what each says, asked once.

Plugins, and backends in environments of their own.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import cache
from typing import TYPE_CHECKING, Any

from backends.probe import Probe, ProbeError
from tasks.spec import ModelSpec, OptimizerSpec

if TYPE_CHECKING:
    from backends.entries import Entry


@cache
def _probe(entry: Entry) -> Probe:
    return Probe(entry.interpreter, entry.backend)


@cache
def problem(entry: Entry) -> str | None:
    """What is in the way of a plugin, or of a backend in its own environment."""
    try:
        absent = _probe(entry).ask("load", {})
    except ProbeError as error:
        return f"{said(entry)} {error}"
    if not absent:
        return None
    return f"{said(entry)}: {' and '.join(absent)} is not installed; install it with its own pip"


@cache
def answer(
    entry: Entry,
    member: str,
    spec: ModelSpec | OptimizerSpec | None,
    options: tuple[tuple[str, Any], ...],
) -> Any:
    why = problem(entry)
    if why is not None:
        raise ProbeError(why)
    given = dict(options) if spec is None else {"spec": asdict(spec), **dict(options)}
    try:
        value = _probe(entry).ask(member, given)
    except ProbeError as error:
        raise ProbeError(f"{said(entry)} {error}") from error
    return OptimizerSpec(**value) if member == "optimizer" else value


def said(entry: Entry) -> str:
    own = f"{entry.runs} in an environment of its own, " if entry.own_environment else ""
    return f"{entry.name} ({own}{entry.origin})"

"""The backends that installed distributions offer under "rnnbench.backends", by name."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points

from backends.entry import Entry
from backends.plugins.environments import NAME
from backends.plugins.sanitize import plain

GROUP = "rnnbench.backends"


def find() -> dict[str, list[Entry]]:
    """The entry points of this environment by name; each name can be typed."""
    found: dict[str, list[Entry]] = {}
    for point in entry_points(group=GROUP):
        name, problem = _typed(point.name), ""
        if name != point.name:
            problem = (
                f"a backend of {_origin(point)} is named {plain(repr(point.name), 100)}; rename "
                "its entry point, to ASCII letters, digits and . _ @ + -, and not `all`"
            )
        entry = Entry(name, point.value, origin=_origin(point), plugin=True, problem=problem)
        found.setdefault(name, []).append(entry)
    return found


def only(entries: list[Entry]) -> Entry:
    """The only entry; of several, none can be used, because their results would be ambiguous."""
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


def _typed(name: str) -> str:
    """The name, or a similar one that can be typed."""
    if NAME.fullmatch(name):
        return name
    typed = re.sub(r"[^A-Za-z0-9._@+-]", "_", name)[:100].lstrip("._@+-")
    return f"{typed or 'plugin'}-unnamed"


def _origin(point: EntryPoint) -> str:
    """ "rnnbench-cupy 0.1": the distribution, from its own metadata."""
    distribution = point.dist
    if distribution is None:
        return "a folder without a distribution"
    return plain(f"{distribution.name} {distribution.version or 'of no version'}", 100)

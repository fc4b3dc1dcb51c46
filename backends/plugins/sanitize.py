"""Makes foreign text safe for a line in a terminal or a report."""

from __future__ import annotations

import unicodedata
from typing import Any

LONGEST = 1000  # characters of one message
_UNPRINTABLE = ("Cc", "Cf", "Cs", "Zl", "Zp")  # controls, direction marks, lone surrogates, breaks


def plain(words: object, longest: int = LONGEST) -> str:
    """One line without control characters (no colour, no cursor), cut after `longest`."""
    line = " ".join(_printable(str(words)[: 4 * longest]).split())
    return line if len(line) <= longest else line[:longest].rstrip() + " ..."


def plain_lines(words: str) -> str:
    """The same for each line; keeps line breaks and indents."""
    return "\n".join(_printable(line).rstrip() for line in words.split("\n"))


def plainly(value: Any) -> Any:
    """The same value, with `plain` applied to every string in it."""
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, dict):
        return {plainly(key): plainly(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(plainly, value))
    return value


def _printable(line: str) -> str:
    return "".join(" " if unicodedata.category(c) in _UNPRINTABLE else c for c in line)


def first_line(error: BaseException) -> str:
    """ "ImportError: no such file", without further lines."""
    lines = [line for line in map(plain, str(error).strip().splitlines()) if line]
    kind = plain(type(error).__name__)
    return f"{kind}: {lines[0]}" if lines else kind

"""The result of one check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# note: a measurement is right, but not all that it could be.
State = Literal["fine", "note", "spoils"]


@dataclass(frozen=True)
class Finding:
    """What a check found, and what to do about it."""

    about: str
    state: State
    found: str
    do: str = ""  # empty if it is fine


def fine(about: str, found: str) -> Finding:
    return Finding(about, "fine", found)

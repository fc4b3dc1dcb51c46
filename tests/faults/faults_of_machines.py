"""Later."""

from kit import Fault

FAULTS: list[Fault] = []

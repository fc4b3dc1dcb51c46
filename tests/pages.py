"""Reading the pages that reports are."""

from __future__ import annotations


def rows(markdown: str, first: str) -> list[list[str]]:
    """Entries of the table lines that start with `first`."""
    return [
        [entry.strip() for entry in line.strip("|").split(" | ")]
        for line in markdown.splitlines()
        if line.startswith(f"| {first} ")
    ]

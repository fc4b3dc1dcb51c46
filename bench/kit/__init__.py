"""The conformance kit: does a variant compute what the contract says, and how large are its errors?

`rnnbench check NAME` runs it. `bench.kit.conformance` turns it into pytest tests for the repository
of a plugin. `replay` repeats one case that the kit printed. docs/agreement.md lists the checks and
explains the bounds.
"""

from __future__ import annotations

from typing import Any

__all__ = ["CaseSpec", "replay"]


def __getattr__(name: str) -> Any:
    """Import on demand: `rnnbench list` does not wait for the imports of the kit."""
    if name == "CaseSpec":
        from bench.kit.case import CaseSpec

        return CaseSpec
    if name == "replay":
        from bench.kit.ask import replay

        return replay
    raise AttributeError(f"bench.kit has no {name!r}; it has {', '.join(__all__)}")

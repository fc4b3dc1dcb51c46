"""The conformance kit: does one variant compute what the contract says, and how far is it off?

`rnnbench check NAME` runs it; `bench.kit.conformance` makes a pytest suite of it for a repository
of its own; `replay` asks again about one case that it printed. docs/agreement.md says what it
checks and where the bounds come from.
"""

from __future__ import annotations

from typing import Any

__all__ = ["CaseSpec", "replay"]


def __getattr__(name: str) -> Any:
    """On demand: `rnnbench list` need not wait for what the kit imports."""
    if name == "CaseSpec":
        from bench.kit.case import CaseSpec

        return CaseSpec
    if name == "replay":
        from bench.kit.ask import replay

        return replay
    raise AttributeError(f"bench.kit has no {name!r}; expected one of {', '.join(__all__)}")

"""The conformance kit: does one variant compute what the contract says, and how far is it off?

`rnnbench check NAME` runs it; `bench.check.plugin` makes a pytest suite of it for a repository of
its own; `replay` asks again about one example that it printed. docs/agreement.md says what it
checks and where the bounds come from.
"""

from __future__ import annotations

from typing import Any

__all__ = ["Example", "replay"]


def __getattr__(name: str) -> Any:
    """On demand: `rnnbench list` need not wait for what the kit imports."""
    if name == "Example":
        from bench.check.example import Example

        return Example
    if name == "replay":
        from bench.check.ask import replay

        return replay
    raise AttributeError(f"bench.check has no {name!r}; expected one of {', '.join(__all__)}")

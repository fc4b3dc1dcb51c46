"""How much is drawn, and a last word on how much was compared."""

from __future__ import annotations

import os

import hypothesis
import pytest
from tally import TALLY

_COMMON = {
    "deadline": None,
    "database": None,
    # A failing example is made smaller by the kit, which knows how long that may take.
    "phases": [hypothesis.Phase.explicit, hypothesis.Phase.generate],
    "suppress_health_check": list(hypothesis.HealthCheck),
}
hypothesis.settings.register_profile("ci", derandomize=True, max_examples=8, **_COMMON)
hypothesis.settings.register_profile("long", max_examples=300, print_blob=True, **_COMMON)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many tensors of how many variants were compared with the oracle's in this session."""
    for line in TALLY.lines():
        terminalreporter.write_line(line)

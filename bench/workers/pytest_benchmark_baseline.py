"""pytest-benchmark's own sequential loop, with which `rnnbench selftest` compares this harness."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

_TEST = """
def test_step(benchmark, step):
    benchmark(step)
"""


def median_seconds(step: Callable[[], Any], seconds: float) -> float:
    """Median seconds of `step` by the `benchmark` fixture with its defaults, run for `seconds`.

    This is a whole pytest session in this process, so it uses public options only. Raises
    RuntimeError if that session fails.
    """
    import pytest

    class Given:
        @pytest.fixture
        def step(self) -> Callable[[], Any]:
            return step

    with tempfile.TemporaryDirectory() as folder:
        test, result = Path(folder, "test_step.py"), Path(folder, "result.json")
        test.write_text(_TEST)
        Path(folder, "pytest.ini").write_text("[pytest]\n")
        code = pytest.main(
            [
                f"--rootdir={folder}",
                f"--config-file={folder}/pytest.ini",
                f"--benchmark-json={result}",
                f"--benchmark-max-time={seconds}",
                "--import-mode=importlib",  # the file has the same name in another folder each time
                "--quiet",
                "-p",
                "no:cacheprovider",
                str(test),
            ],
            plugins=[Given()],
        )
        if code:
            raise RuntimeError(f"pytest-benchmark's own loop ended with {code!r}; expected 0")
        found = json.loads(result.read_text())
    return float(found["benchmarks"][0]["stats"]["median"])

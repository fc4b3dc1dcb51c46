"""pytest-benchmark's JSON files, written whole or not at all.

An error there would end the session with a traceback, before its summary and the report. So it is
kept in words, and the run goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pytest_benchmark.utils import safe_dumps

from bench.records.store import write_whole


def guard(config: pytest.Config, faults: list[str], folder: Callable[[], Path]) -> None:
    """Have its session write through this module; `faults` gets what cannot be written.

    `folder` is that of the run. It changes if the run is rescued into another one.
    """
    session: Any = config._benchmarksession  # type: ignore[attr-defined]
    if session.json:
        own = Path(session.json).resolve() == (folder() / "benchmark.json").resolve()

        def save_json(output: dict[str, Any]) -> None:
            target = folder() / "benchmark.json" if own else Path(session.json)
            if _write(target, output, faults):
                session.logger.info(f"Wrote benchmark data in: {target}", purple=True)

        session.save_json = save_json
    save = session.storage.save

    def save_in_storage(output: dict[str, Any], name: str) -> None:
        try:
            save(output, name)
        except OSError as error:
            faults.append(f"--benchmark-save: {error.filename or name}: {error.strerror}")

    session.storage.save = save_in_storage


def write_further(
    config: pytest.Config, folder: Path, output: dict[str, Any], faults: list[str]
) -> None:
    """Write it into the folder of the run too, where the user has named another place."""
    file = folder / "benchmark.json"
    if folder.is_dir() and config.getoption("benchmark_json") != file:
        _write(file, output, faults)


def _write(file: Path, output: dict[str, Any], faults: list[str]) -> bool:
    content = safe_dumps(output, ensure_ascii=True, indent=4).encode()
    try:
        if file.exists() and not file.is_file():
            file.write_bytes(content)  # a device such as /dev/stdout is never replaced
        else:
            write_whole(file, content)
    except OSError as error:
        faults.append(f"{file} cannot be written: {error.strerror}; the records have all of it")
        return False
    return True

"""One set of workers for all that is asked of the variants: starting them takes a minute."""

from __future__ import annotations

from collections.abc import Iterator

import asked
import pytest

from bench.workers.pool import WorkerPool


@pytest.fixture(scope="package")
def pool() -> Iterator[WorkerPool]:
    yield from asked.opened()

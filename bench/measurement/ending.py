"""What ends a run before its time: each ends the session of pytest, which then makes the report."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bench import signals
from bench.workers.time_limits import RunTimeUpError


class EndedRunError(pytest.exit.Exception):  # type: ignore[name-defined]
    """A limit of the run, or its folder. The message says which."""

    def __init__(self, why: str, returncode: int = pytest.ExitCode.TESTS_FAILED) -> None:
        super().__init__(why, returncode=returncode)


class InterruptedRunError(EndedRunError):
    """Ctrl-C while a run measures, or another signal that ends it."""

    def __init__(self) -> None:
        super().__init__(signals.received.in_words, pytest.ExitCode.INTERRUPTED)


INTERRUPTIONS = (KeyboardInterrupt, InterruptedRunError)


@contextmanager
def ends_the_run() -> Iterator[None]:
    """A signal or the end of the run's time, without the place in the code that it met."""
    try:
        yield
    except KeyboardInterrupt:
        raise InterruptedRunError from None
    except RunTimeUpError as error:
        raise EndedRunError(str(error)) from None

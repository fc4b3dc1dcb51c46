"""`rnnbench` in this process: for all that a user reads before anything is measured."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from bench.cli import app

# What a session of pytest would change in the session that runs these tests.
QUIET = ("-p", "no:faulthandler", "-p", "no:cacheprovider")


def rnnbench(*arguments: object) -> tuple[int, str]:
    """Its exit status, and all that it prints."""
    result = CliRunner().invoke(app.app, [*map(str, arguments)], prog_name="rnnbench")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def asked(reports: Path, *arguments: str) -> tuple[int, str]:
    """`rnnbench run`, which must not get as far as to measure anything."""
    return rnnbench("run", *QUIET, f"--reports={reports}", *arguments)

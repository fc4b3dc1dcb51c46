"""`rnnbench compare RUN RUN [...]`: reads, compares, prints, and fails where it was asked to."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, NoReturn

import typer


def command(
    runs: Annotated[
        list[Path],
        typer.Argument(help="folders of runs, or JSON files of pytest-benchmark; the base first"),
    ],
    fail_if_slower: Annotated[
        str | None,
        typer.Option(metavar="PERCENT", help="exit 1 where a variant is slower by that, surely"),
    ] = None,
    force: Annotated[
        bool, typer.Option(help="compare other specs, dtypes, threads, machines, and say so")
    ] = False,
) -> None:
    """Runs side by side: what is slower or faster than in the first, and how sure that is."""
    # Here, so that the other commands start without what statistics need.
    from bench import compare, comparison, sides
    from bench.comparable import match

    limit = _percent(fail_if_slower)
    if len(runs) < 2:
        _wrong(f"one run was given ({runs[0]}); expected two or more, the base first")
    try:
        base, *others = [sides.read(path) for path in runs]
        pairs = [match(base, other, force=force) for other in others]
        results = [
            compare.compare(pair.base, pair.other, same_machine=pair.same_machine) for pair in pairs
        ]
    except (FileNotFoundError, ValueError) as error:
        _wrong(str(error))
    failed = []
    for pair, result in zip(pairs, results, strict=True):
        typer.echo(comparison.render(pair, result))
        failed += comparison.failures(pair, result, limit) if limit is not None else []
    for line in failed:
        typer.echo(f"FAILED: {line}")
    if failed:
        raise typer.Exit(1)


def _percent(value: str | None) -> float | None:
    """0.05 of "5%" or "5"; None where the option was not given."""
    if value is None:
        return None
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%?\s*", value)
    if found is None:
        _wrong(f"--fail-if-slower {value!r}: expected a number of percent, as in 5%")
    return float(found[1]) / 100


def _wrong(message: str) -> NoReturn:
    typer.echo(f"rnnbench: {message}", err=True)
    raise typer.Exit(2)

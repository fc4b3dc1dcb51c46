"""`rnnbench compare RUN RUN [...]`: reads, compares, prints, and fails where it was asked to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.analysis import text
from bench.cli.console import errors, line, wrong_use
from bench.config import validation


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Folders of runs, or JSON files of pytest-benchmark. The base first."),
    ],
    fail_if_slower: Annotated[
        str | None,
        typer.Option(
            metavar="PERCENT",
            help="Exit with 1 where a variant is called slower (Holm's procedure, 2.5 %) and its "
            "ratio is at least that much above 1, or where it has lost its time.",
        ),
    ] = None,
    fail_if_unclear: Annotated[
        bool,
        typer.Option(
            help="Exit with 1 also where nothing rules that out, as a 95 % interval does."
        ),
    ] = False,
    force: Annotated[
        bool,
        typer.Option(help="Compare other models, dtypes, threads or machines too, and say so."),
    ] = False,
) -> None:
    """Compare runs: say what is slower or faster than in the first, and how sure that is."""
    # Here, so that the other commands start without what statistics need.
    from bench.compare import changes, render
    from bench.compare.matching import match
    from bench.compare.runs import read

    limit = _percent(fail_if_slower)
    if fail_if_unclear and limit is None:
        wrong_use(
            "--fail-if-unclear was given without --fail-if-slower; expected the slow-down that "
            "must be ruled out, as in --fail-if-slower=5%",
            errors,
        )
    if len(runs) < 2:
        wrong_use(f"one run was given ({runs[0]}); expected two or more, the base first", errors)
    try:
        base, *others = map(read, runs)
        pairs = [match(base, other, force=force) for other in others]
        results = [
            changes.compare(pair.base, pair.other, same_machine=pair.same_machine) for pair in pairs
        ]
    except (FileNotFoundError, ValueError) as error:
        wrong_use(str(error), errors)
    for found in (base, *others):
        for damaged in found.damaged:
            line(text.plain(f"{found.name}: {damaged}; it is left out"), errors)
    failed = []
    for pair, result in zip(pairs, results, strict=True):
        line(render.render(pair, result, limit))
        if limit is not None:
            failed += render.failures(pair, result, limit)
            failed += render.unclear(pair, result, limit) if fail_if_unclear else []
    for failure in failed:
        line(f"FAILED: {failure}")
    if failed:
        raise typer.Exit(1)


def _percent(value: str | None) -> float | None:
    """0.05 of "5%" or "5"; None where the option was not given."""
    try:
        return None if value is None else validation.percent("fail-if-slower", value)
    except ValueError as error:
        wrong_use(str(error), errors)

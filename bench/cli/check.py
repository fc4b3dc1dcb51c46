"""`rnnbench check NAME`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Annotated

import typer

from backends import registry
from backends.interface import PHASES
from bench.cli.console import Table, console, line, show, table, wrong_use
from bench.config import validation
from bench.kit.findings import Findings, Pairs
from bench.kit.plan import DTYPES, LONG, ON_REQUEST, SHORT
from tasks.spec import CELLS

SHOWN = 5  # failures in words; all of them are counted


def check(
    name: Annotated[str, typer.Argument(help="A variant, as `rnnbench list` names it.")],
    seed: Annotated[int, typer.Option(help="The seed of the random models.")] = 0,
    cell: Annotated[
        str | None, typer.Option(help="The cells to check, separated by commas. Default: all.")
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(help=f"Of {', '.join((*DTYPES, *ON_REQUEST))}. Default: {','.join(DTYPES)}."),
    ] = None,
    device: Annotated[str, typer.Option(help="Where the models run: cpu, cuda:0, ...")] = "cpu",
    models: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="How many random models of each dtype follow those that are always checked. "
            f"Default: {SHORT.models}.",
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            min=1.0,
            help="Begin no further model after this time; a check that leaves models out is "
            "incomplete. Default: no limit.",
        ),
    ] = None,
    long: Annotated[
        bool, typer.Option("--long", help="Check 400 random models, which may take half an hour.")
    ] = False,
) -> None:
    """Check one variant against the oracle: what is right, what is wrong, and how far.

    What the variant refuses is shown with its reason.

    Exit status: 0 all good; 1 something is wrong, nothing was compared, or models were left out;
    2 wrong use.
    """
    from bench.kit import ask  # with hypothesis, for which no other command need wait

    if long and models is not None:
        wrong_use("--models has no effect beside --long, which sets the number; leave one out")
    try:
        cells = validation.names("cell", cell, CELLS) or CELLS
        dtypes = validation.dtypes("dtype", dtype, (*DTYPES, *ON_REQUEST)) if dtype else DTYPES
        validation.known_backend(name)
        missing = ask.missing(name)
    except (ValueError, registry.BrokenBackendError) as error:
        wrong_use(str(error))
    if missing:
        wrong_use(missing)
    plan = LONG if long else dataclasses.replace(SHORT, models=models or SHORT.models)
    plan = dataclasses.replace(plan, seed=seed, cells=cells, dtypes=dtypes)
    plan = dataclasses.replace(plan, seconds=seconds or plan.seconds)
    with console.status("") as status:
        findings = ask.check(name, device=device, plan=plan, progress=status.update)
    _show(findings, dtypes)
    raise typer.Exit(0 if findings.ok and findings.complete else 1)


def _show(findings: Findings, dtypes: tuple[str, ...]) -> None:
    """Print all of it. Nothing that a command or a line to copy holds is wrapped."""
    versions = "".join(f", {name} {number}" for name, number in findings.versions.items())
    line(f"{findings.name} on {findings.device}{versions}; seed {findings.seed}")
    for dtype, path in findings.paths.items():
        line(f"{dtype}: {path}")
    line()
    for made, rows in ((_checks, findings.lines), (_errors, findings.worst)):
        if rows:
            show(made(findings))
            line()
    for words in _unchecked(findings, dtypes):
        line(words)
    for number, failure in enumerate(findings.failures[:SHOWN], 1):
        line()
        for words in findings.describe(failure, number):
            line(words)
    line()
    line(_verdict(findings))


def _checks(findings: Findings) -> Table:
    found = table("check", "dtype", "models", "tensors", "verdict")
    for (check, dtype), counts in findings.lines.items():
        verdict = "right" if counts.models else "not made"
        if counts.failures:
            verdict = f"{counts.failures} wrong"
        numbers = str(counts.models), str(counts.tensors) if counts.tensors else ""
        found.add_row(check, dtype, *numbers, verdict)
    return found


def _errors(findings: Findings) -> Table:
    found = table("largest error", "dtype", "tensor", "off by", "may be")
    for (dtype, kind), error in findings.worst.items():
        off = "no number" if error.error is None else f"{error.error:.1e}"
        found.add_row(kind, dtype, error.name, off, f"{error.bound:.1e}")
    return found


def _unchecked(findings: Findings, dtypes: tuple[str, ...]) -> Iterator[str]:
    """The pairs of levels; refusals with reasons; cases that tell nothing or were left out."""
    if findings.pairs is not None:
        yield _pairs(findings.pairs)
    for reason, of in findings.refusals.items():
        words = [
            _some(of["cell"], CELLS, "every cell asked"),
            _some(of["dtype"], dtypes, "every dtype asked"),
            _some(of["phase"], PHASES, "every phase"),
        ]
        yield f"refused ({'; '.join(words)}): {reason}"
    for reason, count in findings.dropped.items():
        yield f"left out {count}: {reason}"
    for (check, dtype), counts in findings.lines.items():
        if counts.unasked and not findings.failures:
            why = "the check was interrupted" if findings.interrupted else "the time was up"
            yield f"{check}, {dtype}: {counts.unasked} more models were not asked: {why}"


def _pairs(pairs: Pairs) -> str:
    of = f"{pairs.covered} of {pairs.feasible} feasible pairs of levels"
    return f"the fixed models have {of} of two fields; {pairs.infeasible} pairs are infeasible"


def _some(found: set[str], every: tuple[str, ...], everything: str) -> str:
    if set(every) <= found:
        return everything
    return ", ".join(sorted(found, key=every.index))


def _verdict(findings: Findings) -> str:
    took = (
        f"{findings.tensors} tensors compared in {findings.seconds:.0f} s, "
        f"{findings.building_seconds:.0f} s of it for building and first calls"
    )
    asked = f"{findings.asked} of {findings.asked + findings.unasked} models asked"
    if findings.failures:
        return f"{findings.name} FAILS: {len(findings.failures)} wrong; {took}"
    if not findings.complete:
        stopped = "interrupted, " if findings.interrupted else ""
        return f"{findings.name} is incomplete: {stopped}{asked}; {took}"
    if not findings.tensors:
        return f"{findings.name} FAILS: nothing was compared, everything is refused"
    return f"{findings.name} passes: complete, {asked}; {took}"

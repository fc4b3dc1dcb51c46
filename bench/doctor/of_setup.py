"""Checks of what a run finds on this machine: variables, frameworks, selftest, its folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from backends import registry
from bench.analysis import text, verdicts
from bench.doctor import variables as of_variables
from bench.doctor.finding import Finding, fine
from bench.selftest import store
from bench.workers import environment

LEAST_DISK = 100 * 2**20  # bytes


def variables() -> Iterator[Finding]:
    """One finding for each variable that changes numbers or times."""
    found = [
        Finding(name, "spoils", f"set to {text.plain(value, 60)!r}: {why}", f"`unset {name}`")
        for name, value in sorted(os.environ.items())
        if value and (why := of_variables.effect(name))
    ]
    yield from found
    if not found:
        yield fine("environment", "no variable that changes numbers or times")
    threads = sorted(environment.THREAD_VARIABLES & {n for n, v in os.environ.items() if v})
    if threads:
        yield Finding(
            "threads",
            "note",
            f"{', '.join(f'{name}={os.environ[name]}' for name in threads)}",
            "They count with --threads=default alone: otherwise each variant sets its own.",
        )


def frameworks() -> Iterator[Finding]:
    """The variants of a default run, and what keeps each of the others from running."""
    try:
        entries = [entry for entry in registry.table().values() if entry.default]
    except registry.BrokenBackendError as error:
        yield Finding("variants", "spoils", str(error), "`rnnbench list` shows all of them.")
        return
    missing = {entry.name: problem for entry in entries if (problem := registry.missing(entry))}
    there = [entry.name for entry in entries if entry.name not in missing]
    if there:
        yield fine("variants", ", ".join(there))
    by_problem: dict[str, list[str]] = {}
    for name, problem in missing.items():
        by_problem.setdefault(
            problem.removeprefix(f"{name} ").removeprefix(f"{name}: "), []
        ).append(name)
    for problem, names in by_problem.items():
        yield Finding(
            ", ".join(names), "note", problem, "Without it a run leaves these variants out."
        )


def selftest() -> Finding:
    """Whether this machine knows how much two processes of the same program differ."""
    about, found = "selftest", store.load()
    make = "`rnnbench selftest` takes a few minutes on a quiet machine."
    if found is None:
        assumed = text.share(verdicts.ASSUMED.deviation)
        words = f"none on this machine: intervals assume {assumed} between two processes"
        return Finding(about, "note", words, make)
    measured = found.between_process
    words = (
        f"of {text.date(found.started)}: two processes differ by {text.share(measured.deviation)}"
    )
    if found.disturbed > verdicts.MOST_DISTURBED:
        disturbed = f"{words}, but {text.share(found.disturbed)} of its blocks were disturbed"
        return Finding(about, "note", disturbed, make)
    return fine(about, words)


def folder(reports: Path) -> Finding:
    """Whether a run can write its report."""
    there = next(path for path in (reports, *reports.resolve().parents) if path.is_dir())
    free = shutil.disk_usage(there).free
    if not os.access(there, os.W_OK):
        return Finding("reports", "spoils", f"{reports} cannot be written", "Use --reports=DIR.")
    if free < LEAST_DISK:
        found = f"{text.mebibytes(free)} free for {reports}"
        return Finding("reports", "spoils", found, "Make room, or use --reports=DIR.")
    return fine("reports", f"{reports} can be written")

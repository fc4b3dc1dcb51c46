"""All that a page shows, as values for JSON: choices, answers, rows. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.analysis import break_even, estimators, text, workload_view
from bench.analysis.workload_view import WorkloadView
from bench.records.schema import Measurement, Run, WorkloadRecord
from bench.report.html import choices, curves, lessons, marks
from bench.report.html.choices import CHOICES, LONGEST_NAME
from bench.report.html.rows import COLUMNS, names, rows
from bench.report.markdown import conditions, machine, sentences, tables
from bench.report.words import Part, parts

Records = tuple[Run, Sequence[Measurement], Sequence[WorkloadRecord]]


def data(runs: Sequence[Records]) -> dict[str, Any]:
    """The runs of a page; a choice is a list of values in the order of CHOICES."""
    found: dict[str, Any] = {
        "choices": CHOICES,
        "columns": COLUMNS,
        "runs": [],
        "workloads": [],
        "sweeps": [],
    }
    variants: dict[str, None] = {}
    for run, measurements, records in runs:
        views = workload_view.views(run, measurements, records)
        taken = [each["name"] for each in found["runs"]]
        name = text.numbered(text.plain(run.name, LONGEST_NAME), taken)
        first = len(found["workloads"])
        found["runs"].append(_run(run, name, measurements, views))
        found["workloads"] += [
            _workload(run, view, choice)
            for view, choice in zip(views, choices.of_workloads(name, views), strict=True)
        ]
        found["sweeps"] += curves.curves(name, views, first)
        for view in views:
            variants |= dict.fromkeys(names(view).values())
    return {**found, "marks": marks.marks(variants), "baseline": marks.baseline()}


def _run(
    run: Run, name: str, measurements: Sequence[Measurement], views: Sequence[WorkloadView]
) -> dict[str, Any]:
    variants = [m for m in measurements if m.role == "variant"]
    versions = {
        text.plain(m.variant, LONGEST_NAME): ", ".join(
            text.plain(f"{package} {number}", LONGEST_NAME)
            for package, number in m.versions.items()
        )
        for m in variants
        if m.versions
    }
    return {
        "name": name,
        "started": text.plain(text.date(run.started)),
        "command": text.plain(run.command),
        "project": text.plain(f"{run.project}, commit {run.commit or 'unknown'}"),
        "serial": run.serial,
        "load": parts(conditions.machine_line(run, views)) if views else [],
        "machine": [[title, parts(value)] for title, value in _machine(run, views) if value],
        "warnings": [parts(warning) for warning in conditions.warnings(run, views)],
        "agreement": parts(sentences.agreement(variants)),
        "versions": versions,
    }


def _machine(run: Run, views: Sequence[WorkloadView]) -> list[tuple[str, str]]:
    """The machine by its parts, each with its name; escaped."""
    found = machine.view(run, {view.workload.dtype for view in views})
    return [
        ("Processor", f"{found.processor}, {found.cores} for this run"),
        ("bfloat16", found.bfloat16),
        ("Memory", found.memory),
        ("GPU", ", ".join(found.gpus) or "none"),
        ("System", found.system),
        ("Python", found.python),
        ("Frequency governor", found.governor),
        ("Pinning", "" if found.pinning else "this system cannot bind workers to cores"),
        ("Environment variables", found.environment),
        ("Memory limit", found.memory_limit),
        ("Resumed", text.listing(map(text.date, run.resumed))),
    ]


def _workload(run: Run, view: WorkloadView, choice: list[str]) -> dict[str, Any]:
    baseline = view.baseline
    seconds = estimators.median_seconds(baseline) if baseline and baseline.round_seconds else None
    about = (
        *tables.model_in_words(view.workload).splitlines(),
        conditions.references(view),
        sentences.dropout(view),
        sentences.denormal(view),
        conditions.around_rounds(view),
    )
    return {
        "choice": choice,
        "id": text.plain(view.workload.id, LONGEST_NAME),
        "answer": _answer(view),
        "warnings": [parts(each) for each in conditions.warnings(run, [view])],
        "cold": parts(sentences.with_cold_start(view)),
        "about": [parts(line) for line in about if line],
        "baseline": seconds,
        "baseline_text": "" if seconds is None else text.duration(seconds),
        "reach": break_even.reach(view) if view.ranked else None,
        "overtakes": _overtakes(view),
        "lesson": lessons.lesson(view),
        "rows": rows(run, view),
    }


def _answer(view: WorkloadView) -> list[Part]:
    """Who is fastest; the markdown's sentence, which continues a line there, as a sentence."""
    sentence = sentences.of_workload(view)
    if not sentence.startswith(("*", *view.ranked)):  # a name keeps its letters
        sentence = sentence[:1].upper() + sentence[1:]
    return parts(sentence)


def _overtakes(view: WorkloadView) -> list[dict[str, Any]]:
    """Where a variant gets ahead of the one that was first until then, cold start included."""
    called = names(view)
    return [
        {
            "steps": found.steps,
            "total": found.after.of(found.steps),
            "text": f"{called[found.after.label]} is ahead of {called[found.before.label]} from "
            f"step {found.steps:,} ({found.low:,} to {found.high:,})",
        }
        for found in break_even.break_evens(view)
    ]

"""A run in words: the summary in the terminal, gpu.md, and the table of docs/gpu.md. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.analysis import text
from bench.gpu.records import Answer, GpuRun, PartRecord

MOST_LINES = 40  # of the summary
WIDEST = 150  # characters of one of its lines
HEAD = "# GPU run"
NO_RUN = (
    "No run on a GPU is committed yet. Everything in this table is written and rehearsed on a CPU; "
    "none of it has ever run on a GPU."
)


def line(part: PartRecord) -> str:
    """One part: "good          12.3 s  agree-numpy: 12 passed"."""
    seconds = f"{part.seconds:.1f} s" if part.log else "-"
    found = text.plain(f"{part.name}: {part.result}", WIDEST)
    return f"{part.status:<11} {seconds:>8}  {found}"


def summary(run: GpuRun, folder: str) -> list[str]:
    """At most MOST_LINES lines: what is bad first, and what is skipped together."""
    head = [*_what(run), ""]
    order = ("failed", "timed out", "not reached", "found", "good")
    lines = [line(p) for status in order for p in run.parts if p.status == status]
    skipped = [part.name for part in run.parts if part.status == "skipped"]
    tail = [f"skipped: {', '.join(skipped)}"[: 2 * WIDEST]] if skipped else []
    tail += ["", f"{_counts(run)}, in {run.seconds:.0f} s", f"report: {folder}/gpu.md"]
    room = MOST_LINES - len(head) - len(tail)
    if len(lines) > room:
        more = len(lines) - room + 1
        lines = [*lines[: room - 1], f"and {more} more, in {folder}/gpu.md"]
    return [*head, *lines, *tail]


def _what(run: GpuRun) -> Iterator[str]:
    rehearsal = " (a rehearsal: nothing here ran on a GPU)" if run.device == "cpu" else ""
    yield f"device {run.device}{rehearsal}"
    yield from run.gpus or ("the driver names no GPU",)
    yield f"{run.machine.python}, {run.machine.system}; {text.plain(_versions(run), WIDEST)}"


def _versions(run: GpuRun) -> str:
    every = {name: number for answer in run.answers for name, number in answer.versions.items()}
    return ", ".join(f"{name} {number}" for name, number in every.items()) or "no framework"


def _counts(run: GpuRun) -> str:
    """ "20 good, 1 failed, 3 skipped"."""
    order = ("good", "found", "failed", "timed out", "not reached", "skipped")
    counts = {status: sum(part.status == status for part in run.parts) for status in order}
    return ", ".join(f"{count} {status}" for status, count in counts.items() if count)


def page(run: GpuRun) -> str:
    """gpu.md."""
    return "\n".join(_page(run)) + "\n"


def _page(run: GpuRun) -> Iterator[str]:
    yield f"{HEAD} {text.escape(run.name)}"
    yield ""
    if run.device == "cpu":
        yield "A rehearsal on the CPU: nothing here ran on a GPU, and the times mean nothing."
        yield ""
    yield f"- date: {text.date(run.started)}"
    yield f"- device: {text.escape(run.device)}"
    yield from (f"- GPU: {text.escape(gpu)}" for gpu in run.gpus)
    machine = f"{run.machine.cpu}, {text.plural(run.machine.cores, 'core')}"
    yield f"- machine: {text.escape(machine)}, {text.escape(run.machine.system)}"
    yield f"- Python: {text.escape(run.machine.python)}; rnnbench {text.escape(run.project)}"
    if run.commit:
        yield f"- commit: {text.escape(run.commit)}"
    yield f"- {_counts(run)}, in {run.seconds:.0f} s of {60 * run.minutes:.0f} s"
    yield ""
    yield "## Parts"
    yield ""
    heads = ("part", "result", "time", "limit", "what it is for", "what was found")
    yield text.table(heads, [_row(part) for part in run.parts], right=(2, 3))
    yield ""
    yield from _installed(run.answers)
    for part in run.parts:
        if part.last_lines:
            yield from ("", f"## {text.escape(part.name)}: the end of its log", "")
            yield from (f"    {line}" for line in part.last_lines)


def _row(part: PartRecord) -> tuple[str, ...]:
    name = text.escape(part.name)
    times = (f"{part.seconds:.1f} s", f"{part.limit_seconds:.0f} s") if part.log else ("", "")
    linked = f"[{name}]({part.log})" if part.log else name
    return linked, part.status, *times, text.escape(part.proves), text.escape(part.result)


def _installed(answers: Sequence[Answer]) -> Iterator[str]:
    if not answers:
        return
    yield "## What is installed"
    yield ""
    rows = [
        (
            text.escape(answer.variant),
            text.listing(f"{name} {number}" for name, number in answer.versions.items()),
            text.escape(answer.problem or ", ".join(answer.devices)),
        )
        for answer in answers
    ]
    yield text.table(("variant", "versions", "devices"), rows)


def paths(parts: Sequence[tuple[str, str]], runs: Sequence[GpuRun]) -> str:
    """The table of docs/gpu.md: each (part, what it is for) with its newest run on a GPU that
    reached it.
    """
    newest: dict[str, tuple[GpuRun, PartRecord]] = {}
    for run in runs:  # the oldest first
        newest |= {p.name: (run, p) for p in run.parts if p.log}
    rows = []
    for name, proves in parts:
        found = newest.get(name)
        what = (text.escape(name), text.escape(proves))
        rows.append((*what, *(_ran(*found) if found else ("never", "", ""))))
    table = text.table(("part", "what it is for", "result", "GPU", "run"), rows)
    return table if runs else f"{NO_RUN}\n\n{table}"


def _ran(run: GpuRun, part: PartRecord) -> tuple[str, ...]:
    gpus = "; ".join(run.gpus) or run.device
    link = f"[{text.date(run.started)}](../reports/{run.name}/gpu.md)"
    return part.status, text.escape(gpus), link

"""Writes docs/questions.md from the presets and their runs.

    python -m tools.questions reports docs/questions.md

takes the newest run of each preset from the folder `reports`. To make the runs:

    for NAME in pytorch-94457 ...; do rnnbench run --preset=$NAME --run-name=$NAME; done
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os.path import relpath
from pathlib import Path
from urllib.parse import quote

from bench.analysis import changing_steps as of_changing_steps
from bench.analysis import lengths as of_lengths
from bench.analysis import text
from bench.analysis.changing_steps import ChangingSteps
from bench.analysis.lengths import WithLengths
from bench.analysis.workload_view import WorkloadView, views
from bench.config import presets
from bench.config.presets import Preset
from bench.records import store
from bench.records.schema import Run
from bench.report.markdown import changing_steps, lengths, overview, streams

HEAD = """# Questions that people asked

Each question is a preset: a small file in [bench/config/presets](../bench/config/presets) that
names its source. One command answers it on your machine; this page shows the answers of one
machine.

Each number in a table is a step time divided by that of the fastest variant in the row: 2.00 means
twice as long. ±4 % is the 95 % interval: it reaches from the ratio divided by 1.04 to the ratio
multiplied by 1.04. In the lists, the interval stands behind each ratio. #1 is the first rank.
Variants that are statistically indistinguishable from the leader of a rank share that rank. ?
stands for an undecided rank: the machine was too busy.

`python -m tools.questions reports docs/questions.md` writes this page from the records of the runs.
"""


# Options that change neither the workloads nor how they are timed.
_HARMLESS = re.compile(
    r"-[vqsxp]+|no:\w+|--(?:verbose|quiet|color|tb|benchmark-(?:json|save|sort|columns))(?:=.*)?"
)


@dataclass(frozen=True)
class Answer:
    """The newest run of a preset."""

    run: Run
    views: Sequence[WorkloadView]
    link: str  # from the page to its report


def render(answers: Mapping[str, Answer]) -> str:
    """The page; `answers` are keyed by the name of their preset. Pure."""
    asked = [presets.find(name) for name in presets.names()]
    parts = [_part(preset, answers.get(preset.name)) for preset in asked]
    return "\n".join([HEAD, *parts])


def _part(preset: Preset, answer: Answer | None) -> str:
    lines = [f"## {text.escape(preset.asks)}", ""]
    lines += [f"Source: {text.escape(preset.source)}.  "]
    lines += [f"Differences here: {text.escape(preset.differs)}.  "] if preset.differs else []
    lines += ["Needs a GPU.  "] if preset.gpu else []
    lines += ["", f"    {preset.command}", ""]
    if preset.needs:
        lines += ["It needs more than a default installation:", ""]
        lines += [f"    {line}" for line in preset.needs.strip().splitlines()] + [""]
    return "\n".join([*lines, *_beside(preset), *_answer(preset, answer)])


def _beside(preset: Preset) -> list[str]:
    """What the source states, beside what is measured here."""
    if not preset.stated:
        return []
    rows = [[name.replace("_", "-"), _words(values), _words(preset.here(name))]
            for name, values in preset.stated.items()]  # fmt: skip
    return [text.table(("", "the source", "here"), rows), ""]


def _words(values: Sequence[object]) -> str:
    words = {True: "yes", False: "no", None: "not set"}
    return ", ".join(
        words[value] if value is None or isinstance(value, bool) else str(value) for value in values
    )


def _answer(preset: Preset, answer: Answer | None) -> list[str]:
    if answer is None:
        what = "a machine with a GPU" if preset.gpu else "this machine"
        return [f"Not measured on {what} yet.", ""]
    run, found = answer.run, [view for view in answer.views if view.ranked or view.order]
    machine = f"{text.escape(run.machine.cpu)}, {text.plural(run.machine.cores, 'core')}"
    gpus = "".join(f", {text.escape(gpu)}" for gpu in run.machine.gpus)
    where = f"[{text.escape(run.name)}]({answer.link})"
    lead = f"On {machine}{gpus}, {text.date(run.started)} ({where}){_took(found)}:"
    if not found:
        return [f"{lead} no variant could run.", ""]
    more = [*map(_lengths, of_lengths.find(found)), *map(_steps, of_changing_steps.find(found))]
    more += [f"**{each.title}**\n\n{each.table}\n" for each in streams.sections(found)]
    return [lead, "", overview.lines(found), "", overview.table(found), "", *more]


def _lengths(found: WithLengths) -> str:
    """Whether lengths pay in one workload."""
    parts = (f"**{lengths.title(found)}**", lengths.table(found), lengths.sentences(found))
    return "".join(f"{part}\n\n" for part in parts if part).removesuffix("\n")


def _steps(found: ChangingSteps) -> str:
    """What each new T costs in one workload."""
    title, table = changing_steps.title(found), changing_steps.table(found)
    parts = (f"**{title}**", table, changing_steps.costs(found))
    return "".join(f"{part}\n\n" for part in parts).removesuffix("\n")


def _took(found: Sequence[WorkloadView]) -> str:
    """ ", 3 minutes": how long the run took, from the records of its workloads."""
    seconds = sum(
        part
        for view in found
        for process in view.conditions
        for part in (process.before_seconds, process.rounds_seconds, process.after_seconds)
    )
    return f", {text.duration(seconds)} in all" if seconds else ""


def newest(reports: Path, page: Path) -> dict[str, Answer]:
    """The newest run of each preset in the sub-folders of `reports`, with links from `page`."""
    found: dict[str, Answer] = {}
    for file in sorted(reports.glob(f"*/{store.FILE}")):
        run, measurements, records = store.read(file)
        name = _preset_of(run)
        if name and {m.workload.given_name for m in measurements} != {
            workload.name for workload in presets.find(name).file.workloads
        }:
            continue  # a run of an earlier form of the preset
        if name and (name not in found or found[name].run.started < run.started):
            link = quote(relpath(file.parent / "report.md", page.parent))
            found[name] = Answer(run, views(run, measurements, records), link)
    return found


def _preset_of(run: Run) -> str | None:
    """The preset that the run measured; None for any other command.

    A preset with a further option (another device, fewer variants) does not answer its question.
    """
    command = run.command.replace("--preset ", "--preset=")
    words = shlex.split(command.replace("rnnbench run ", "pytest --benchmark-only ", 1))
    given = sorted(word for word in words if not _HARMLESS.fullmatch(word))
    for name in presets.names():
        if given == sorted(shlex.split(presets.find(name).command)):
            return name
    return None


def main(arguments: Sequence[str]) -> None:
    """Write the page. Raises ValueError for other arguments than a folder and a file."""
    if len(arguments) != 2:
        raise ValueError(f"{len(arguments)} arguments; expected the folder of runs, and the page")
    reports, page = map(Path, arguments)
    page.write_text(render(newest(reports, page)), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main(sys.argv[1:])

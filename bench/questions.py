"""docs/questions.md from the presets and the runs that were made of them.

    python -m bench.questions reports docs/questions.md

takes the newest run of each preset in the folder `reports`, and writes the page again. Run it after

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

from bench import presets, record
from bench.presets import Preset
from bench.record import Run
from bench.report import overview, text
from bench.report.cells import Cell, cells

HEAD = """# Questions that people asked

Each is a preset: a small file in [bench/presets](../bench/presets) with its source, and one command
that answers it on your machine. What stands here is the answer of one machine; a ratio is
2.00 where a step takes twice as long as that of the fastest, ±4 % is its 95 % interval, and #1 the
first rank, which is shared by who cannot be told apart from the first; ? has no rank, since others
kept the machine too busy to tell. The words are made from the verdicts of the run by
`python -m bench.questions reports docs/questions.md`.
"""


# What changes neither the cells nor how they are timed.
_HARMLESS = re.compile(
    r"-[vqsx]+|--(?:verbose|quiet|color|tb|benchmark-(?:json|save|sort|columns))(?:=.*)?"
)


@dataclass(frozen=True)
class Answer:
    """The newest run of a preset."""

    run: Run
    cells: Sequence[Cell]
    link: str  # to its report, from the page


def render(answers: Mapping[str, Answer]) -> str:
    """The page; `answers` by the name of their preset. Pure."""
    asked = [presets.find(name) for name in presets.names()]
    parts = [_part(preset, answers.get(preset.name)) for preset in asked]
    return "\n".join([HEAD, *parts])


def _part(preset: Preset, answer: Answer | None) -> str:
    lines = [f"## {text.escape(preset.asks)}", ""]
    lines += [f"Asked in: {text.escape(preset.source)}.  "]
    lines += [f"Different here: {text.escape(preset.differs)}.  "] if preset.differs else []
    lines += ["Needs a GPU.  "] if preset.gpu else []
    lines += ["", f"    {preset.command}", ""]
    return "\n".join([*lines, *_answer(preset, answer)])


def _answer(preset: Preset, answer: Answer | None) -> list[str]:
    if answer is None:
        what = "a machine with a GPU" if preset.gpu else "the machine of this page"
        return [f"Not measured yet on {what}.", ""]
    run, found = answer.run, [c for c in answer.cells if c.ranked or c.order]
    machine = f"{text.escape(run.machine.cpu)}, {text.plural(run.machine.cores, 'core')}"
    gpus = "".join(f", {text.escape(gpu)}" for gpu in run.machine.gpus)
    where = f"[{text.escape(run.name)}]({answer.link})"
    lead = f"On {machine}{gpus}, {text.date(run.started)} ({where}):"
    if not found:
        return [f"{lead} nothing could run.", ""]
    return [lead, "", overview.lines(found), "", overview.table(found), ""]


def newest(reports: Path, page: Path) -> dict[str, Answer]:
    """By preset, the last run of it in the sub-folders of `reports`, as `page` is to link it."""
    found: dict[str, Answer] = {}
    for file in sorted(reports.glob("*/measurements.jsonl")):
        run, measurements, races = record.read_all(file)
        name = _preset_of(run)
        if name and (name not in found or found[name].run.started < run.started):
            link = quote(relpath(file.parent / "report.md", page.parent))
            found[name] = Answer(run, cells(run, measurements, races), link)
    return found


def _preset_of(run: Run) -> str | None:
    """The preset whose command made the run; None where it was any other command.

    With an option beside it (another device, a few variants) it is no answer to what was asked.
    """
    words = shlex.split(run.command.replace("--preset ", "--preset="))
    given = sorted(word for word in words if not _HARMLESS.fullmatch(word))
    for name in presets.names():
        if given == sorted(shlex.split(presets.find(name).command)):
            return name
    return None


def main(arguments: Sequence[str]) -> None:
    """Write the page again; ValueError for other arguments than a folder and a file."""
    if len(arguments) != 2:
        raise ValueError(f"{len(arguments)} arguments; expected the folder of runs, and the page")
    reports, page = map(Path, arguments)
    page.write_text(render(newest(reports, page)), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main(sys.argv[1:])

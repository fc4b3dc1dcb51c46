"""The answer of a run in a terminal: the numbers and sentences of its report. Pure.

What the report has as markdown is shown here as the text that it means.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.columns import Columns
from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from bench.analysis import learning, text
from bench.analysis.workload_view import FINE, NOT_RUN, WorkloadView, verdict
from bench.records.schema import Measurement, Run
from bench.report.markdown import conditions, overview, sentences, tables
from bench.report.markdown import learning as of_learning
from bench.report.words import parts

PIPE_COLUMNS = 100_000  # nothing is wrapped in a pipe: a row is one line there
GAP = 4  # columns of the terminal between two workloads
HEAD = ("#", "variant", "step", "ratio", "95 % interval", "verdict")
LEARNED = ("updates", "to the target")  # of a net that learned
RIGHT = ("#", "step", "ratio", "95 % interval", *LEARNED)
STYLES = {"strong": "bold", "code": "italic", "": ""}
LEGEND = (
    "Ratio: a step's time divided by that of the fastest variant, round by round; it can lie "
    "beside the quotient of the median steps. Variants that are statistically indistinguishable "
    "from the leader of a rank (#) share that rank, and the next rank counts them all: 1, 1, 3."
)


def printed(
    run: Run,
    measurements: Sequence[Measurement],
    views: Sequence[WorkloadView],
    *,
    width: int | None,
    colours: bool = False,
) -> Iterator[str]:
    """Lines for a terminal of `width` columns; None: for a pipe, where none is wrapped."""
    console = Console(
        width=width or PIPE_COLUMNS,
        force_terminal=colours,
        color_system="standard" if colours else None,
        highlight=False,
        emoji=False,
    )
    with console.capture() as capture:
        for part in answer(run, measurements, views, beside=width is not None):
            console.print(part)
    for line in capture.get().splitlines():
        yield line.rstrip()


def answer(
    run: Run, measurements: Sequence[Measurement], views: Sequence[WorkloadView], *, beside: bool
) -> Iterator[RenderableType]:
    """The workloads, `beside` each other where there is room; how to read them; the warnings."""
    blocks = [block(view) for view in views if not _untimed(view)]
    if beside and blocks:
        yield Columns(blocks, padding=(0, GAP))
    else:
        yield from blocks
    yield Text("")
    if any(view.comparisons for view in views):
        yield Text(LEGEND)
    variants = [m for m in measurements if m.role == "variant"]
    yield shown(sentences.agreement(variants))
    for line in _counted(views):
        yield shown(line)
    for warning in conditions.warnings(run, views) if blocks else ():
        yield shown(warning)
    for line in without_time(variants):
        yield Text(line)


def _untimed(view: WorkloadView) -> bool:
    """Whether it has nothing to show but that its variants agree."""
    return all(verdict(view.candidates[label]) == "agrees" for label in view.order)


def block(view: WorkloadView) -> RenderableType:
    """A workload: its name, then a row for each variant that ran; of a serial run the times."""
    names: tuple[str, ...] = ("variant", "step") if view.serial else HEAD
    learned = learning.find([view])
    names += LEARNED if learned else ()
    found = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in names:
        fold = name == "variant"
        right: JustifyMethod = "right" if name in RIGHT else "left"
        found.add_column(name, justify=right, no_wrap=not fold, overflow="fold")
    for label in view.order:
        shown_values = (label, tables.step(view, label), *tables.compared(view, label))
        values = dict(zip(HEAD, (_rank(view, label), *shown_values), strict=True))
        for each in learned:
            known = label in each.labels
            values["updates"] = f"{each.learned(label).updates:,}" if known else ""
            values["to the target"] = of_learning.to_target(each, label) if known else ""
        style = "red" if verdict(view.candidates[label]) not in FINE else ""
        found.add_row(*(shown(values[name]) for name in names), style=style)
    return Group(Text(""), shown(f"**{view.title}**"), found)


def _rank(view: WorkloadView, label: str) -> str:
    if label not in view.ranked or view.serial:
        return ""
    if view.unclear and len(view.ranked) > 1:
        return "?"
    return str(view.ranks.get(label, ""))


def _counted(views: Sequence[WorkloadView]) -> Iterator[str]:
    """For each task and phase with many workloads: in how many of them each variant is first."""
    for task, group in overview.by_task(views).items():
        for line in sentences.counted_phases(group):
            yield f"{text.escape(task)}, {line}"


def without_time(measurements: Iterable[Measurement]) -> Iterator[str]:
    """ "keras-jax is refused in 2 workloads: its arithmetic is float32": each reason once."""
    workloads: dict[tuple[str, str, str], list[str]] = {}
    for m in measurements:
        if m.status != "ok":
            workloads.setdefault((m.variant, m.status, m.reason), []).append(m.workload.id)
    for (variant, status, reason), ids in workloads.items():
        where = ids[0] if len(ids) == 1 else f"{len(ids)} workloads"
        verb = f"is {status}" if status in NOT_RUN else status
        yield text.plain(f"{variant} {verb} in {where}: {reason}")


def shown(markdown: str) -> Text:
    """A line of markdown as the text that it means; bold and code keep their styles."""
    return Text.assemble(*((words, STYLES[mark]) for words, mark in parts(markdown)))

"""The table over machines as one object of text, which its template formats. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.analysis import text
from bench.analysis.machines import Answer, Machines
from bench.records.summary import Summary

MOST_NAMED = 3  # variants in one field of the first table


@dataclass(frozen=True)
class MachinesView:
    """All that the template gets."""

    disagreements: tuple[str, ...]
    compared: int  # workloads that several kinds of machine have
    answers: str  # a row for each workload; empty: nothing was measured
    ratios: str  # a row for each workload and variant
    kinds: str
    left_out: str  # empty: nothing


def machines_view(machines: Machines) -> MachinesView:
    """The tables, escaped."""
    kinds = [*machines.kinds]
    heads = [text.escape(kind) for kind in kinds]
    answers = [
        [text.escape(row.title), *(_answer(row.answers.get(kind)) for kind in kinds)]
        for row in machines.rows
        if row.answers
    ]
    ratios = [*_ratios(machines, kinds)]
    left_out = [[text.escape(each.node), text.escape(each.why)] for each in machines.left_out]
    right = range(2, 2 + len(kinds))
    return MachinesView(
        disagreements=tuple(_disagreements(machines)),
        compared=sum(len(row.answers) > 1 for row in machines.rows),
        answers=text.table(("workload", *heads), answers) if answers else "",
        ratios=text.table(("workload", "variant", *heads), ratios, right) if ratios else "",
        kinds=text.table(
            ("machine", "nodes", "memory", "system", "Python", "rnnbench", "versions"),
            [_kind(kind, found) for kind, found in machines.kinds.items()],
            right=(1,),
        ),
        left_out=text.table(("node", "why"), left_out) if left_out else "",
    )


def _disagreements(machines: Machines) -> Iterator[str]:
    """ "bptt[...]: **torch** on AMD EPYC, 2 cores; **jax** on Intel Xeon, 16 cores"."""
    for row in machines.disagreements:
        parts = [
            f"{_named(answer.first)} on {text.escape(kind)}" for kind, answer in row.answers.items()
        ]
        yield f"{text.escape(row.title)}: {'; '.join(parts)}"


def _named(names: Sequence[str]) -> str:
    """ "**torch**, **jax** and 2 more"."""
    shown = [f"**{text.escape(name)}**" for name in names[:MOST_NAMED]]
    more = len(names) - len(shown)
    return text.joined([*shown, f"{more} more"]) if more else ", ".join(shown)


def _answer(answer: Answer | None) -> str:
    """The first rank, and the next variant with its ratio; "-" where nothing was measured."""
    if answer is None:
        return "-"
    words = _named(answer.first)
    behind = [name for name in answer.others if name not in answer.first]
    if behind:
        estimate = answer.others[behind[0]].estimate
        ratio, half = text.ratio(estimate.ratio), text.plus_minus(estimate.half_width)
        words += f"; {text.escape(behind[0])} {ratio} {half}"
    return words


def _ratios(machines: Machines, kinds: Sequence[str]) -> Iterator[list[str]]:
    for row in machines.rows:
        names = dict.fromkeys(
            name
            for answer in row.answers.values()
            for name in (answer.reference, *answer.others, *answer.without_time)
        )
        for name in names:
            found = [_ratio(row.answers.get(kind), name) for kind in kinds]
            yield [text.escape(row.title), text.escape(name), *found]


def _ratio(answer: Answer | None, name: str) -> str:
    if answer is None:
        return "-"
    if name == answer.reference:
        return "**1.00**"
    if name in answer.others:
        judged = answer.others[name]
        half = text.plus_minus(judged.estimate.half_width)
        ratio = text.ratio(judged.estimate.ratio)
        return f"{f'**{ratio}**' if name in answer.first else ratio} {half}"
    return text.escape(answer.without_time.get(name, "-"))


def _kind(kind: str, summaries: Sequence[Summary]) -> list[str]:
    """What the nodes of a kind are: each value once."""
    machines = [summary.machine for summary in summaries]
    aliases = {summary.node for summary in summaries if summary.node}
    runs = sum(not summary.node for summary in summaries)
    versions: dict[str, dict[str, None]] = {}
    for summary in summaries:
        for name, version in summary.versions.items():
            versions.setdefault(name, {}).update(dict.fromkeys(version.split(", ")))
    return [
        text.escape(kind),
        str(len(aliases) + runs),
        text.listing(f"{machine.memory_bytes / 2**30:.0f} GiB" for machine in machines),
        text.listing(machine.system for machine in machines),
        text.listing(machine.python for machine in machines),
        text.listing(f"{each.project} ({each.commit or 'unknown'})" for each in summaries),
        text.escape("; ".join(f"{name} {', '.join(found)}" for name, found in versions.items())),
    ]

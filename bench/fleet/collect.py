"""The runs of a fleet for a table over machines, and who is left out of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from bench.analysis import text
from bench.analysis.machines import LeftOut
from bench.fleet import state
from bench.fleet.state import NodeState
from bench.records import store
from bench.records import summary as summaries
from bench.records.summary import Summary


def collect(folders: Sequence[Path]) -> tuple[list[Summary], list[LeftOut]]:
    """The summaries of whole runs, one for each node, and what is left out.

    Of a folder that was copied, `nodes` and `runs` are enough. Raises ValueError for a summary that
    cannot be read.
    """
    whole: dict[str, Summary] = {}
    left_out: list[LeftOut] = []
    for folder in folders:
        known = {node.name: node for node in state.nodes(folder)}
        for run in sorted((folder / "runs").glob("*-*")):
            node = known.pop(run.name, None)
            found = summaries.read(run)
            if found is None or not found.whole:
                left_out.append(_fragment(run, node))
                continue
            both = [each for each in (whole.get(found.node), found) if each is not None]
            *older, whole[found.node] = sorted(both, key=lambda each: each.started)
            again = _task(whole[found.node].name)
            left_out += [
                LeftOut(each.node, f"task {_task(each.name)}: measured again by task {again}")
                for each in older
            ]
        left_out += _others(known.values())
        left_out += _nowhere(folder)
    return [*whole.values()], left_out


def _task(name: str) -> str:
    return name.partition("-")[0]


def _fragment(run: Path, node: NodeState | None) -> LeftOut:
    """A run that was not ended on its node, with how far it came."""
    task, _, alias = run.name.partition("-")
    why = f"task {task}: a fragment"
    try:
        _, _, workloads = store.read(run / store.FILE)
    except (OSError, ValueError):
        why += " without a workload"
    else:
        why += f" of {text.plural(len(workloads), 'workload')}"
    found = "; ".join(node.found) if node is not None else ""
    return LeftOut(alias, f"{why}; {found}" if found else why)


def _others(nodes: Iterable[NodeState]) -> Iterator[LeftOut]:
    """Nodes without a run."""
    for node in nodes:
        words = node.state if node.state in ("sick", "failed") else f"still {node.state}"
        why = "; ".join((f"task {node.task}: {words}", *node.found))
        yield LeftOut(node.node, why)


def _nowhere(folder: Path) -> Iterator[LeftOut]:
    """Tasks whose jobs have not reached a node; a copy does not have to know of them."""
    if not (folder / state.FILE).exists():
        return
    there = {node.task for node in state.nodes(folder)}
    for task in range(1, 1 + len(state.load(folder).jobs)):
        if task not in there:
            yield LeftOut("-", f"task {task}: on no node yet")

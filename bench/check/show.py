"""A report for a terminal: what was checked, how far off it was, what is refused, what is wrong."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from backends.interface import PHASES
from bench.check.kit import DTYPES, Plan
from bench.check.report import Failure, Report
from tasks.spec import CELLS

SHOWN = 5  # failures in words; all of them are counted


def show(report: Report, plan: Plan, console: Console) -> None:
    """Print all of it. Nothing that a command or a line to copy holds is wrapped."""

    def say(line: str = "") -> None:
        console.print(line, soft_wrap=True, markup=False)

    versions = ", ".join(f"{name} {number}" for name, number in report.versions.items())
    say(f"{report.name} on {report.device}{f', {versions}' if versions else ''}; seed {plan.seed}")
    for dtype, path in report.paths.items():
        say(f"{dtype}: {path}")
    say()
    if report.lines:
        console.print(_checks(report))
        say()
    if report.worst:
        console.print(_errors(report))
        say()
    for line in _unchecked(report):
        say(line)
    for number, failure in enumerate(report.failures[:SHOWN], 1):
        say()
        for line in told(report, failure, number):
            say(line)
    say()
    say(_verdict(report))


def _checks(report: Report) -> Table:
    table = _table("check", "dtype", "models", "tensors", "verdict")
    for (check, dtype), line in report.lines.items():
        verdict = (
            f"{line.failures} wrong" if line.failures else "right" if line.models else "not made"
        )
        numbers = str(line.models), str(line.tensors) if line.tensors else ""
        table.add_row(*map(Text, (check, dtype, *numbers, verdict)))
    return table


def _errors(report: Report) -> Table:
    table = _table("largest error", "dtype", "tensor", "off by", "may be")
    for (dtype, kind), error in report.worst.items():
        off = "no number" if error.error is None else f"{error.error:.1e}"
        table.add_row(*map(Text, (kind, dtype, error.name, off, f"{error.bound:.1e}")))
    return table


def _unchecked(report: Report) -> Iterator[str]:
    """Refusals with reasons, examples that could tell nothing, what the time did not allow."""
    for reason, of in report.refusals.items():
        words = [
            _some(of["cell"], CELLS, "every cell asked"),
            _some(of["dtype"], DTYPES, "both dtypes"),
            _some(of["phase"], PHASES, "every phase"),
        ]
        yield f"refused ({'; '.join(words)}): {reason}"
    for reason, count in report.dropped.items():
        yield f"left out {count}: {reason}"
    for (check, dtype), line in report.lines.items():
        if line.unasked and not report.failures:
            yield f"{check}, {dtype}: {line.unasked} more models were not asked: the time was up"


def _some(found: set[str], known: tuple[str, ...], everything: str) -> str:
    if set(known) <= found:
        return everything
    return ", ".join(sorted(found, key=known.index))


def told(report: Report, failure: Failure, number: int) -> Iterator[str]:
    """What is wrong and, where an example shows it, code that asks again."""
    where = f"{failure.check}, {failure.dtype}" if failure.dtype else failure.check
    yield f"{number}. {where}: {failure.message}"
    if number > 1:
        return  # the first is the one to look into: others may follow from it
    yield from (f"   {line}" for line in failure.details.splitlines()[:20])
    if failure.example is not None:
        device = "" if report.device == "cpu" else f", device={report.device!r}"
        yield "   to see it again:"
        yield ""
        yield "from bench.check import Example, replay"
        yield "from tasks.spec import ModelSpec"
        yield f"replay({report.name!r}, {failure.example.code()}, {failure.dtype!r}{device})"


def _verdict(report: Report) -> str:
    took = f"{report.tensors} tensors compared in {report.seconds:.0f} s"
    if report.failures:
        return f"{report.name} FAILS: {len(report.failures)} wrong; {took}"
    if not report.tensors:
        return f"{report.name} FAILS: nothing was compared, everything is refused"
    return f"{report.name} passes: {took}"


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table

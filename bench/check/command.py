"""`rnnbench check NAME`."""

from __future__ import annotations

from typing import Annotated, NoReturn

import typer
from rich.console import Console

from backends import registry

console = Console(highlight=False)


def check(
    name: Annotated[str, typer.Argument(help="a variant, as `rnnbench list` names it")],
    seed: Annotated[int, typer.Option(help="of the models that are drawn")] = 0,
    cell: Annotated[str | None, typer.Option(help="cells, comma-separated; default all")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda:0, ...")] = "cpu",
    models: Annotated[
        int, typer.Option(min=1, help="drawn a dtype, beside those always asked")
    ] = 16,
    long: Annotated[bool, typer.Option("--long", help="400 models, up to half an hour")] = False,
) -> None:
    """The conformance kit: what one variant gets right, what wrong, how far, what it refuses.

    Exit status: 0 all good, 1 something is wrong or nothing was compared, 2 wrong use.
    """
    import dataclasses

    from bench.check import ask, kit
    from bench.check.show import show
    from tasks.spec import CELLS

    cells = CELLS if cell is None else tuple(cell.split(","))
    for each in cells:
        if each not in CELLS:
            _wrong(f"cell {each!r} is unknown; expected some of {', '.join(CELLS)}")
    try:
        entry = registry.find(name)
    except (registry.UnknownBackendError, registry.BrokenBackendError) as error:
        _wrong(str(error))
    missing = None if entry.plugin else entry.missing()
    if missing:  # of a plugin that cannot be used, the report says why
        _wrong(missing)
    plan = kit.LONG if long else dataclasses.replace(kit.SHORT, models=models)
    plan = dataclasses.replace(plan, seed=seed, cells=cells)
    with console.status("") as status:
        report = ask.check(name, device=device, plan=plan, say=status.update)
    show(report, plan, console)
    raise typer.Exit(0 if report.ok else 1)


def _wrong(message: str) -> NoReturn:
    console.print(f"rnnbench: {message}", soft_wrap=True, markup=False)
    raise typer.Exit(2)

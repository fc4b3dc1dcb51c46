"""`rnnbench describe`."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, get_args

import typer

from bench.cli.console import line, wrong_use
from bench.config import validation
from bench.config.fields import OPTIMIZERS
from bench.describe import text
from bench.describe.process import WAIT_SECONDS
from bench.describe.process import describe as read
from tasks.spec import Loss


def describe(
    net: Annotated[str, typer.Argument(help="my_module:net, importable from this folder.")],
    out: Annotated[
        Path | None, typer.Option(help="The TOML file to write. Default: it is printed.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="An NPZ file to write the net's weights to.")
    ] = None,
    batch: Annotated[
        int | None, typer.Option(help="B, where the net takes any or no other.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="T, where the net takes any or no other.")
    ] = None,
    loss: Annotated[
        str | None, typer.Option(help=f"The loss: {' or '.join(get_args(Loss))}.")
    ] = None,
    optimizer: Annotated[
        str | None, typer.Option(help=f"The optimizer: {' or '.join(OPTIMIZERS)}.")
    ] = None,
    wait: Annotated[
        float, typer.Option(help="How many seconds the module may take.")
    ] = WAIT_SECONDS,
) -> None:
    """Describe a net of torch or Keras in a workload file.

    The net is a torch Module or a Keras model of embedding, recurrent layers and a linear head, or
    a function without arguments that makes one. `rnnbench run my_module:net` measures it at once.
    """
    try:
        choices = _choices(batch, steps, loss, optimizer)
        validation.seconds("wait", str(wait))
        for option, path, end in (("out", out, ".toml"), ("weights", weights, ".npz")):
            _expect_writable(option, path, end)
        with tempfile.TemporaryDirectory() as folder:
            found = read(net, Path(folder), wait, (batch, steps))
            beside = out.parent if out else Path()
            named = os.path.relpath(weights, beside) if weights else ""
            written = text.render(found, choices, Path(named).as_posix() if named else "")
            if weights:
                shutil.copyfile(found.params, weights)
    except ValueError as error:
        wrong_use(str(error))
    if out is None:
        typer.echo(written, nl=False)
        return
    out.write_text(written, encoding="utf-8")
    for note in text.notes(found):
        line(f"note: {note}")
    both = f"{out} and {weights} are" if weights else f"{out} is"
    line(f"{both} written; `rnnbench run {out}` measures it")


def describe_for_run(
    net: str, folder: Path, sizes: tuple[int | None, int | None], changed: Collection[str] = ()
) -> Path:
    """The workload file of a net, in `folder`; prints the notes and what is assumed.

    It has the net's weights, unless options of the run have `changed` its shapes. `sizes` are the
    B and T of the run, if it has one of each. Raises ValueError, in one line.
    """
    found = read(net, folder, sizes=sizes)
    for note in text.notes(found):
        line(f"{net}: {note}")
    if changed:
        line(f"{net}: its weights are left out, because the run changes {', '.join(changed)}")
    written = text.render(found, text.Choices(), "" if changed else found.params.name)
    for row in written.splitlines():
        value, sign, why = row.partition("# assumed: ")
        if sign:
            line(f"{net}: {value.strip()} is assumed: {why}")
    file = folder / f"{net.replace(':', '-')}.toml"
    file.write_text(written, encoding="utf-8")
    return file


def _choices(
    batch: int | None, steps: int | None, loss: str | None, optimizer: str | None
) -> text.Choices:
    for option, number in (("batch", batch), ("steps", steps)):
        if number is not None:
            validation.whole_number(option, str(number))
    for option, word, valid in (
        ("loss", loss, get_args(Loss)),
        ("optimizer", optimizer, OPTIMIZERS),
    ):
        if word is not None:
            validation.one_of(option, word, valid)
    return text.Choices(batch, steps, loss, optimizer)


def _expect_writable(option: str, path: Path | None, end: str) -> None:
    if path is None:
        return
    if path.suffix != end:
        raise ValueError(f"--{option} {str(path)!r}: expected a name that ends in {end}")
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK) or path.is_dir():
        raise ValueError(f"--{option} {str(path)!r}: expected a file in a folder to write to")

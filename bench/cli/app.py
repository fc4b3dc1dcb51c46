"""`rnnbench list | run | report | compare | check | selftest | new-backend`.

What there is, a run of the suite, a report made again, runs side by side; and for who adds a
backend: what is right and wrong with it, and a package to start from.

Exit status: 0 all good, 1 a variant disagreed, crashed or timed out, 2 wrong use.
"""

from __future__ import annotations

import typer

from bench.cli.check import check
from bench.cli.compare import compare
from bench.cli.list_ import list_
from bench.cli.new_backend import new_backend
from bench.cli.report import report
from bench.cli.run import run
from bench.cli.selftest import selftest

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help=__doc__,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("list")(list_)
# Every option of pytest's is passed on, `--help` too.
app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,
)(run)
app.command()(report)
app.command()(check)
app.command("new-backend")(new_backend)
app.command()(selftest)
app.command()(compare)


def main() -> None:
    """The console script."""
    app()

"""The commands of `rnnbench`, and what holds for all of them.

Exit status: 0 all good, 1 a variant disagreed, crashed or timed out, 2 wrong use.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperGroup

from bench import signals
from bench.cli import console
from bench.cli.check import check
from bench.cli.compare import compare
from bench.cli.describe import describe
from bench.cli.doctor import doctor
from bench.cli.fleet import fleet
from bench.cli.gpu import gpu
from bench.cli.list_ import list_
from bench.cli.new_backend import new_backend
from bench.cli.notes import notes
from bench.cli.report import report
from bench.cli.run import run
from bench.cli.selftest import selftest
from bench.cli.workload import workload

COMMANDS: dict[str, Callable[..., None]] = {
    "list": list_,
    "run": run,
    "workload": workload,
    "describe": describe,
    "notes": notes,
    "report": report,
    "compare": compare,
    "check": check,
    "selftest": selftest,
    "doctor": doctor,
    "gpu": gpu,
    "new-backend": new_backend,
}

ABOUT = """\
rnnbench measures how fast frameworks run recurrent nets, and checks that they compute the same.

`rnnbench COMMAND --help` shows the options of a command.

Exit status: 0 all good, 1 a variant disagreed, crashed or timed out, 2 wrong use.
"""


GROUPS: dict[str, typer.Typer] = {"fleet": fleet}  # commands that have commands


class Listing(TyperGroup):
    """The commands in their order, each with its whole first sentence."""

    def format_usage(self, ctx: Any, formatter: Any) -> None:
        words = f"{ctx.command_path} {' | '.join(self.commands)} [OPTIONS]"
        _write(formatter, words, "Usage: ", " " * 7)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        formatter.write("\nCommands:\n")
        indent = max(map(len, self.commands)) + 4
        for name, command in self.commands.items():
            sentence = " ".join((command.help or "").partition("\n\n")[0].split())
            _write(formatter, sentence, f"  {name}".ljust(indent), " " * indent)


class Group(Listing):
    """All commands, each of which can be interrupted."""

    def invoke(self, ctx: Any) -> Any:
        with signals.heeded():
            try:
                return super().invoke(ctx)
            except KeyboardInterrupt:
                console.line(signals.received.in_words, console.errors)
                raise typer.Exit(signals.received.exit_status) from None


def _write(formatter: Any, words: str, first: str, others: str) -> None:
    for text in console.wrapped(words, formatter.width, first, others):
        formatter.write(f"{text}\n")


app = typer.Typer(
    cls=Group,
    add_completion=False,
    no_args_is_help=True,
    help=ABOUT,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for _name, _command in COMMANDS.items():
    if _command is run:
        # It shows its own help, and passes every option on to pytest.
        everything = {"allow_extra_args": True, "ignore_unknown_options": True}
        app.command(_name, context_settings=everything, add_help_option=False)(run)
    else:
        app.command(_name)(_command)
for _name, _group in GROUPS.items():
    app.add_typer(_group, name=_name, cls=Listing)


def main() -> None:
    """The console script."""
    console.outlive_readers()
    app(prog_name="rnnbench")

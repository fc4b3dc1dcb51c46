"""Options that would change nothing beside the others: they are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.config.fields import Values
from bench.config.option_table import TRAINING
from bench.config.phases import LEARN

if TYPE_CHECKING:
    from bench.config.options import Options


def refuse(options: Options, asked: Values, *, timed: bool) -> None:
    """Raises ValueError for an option that the user gave, and that changes nothing."""
    phases, measured = options.phases, ", ".join(options.phases)
    for name, needed in (
        ("optimizer", "train_step"),
        ("stateful", "train_step"),
        ("updates", LEARN),
    ):
        if any(asked.get(name, ())) and needed not in phases:
            raise ValueError(
                f"--{name} has no effect on {measured}; expected --phase={needed} beside it"
            )
    if any(asked.get("dropout", ())) and not {*phases} & {*TRAINING}:
        raise ValueError(
            f"--dropout has no effect on {measured}; expected a --phase that trains beside it: "
            f"{', '.join(TRAINING)}"
        )
    if options.serial:
        if options.processes > 1:
            name = _of_processes(options)
            raise ValueError(f"--serial is one process; expected no --{name} beside it")
        if options.queue:
            raise ValueError("--serial takes no times to compare; expected no --queue beside it")
    if not timed and options.processes > 1:
        name = _of_processes(options)
        raise ValueError(
            f"--{name} has no effect beside --benchmark-disable, which times nothing; leave one of "
            "them out"
        )


def _of_processes(options: Options) -> str:
    """The option that asks for more than one process."""
    if options.precision is not None:
        return "precision"
    return "processes" if options.budget is None else "budget"

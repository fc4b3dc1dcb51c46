"""Where a run comes from, said without naming the machine, its user or its folders."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

# An absolute path of at least two parts, as it stands in error messages; its last part is kept.
_PATH = re.compile(
    r"(?<![\w.:/])(?:~|/[^\s/:;,'\"()<>|]+)(?:/[^\s/:;,'\"()<>|]+)*/([^\s/:;,'\"()<>|]+)"
)

# Where a report went is no part of what makes it again, nor what is so in any checkout.
_LEFT_OUT = ("--reports", "--run-name", "--rootdir", "-c")
SUITE = "bench/suite"


def without_paths(message: str) -> str:
    """The message with each absolute path cut down to its last part."""
    return _PATH.sub(r"\1", message)


def command(arguments: Sequence[str], root: Path) -> str:
    """The command line that asks for the same cells again, in a checkout like that at `root`."""
    kept: list[str] = []
    skip = False
    within = [word.replace(f"{root}/", "", 1) for word in arguments]
    # `--benchmark-only` alone runs all of the suite, and needs no path beside it.
    named = [word for word in within if word.startswith(SUITE)]
    whole = "--benchmark-only" in arguments and set(named) == {SUITE}
    for argument in within:
        name, sign, _ = argument.partition("=")
        if skip or name in _LEFT_OUT:
            skip = not skip and not sign  # its value is the next word
            continue
        if not (whole and argument == SUITE):
            kept.append(without_paths(argument))
    return shlex.join(["pytest", *kept])


def commit(root: Path) -> str | None:
    """The commit of a checkout, "+changes" behind it where files differ; None outside of one."""

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False
            )
        except FileNotFoundError:
            return None  # no git on this machine: the record says that no commit is known
        return done.stdout.strip() if done.returncode == 0 else None

    found = git("rev-parse", "--short=12", "HEAD")
    if not found:
        return None
    changed = git("status", "--porcelain", "--untracked-files=no", "--", ":!reports")
    return f"{found}+changes" if changed else found

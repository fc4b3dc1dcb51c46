"""`rnnbench run`: the suite, by pytest in this process."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import pytest
import typer

from bench import ROOT, signals
from bench.cli.console import console, errors, line, wrapped, wrong_use
from bench.cli.describe import describe_for_run
from bench.config import fields, options, validation
from bench.config.option_table import GROUPS, Option
from bench.describe.target import TARGET
from bench.measurement.ending import INTERRUPTIONS

WRONG_USE = (
    pytest.ExitCode.INTERNAL_ERROR,
    pytest.ExitCode.USAGE_ERROR,
    pytest.ExitCode.NO_TESTS_COLLECTED,
)

HEAD = """\
Usage: rnnbench run [FILE.toml | my_module:net ...] [OPTIONS]

  Measures the workloads that the files, nets and options ask for, and writes a report, as
  `pytest --benchmark-only` does in the clone of rnnbench. A LIST is separated by commas; several
  lists make a grid. `rnnbench workload --example` prints a file, `rnnbench describe`
  writes one of a net in torch or Keras.
"""
TAIL = """\
`pytest --help` shows the options of pytest itself, which work too: -k, --lf.

Exit status: 0 good, 1 a variant disagreed, crashed or timed out, 2 wrong use.
"""
PYTEST_TAKES_VALUE = ("-c", "-k", "-m", "-o", "-p", "--config-file", "--override-ini")
WIDEST = 100  # columns of the help
INDENT = 27  # columns before the words about an option


def run(context: typer.Context) -> None:
    """Measure workloads and write a report. `rnnbench run --help` shows the options."""
    words: list[str] = context.args
    if "--help" in words or "-h" in words:
        for text in help_lines(min(console.width, WIDEST)):
            line(text)
        return
    try:
        options.check_words(words)
    except ValueError as error:
        wrong_use(str(error), errors)
    with tempfile.TemporaryDirectory() as folder:
        typed = words
        try:
            words = [*_with_files(words, Path(folder))]
        except ValueError as error:
            wrong_use(str(error), errors)
        _run(words, tuple(typed))


def _run(words: list[str], typed: tuple[str, ...]) -> NoReturn:
    suite = ["--rootdir", str(ROOT), "-c", str(ROOT / "pyproject.toml"), str(ROOT / "bench/suite")]
    watcher = _Watcher(typed)
    # pytest-benchmark takes no other word beside the one that leaves only the checks.
    timed = [] if "--benchmark-disable" in words else ["--benchmark-only"]
    code = pytest.main([*suite, *timed, *words], plugins=[watcher])
    if watcher.interrupted:
        raise typer.Exit(signals.received.exit_status)
    raise typer.Exit(2 if code in WRONG_USE else int(bool(code)))


def _with_files(words: Sequence[str], folder: Path) -> Iterator[str]:
    """The words, where "my-net.toml" is "--workload=my-net.toml" unless an option goes before.

    "my_module:net" is the file that describes it, written into `folder`. Raises ValueError.
    """
    takes_value = {f"--{option.name}" for group in GROUPS.values() for option in group
                   if option.metavar} | {*PYTEST_TAKES_VALUE}  # fmt: skip
    given = {word.partition("=")[0] for word in words}
    before = ""
    for number, word in enumerate(words):
        alone = before not in takes_value and not word.startswith("-")
        if alone and TARGET.fullmatch(word):
            (folder / str(number)).mkdir()
            shapes = map(fields.option, fields.SHAPES)
            changed = [name for name in shapes if f"--{name}" in given]
            sizes = _size(words, "--batch"), _size(words, "--steps")
            yield f"--workload={describe_for_run(word, folder / str(number), sizes, changed)}"
        else:
            workload = alone and word.lower().endswith(".toml")
            if alone and not workload and Path(word).is_file() and not word.endswith(".py"):
                raise ValueError(f"{word} is not named as a workload file; expected NAME.toml")
            yield f"--workload={word}" if workload else word
        before = word


def _size(words: Sequence[str], option: str) -> int | None:
    """The value of an option, if it is one number."""
    for word, following in zip(words, [*words[1:], ""], strict=True):
        name, given, value = word.partition("=")
        value = value if given else following
        if name == option and value.isdecimal():
            return int(value) or None
    return None


def help_lines(width: int) -> Iterator[str]:
    """Our own options by their groups, and those of pytest-benchmark that have a meaning here."""
    yield from _filled(HEAD, width)
    for title, group in GROUPS.items():
        yield f"{title}:"
        for option in group:
            yield from _about(option, width)
        yield ""
    yield from _filled(TAIL, width)


def _filled(paragraphs: str, width: int) -> Iterator[str]:
    for paragraph in paragraphs.split("\n\n"):
        indent = " " * (len(paragraph) - len(paragraph.lstrip()))
        words = " ".join(paragraph.split())
        yield from wrapped(words, width, indent, indent)
        yield ""


def _about(option: Option, width: int) -> Iterator[str]:
    head = f"  --{option.name} {option.metavar}".rstrip()
    indent = " " * min(INDENT, width // 2)
    if len(head) >= len(indent):
        yield head
        head = ""
    yield from wrapped(option.help, width, head.ljust(len(indent)), indent)


class _Watcher:
    """A plugin of pytest: it makes errors out of wrong words, and sees a Ctrl-C."""

    def __init__(self, typed: tuple[str, ...]) -> None:
        self.interrupted, self._typed = False, typed

    @pytest.hookimpl(wrapper=True)
    def pytest_cmdline_parse(self) -> Any:
        try:
            config = yield
        except pytest.UsageError as error:
            raise pytest.UsageError(*map(in_words, error.args)) from error
        config.stash[options.TYPED] = self._typed
        return config

    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        self.interrupted = excinfo.type in INTERRUPTIONS


def in_words(message: object) -> str:
    """What pytest says of a wrong command line, without its own usage, and what was meant."""
    text = str(message).partition(": error: ")[2] or str(message)
    text = text.partition("\n")[0]
    unknown = re.fullmatch(r"unrecognized arguments: (.*)", text)
    if unknown is None:
        return text
    near = list(_near(unknown[1].split()))
    meant = f" Did you mean {' or '.join(near)}?" if near else ""
    return f"{text}.{meant} `rnnbench run --help` shows the options."


def _near(words: Sequence[str]) -> Iterator[str]:
    """The options that were meant, if any is near."""
    known = [option.name for group in GROUPS.values() for option in group]
    for word in words:
        if word.startswith("-"):
            name = word.lstrip("-").partition("=")[0]
            yield from (f"--{found}" for found in validation.nearest(name, known))

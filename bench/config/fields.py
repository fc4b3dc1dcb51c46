"""The options that describe workloads: their values on the command line and in a workload file."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from backends.interface import DTYPES
from bench.config import validation
from bench.config.data import known
from bench.config.phases import PHASES
from bench.records.workload import LEFT_ALONE
from tasks import ALL_TASKS, TASKS
from tasks.inputs import LENGTHS, PADDINGS, VALUES, share_of_padding
from tasks.spec import CELLS, Loss, Readout, Reduction

ALL = "all"  # the word for `Field.every`
SIZES = ("source", "base", "large")
OPTIMIZERS: tuple[Literal["adam", "sgd"], ...] = ("adam", "sgd")
DEFAULT_THREADS = "default"  # of --threads: LEFT_ALONE
ALL_THREADS = "all"  # of --threads: one for each core

FEWEST_STEPS = 3  # of --steps-vary

# Those that change the shapes of parameters.
SHAPES = ("cell", "input", "hidden", "layers", "vocab", "classes", "no_bias", "bidirectional")

Values = Mapping[str, tuple[Any, ...]]  # of each option that is given, by its name with "_"


@dataclass(frozen=True)
class Field:
    """One option. `parse` turns a word into a value; it raises ValueError."""

    parse: Callable[[str, str], Any]  # (option, word)
    kinds: tuple[type, ...] = (str,)  # of its values in a workload file
    whole: bool = False  # a word with commas is one value, and makes no grid
    joined: bool = False  # so is a list in a workload file
    every: tuple[str, ...] = ()  # the words that ALL stands for

    @property
    def switch(self) -> bool:
        return self.kinds == (bool,)

    def values(self, name: str, words: Sequence[str]) -> tuple[Any, ...]:
        """The values of words, each once; raises ValueError that names the option `name`."""
        meant = (self.every if self.every and word == ALL else (word,) for word in words)
        return tuple(dict.fromkeys(self.parse(name, one) for each in meant for one in each))


def _choice(valid: Sequence[str], every: tuple[str, ...] = ()) -> Field:
    known = (*valid, ALL) if every else valid
    return Field(lambda name, word: validation.one_of(name, word, known), every=every)


def _dtype(name: str, word: str) -> str:
    return validation.dtypes(name, word, DTYPES)[0]


def _device(name: str, word: str) -> str:
    return validation.devices(name, word)[0]


def _threads(name: str, word: str) -> int:
    if word == DEFAULT_THREADS:
        return LEFT_ALONE
    if word == ALL_THREADS:
        return validation.threads(())[0]
    try:
        count = validation.whole_number(name, word)
    except ValueError as error:
        raise ValueError(f"{error}, {ALL_THREADS} or {DEFAULT_THREADS}") from error
    return validation.threads([count])[0]


def _file(name: str, word: str) -> Path:
    if not os.path.isfile(word):
        raise ValueError(f"--{name} {word!r}: expected a file that exists")
    return Path(word)


def _lengths(name: str, word: str) -> str:
    if word in LENGTHS:
        return word
    try:
        return f"{share_of_padding(word):g}"
    except ValueError as error:
        near = validation.did_you_mean(word, LENGTHS)
        raise ValueError(f"--{name} {str(error).removeprefix('lengths is ')}{near}") from error


def _steps_vary(name: str, word: str) -> tuple[int, ...]:
    found = validation.whole_numbers(name, word)
    if len(found) < FEWEST_STEPS:
        raise ValueError(
            f"--{name} {word!r}: expected at least {FEWEST_STEPS} different numbers of steps"
        )
    return tuple(sorted(found))


_WHOLE = Field(validation.whole_number, (int,))
_SWITCH = Field(lambda _, word: word == "true", (bool,))

# In the order of the grid: the last of them varies fastest.
MODEL: Mapping[str, Field] = {
    "cell": _choice(CELLS),
    **dict.fromkeys(("batch", "steps", "input", "hidden", "layers", "vocab"), _WHOLE),
    "classes": Field(validation.whole_number_or_none, (int,)),
    "readout": _choice(get_args(Readout)),
    "loss": _choice(get_args(Loss)),
    "time_reduction": _choice(get_args(Reduction)),
    **dict.fromkeys(("no_bias", "frozen_embedding", "bidirectional"), _SWITCH),
    "dropout": Field(validation.share, (float, int)),
    **dict.fromkeys(("initial_state", "stateful", "weighted"), _SWITCH),
    "values": _choice(VALUES),
    "lengths": Field(_lengths, (str, float)),
    "padding": _choice(PADDINGS),
    "steps_vary": Field(_steps_vary, (int,), whole=True, joined=True),
    "updates": _WHOLE,
    "weights": Field(_file, whole=True),
    "embedding": Field(_file, whole=True),
}
# The data of the task, and how they are read; the values of all of them make one data set.
DATA: Mapping[str, Field] = {
    "data": Field(known.file, whole=True),
    "columns": Field(known.columns, (str, int), whole=True, joined=True),
    "encoding": Field(known.encoding, whole=True),
    "tokens": _choice(known.TOKENS),
    **dict.fromkeys(("max_vocab", "min_count"), _WHOLE),
}
FIELDS: Mapping[str, Field] = {
    "task": _choice(tuple(TASKS), every=ALL_TASKS),
    "size": _choice(SIZES),
    "phase": _choice(PHASES),
    "device": Field(_device),
    "dtype": Field(_dtype),
    "optimizer": _choice(OPTIMIZERS),
    "threads": Field(_threads, (int, str)),
    **MODEL,
    **DATA,
}
FILES = ("weights", "embedding", "data")  # in a workload file, named from its folder


def option(name: str) -> str:
    """ "frozen-embedding": how the option is written."""
    return name.replace("_", "-")


def from_words(words: Mapping[str, Sequence[str]]) -> Values:
    """The values of words; each value of an option once. Raises ValueError, naming the option."""
    return {name: FIELDS[name].values(option(name), given) for name, given in words.items()}

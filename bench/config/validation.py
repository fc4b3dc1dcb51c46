"""What an option may be. Each raises ValueError that says what was expected and what came."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

from backends import registry
from bench.records import machine

DEVICES = ("cpu", "cuda", "cuda:N")
LEAST_PRECISION = 0.005  # known no better by any number of processes that is measured
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}
MOST_DIGITS = 30  # of a whole number
# Of 1, as difflib has it: how alike a word and a name are if the name may be meant, and how much
# less than the most alike name.
NEAR, AS_NEAR = 0.7, 0.05


def nearest(word: str, known: Iterable[str]) -> list[str]:
    """The names that `word` may be misspelt from, the nearest first."""
    word = word.lower()
    found = difflib.get_close_matches(word, list(known), cutoff=NEAR)
    alike = [difflib.SequenceMatcher(None, name, word).ratio() for name in found]
    return [name for name, ratio in zip(found, alike, strict=True) if ratio > alike[0] - AS_NEAR]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """ ". Did you mean torch?", to stand behind a sentence; empty where no name is near."""
    near = nearest(word, known)
    return f". Did you mean {' or '.join(near)}?" if near else ""


def split(name: str, value: str | None, of: str = "") -> tuple[str, ...]:
    """The parts of a comma-separated list, each once; none where the option was not given."""
    if value is None:
        return ()
    parts = [part.strip() for part in value.split(",")]
    if not all(parts):
        raise ValueError(f"--{name} {value!r}: expected a comma-separated list{of}")
    return tuple(dict.fromkeys(parts))


def names(name: str, value: str | None, valid: Sequence[str]) -> tuple[str, ...]:
    """A list of some of `valid`."""
    chosen = split(name, value, f" of {', '.join(valid)}")
    return tuple(one_of(name, part, valid) for part in chosen)


def one_of(name: str, value: str, valid: Sequence[str]) -> str:
    """The same, which is one of `valid`."""
    if value not in valid:
        near = did_you_mean(value, valid)
        raise ValueError(f"--{name} {value!r} is unknown; expected {', '.join(valid)}{near}")
    return value


def dtypes(name: str, value: str | None, valid: Sequence[str]) -> tuple[str, ...]:
    """A list of some of `valid`. One with a near name is another arithmetic: none is suggested."""
    chosen = split(name, value, f" of {', '.join(valid)}")
    for part in chosen:
        if part not in valid:
            raise ValueError(f"--{name} {part!r} is unknown; expected {', '.join(valid)}")
    return chosen


def whole_number(name: str, value: str) -> int:
    if not _is_whole(value) or int(value) < 1:
        raise ValueError(f"--{name} {value!r}: expected a whole number of at least 1")
    return int(value)


def whole_number_or_none(name: str, value: str) -> int:
    if not _is_whole(value):
        raise ValueError(f"--{name} {value!r}: expected a whole number, 0 or more")
    return int(value)


def _is_whole(value: str) -> bool:
    return value.isascii() and value.isdecimal() and len(value) <= MOST_DIGITS


def whole_numbers(name: str, value: str | None) -> tuple[int, ...]:
    return tuple(dict.fromkeys(whole_number(name, part) for part in split(name, value)))


def seconds(name: str, value: str) -> float:
    """A finite number above 0."""
    number = _float(value)
    if not 0.0 < number < float("inf"):
        raise ValueError(f"--{name} {value!r}: expected a number of seconds above 0")
    return number


def seconds_or_none(name: str, value: str) -> float:
    """A finite number of at least 0."""
    number = _float(value)
    if not 0.0 <= number < float("inf"):
        raise ValueError(f"--{name} {value!r}: expected a number of seconds, 0 or more")
    return number


def share(name: str, value: str | None) -> float:
    """A number in [0, 1); 0 where the option was not given."""
    if value is None:
        return 0.0
    found = _float(value)
    if not 0.0 <= found < 1.0:
        raise ValueError(f"--{name} {value!r}: expected a share in [0, 1)")
    return found


def percent(name: str, value: str) -> float:
    """0.05 of "5%" or "5"."""
    found = re.fullmatch(r"\s*(\d{1,9}(?:\.\d{1,9})?)\s*%?\s*", value, re.A)
    if found is None:
        raise ValueError(f"--{name} {value!r}: expected a number of percent, as in 5%")
    return float(found[1]) / 100


def precision(value: str | None, processes: str | None) -> float | None:
    """Half the interval of a ratio, which chooses the number of processes; None if not given."""
    if value is None:
        return None
    if processes is not None:
        raise ValueError("--precision chooses the number of processes; expected no --processes")
    found = percent("precision", value)
    if not LEAST_PRECISION <= found <= 1:
        raise ValueError(f"--precision {value!r}: expected {100 * LEAST_PRECISION:g}% to 100%")
    return found


def budget(value: str | None, processes: str | None) -> float | None:
    """Seconds of "90s", "10min" or "1h"; None if not given."""
    if value is None:
        return None
    if processes is not None:
        raise ValueError("--budget chooses the number of processes; expected no --processes")
    found = re.fullmatch(r"\s*(\d{1,9}(?:\.\d{1,9})?)\s*(s|min|h)\s*", value, re.A)
    seconds = float(found[1]) * _SECONDS[found[2]] if found else 0.0
    if not seconds:
        raise ValueError(f"--budget {value!r}: expected a time, as in 90s, 10min or 1h")
    return seconds


def folder_name(name: str, value: str) -> str:
    """The name of one folder, without a path, and of characters that a terminal shows."""
    if not value or value.startswith(".") or "/" in value or not value.isprintable():
        raise ValueError(f"--{name} {value!r}: expected the name of one folder")
    return value


def _float(value: str) -> float:
    """-1 for what is no number."""
    try:
        return float(value)
    except ValueError:
        return -1.0


def devices(name: str, value: str | None) -> tuple[str, ...]:
    """A list of "cpu" and "cuda:N"; "cuda" is the first."""
    chosen = split(name, value)
    for part in chosen:
        kind, colon, index = part.partition(":")
        if not (part == "cpu" or (kind == "cuda" and (not colon or index.isdecimal()))):
            near = ". Did you mean cuda?" if kind == "gpu" else ""
            raise ValueError(f"--{name} {part!r} is unknown; expected {', '.join(DEVICES)}{near}")
    return tuple("cuda:0" if part == "cuda" else part for part in chosen)


def threads(counts: Sequence[int]) -> tuple[int, ...]:
    """The same, or all cores where none is given."""
    cores = len(machine.all_cores())
    for count in counts:
        if count > cores:
            raise ValueError(
                f"--threads {count}: expected at most {cores}, the cores this process may use"
            )
    return tuple(counts) or (len(machine.available_cores()),)


def known_backend(name: str) -> registry.Entry:
    """The variant of that name; raises registry.BrokenBackendError where two have it."""
    try:
        return registry.find(name)
    except registry.UnknownBackendError as error:
        raise ValueError(f"{error}{did_you_mean(name, registry.table())}") from error


def backends(chosen: Sequence[str]) -> tuple[str, ...]:
    """The same, each of which can run as far as is known without starting it."""
    try:
        for name in chosen:
            if missing := registry.missing(known_backend(name)):
                raise ValueError(f"--backend {name}: {missing}")
    except registry.BrokenBackendError as error:
        raise ValueError(str(error)) from error
    return tuple(chosen)

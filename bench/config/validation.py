"""What an option may be. Each raises ValueError that says what was expected and what came."""

from __future__ import annotations

from collections.abc import Sequence

from backends import registry
from bench.records import machine

DEVICES = ("cpu", "cuda", "cuda:N")


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
        raise ValueError(f"--{name} {value!r} is unknown; expected {', '.join(valid)}")
    return value


def whole_number(name: str, value: str) -> int:
    if not value.isascii() or not value.isdecimal() or int(value) < 1:
        raise ValueError(f"--{name} {value!r}: expected a whole number of at least 1")
    return int(value)


def whole_numbers(name: str, value: str | None) -> tuple[int, ...]:
    return tuple(dict.fromkeys(whole_number(name, part) for part in split(name, value)))


def seconds(name: str, value: str) -> float:
    """A finite number above 0."""
    number = _float(value)
    if not 0.0 < number < float("inf"):
        raise ValueError(f"--{name} {value!r}: expected a number of seconds above 0")
    return number


def share(name: str, value: str | None) -> float:
    """A number in [0, 1); 0 where the option was not given."""
    if value is None:
        return 0.0
    found = _float(value)
    if not 0.0 <= found < 1.0:
        raise ValueError(f"--{name} {value!r}: expected a share in [0, 1)")
    return found


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
            raise ValueError(f"--{name} {part!r} is unknown; expected {', '.join(DEVICES)}")
    return tuple("cuda:0" if part == "cuda" else part for part in chosen)


def threads(counts: Sequence[int]) -> tuple[int, ...]:
    """The same, or all cores where none is given."""
    cores = len(machine.available_cores())
    for count in counts:
        if count > cores:
            raise ValueError(
                f"--threads {count}: expected at most {cores}, the cores this process may use"
            )
    return tuple(counts) or (cores,)


def backends(chosen: Sequence[str]) -> tuple[str, ...]:
    """The same, each of which can run as far as is known without starting it."""
    try:
        for name in chosen:
            if missing := registry.missing(registry.find(name)):
                raise ValueError(f"--backend {name}: {missing}")
    except (registry.UnknownBackendError, registry.BrokenBackendError) as error:
        raise ValueError(str(error)) from error
    return tuple(chosen)

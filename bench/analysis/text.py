"""Formats values as markdown that also reads well in a terminal. Pure."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime

LONGEST = 400  # characters of one value; the records hold all of it
WIDEST = 60  # columns; a wider last column is not padded

_MARKUP = re.compile(
    r"[\\`*|~$<]"  # an underscore within a word, and most brackets, are harmless in markdown
    r"|(?<![^\W_])_|_(?![^\W_])|\](?=[(\[])|&(?=[#\w])"
)
_ENTITIES = {"<": "&lt;", "&": "&amp;"}
_MARKUP_AND_BRACKETS = re.compile(rf"{_MARKUP.pattern}|[\[\]]")
# Characters that begin a heading, a quotation, a list, a rule or the line under a heading.
_BEGINNING = re.compile(r"^(\d{1,9}(?=[.)](?:\s|$))|(?=#{1,6}(?:\s|$)|>|[-+]\s|-{2,}$|=+$))")
_UNPRINTABLE = ("Cc", "Cf", "Cs", "Zl", "Zp")  # controls, direction marks, lone surrogates, breaks


def plain(value: object, longest: int | None = None) -> str:
    """One line without control characters, cut after `longest`. Not escaped."""
    raw = str(value)
    if not raw.isprintable():
        raw = "".join(" " if unicodedata.category(c) in _UNPRINTABLE else c for c in raw)
    line = " ".join(raw.split())
    return line if longest is None or len(line) <= longest else line[:longest].rstrip() + " …"


def escape(value: object) -> str:
    """`value` on one line that markdown, its tables and HTML show as it is; cut after LONGEST."""
    return _escaped(_MARKUP, value)


def escape_brackets(value: object) -> str:
    """`escape` plus brackets, for the alternative text of a picture."""
    return _escaped(_MARKUP_AND_BRACKETS, value)


def _escaped(marks: re.Pattern[str], value: object) -> str:
    escaped = marks.sub(lambda m: _ENTITIES.get(m[0], "\\" + m[0]), plain(value, LONGEST))
    return _BEGINNING.sub(r"\1\\", escaped)


def listing(values: Iterable[object], between: str = ", ") -> str:
    """ "a, b, c", escaped, each once, in order of appearance."""
    return between.join(dict.fromkeys(escape(value) for value in values))


def numbered(name: str, taken: Collection[str]) -> str:
    """The name, with the first free number behind it if it is taken: "torch", "torch (2)"."""
    free, number = name, 2
    while free in taken:
        free, number = f"{name} ({number})", number + 1
    return free


def plural(count: int, noun: str) -> str:
    """ "1 round", "2 rounds"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def threads(count: int) -> str:
    """ "2 threads"; where they are left alone, "threads by default"."""
    return plural(count, "thread") if count else "threads by default"


def three_digits(value: float) -> str:
    """A non-negative number with three significant digits, no exponent: 1.20, 43.7, 1234."""
    if value == 0:
        return "0"
    digits = 2 - math.floor(math.log10(float(f"{value:.2e}")))
    return f"{value:.{max(0, digits)}f}"


def duration(seconds: float) -> str:
    """ "12.3 µs", "1.20 ms", "4.56 s"."""
    for scale, unit in ((1e6, "µs"), (1e3, "ms")) if seconds else ():
        if float(f"{seconds * scale:.2e}") < 1000:
            return f"{three_digits(seconds * scale)} {unit}"
    return f"{three_digits(seconds)} s"


def ratio(value: float) -> str:
    """ "1.00", "12.3", "1234": three digits, and two decimals below 10."""
    return f"{value:.2f}" if value < 9.995 else three_digits(value)


def interval(low: float, high: float) -> str:
    """The interval of a ratio: "1.08 to 1.44"; "unknown" if there was one round only."""
    if not (math.isfinite(high) and low > 0):
        return "unknown"
    return f"{ratio(low)} to {ratio(high)}"


def plus_minus(half_width: float) -> str:
    """The half width of a log ratio's interval: "±4 %", "±0.3 %", "±>100 %"."""
    if not half_width < math.log(2):
        return "±>100 %"
    percent = 100 * math.expm1(half_width)
    return f"±{percent:.0f} %" if percent >= 0.95 else f"±{percent:.1f} %"


def share(value: float) -> str:
    """ "62 %", "3.1 %", "0.4 %"."""
    percent = 100 * value
    return f"{percent:.0f} %" if percent >= 9.95 or percent == 0 else f"{percent:.1f} %"


def mebibytes(count: float) -> str:
    """ "312 MiB", "4.1 MiB"."""
    value = count / 2**20
    return f"{value:,.0f} MiB" if value >= 99.5 else f"{value:.1f} MiB"


def flops(count: float, unit: str = "FLOP") -> str:
    """ "134 MFLOP", "1.20 GFLOP/s"."""
    for scale, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= scale:
            return f"{three_digits(count / scale)} {prefix}{unit}"
    return f"{three_digits(count)} {unit}"


def joined(words: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def error(value: float) -> str:
    """ "5.3e-8"; 0 as "0"."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}" if int(exponent) else f"{value:.1f}"


def date(started: str) -> str:
    """ISO 8601 as "2026-11-21 23:29 UTC"; anything else escaped."""
    try:
        moment = datetime.fromisoformat(started)
    except ValueError:
        return escape(started)
    utc = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return f"{utc:%Y-%m-%d %H:%M} UTC"


def width(text: str) -> int:
    """Terminal columns of `text`: a Korean letter takes two."""
    if text.isascii():
        return len(text)
    wide = (unicodedata.east_asian_width(c) in "WF" for c in text if not unicodedata.combining(c))
    return sum(2 if w else 1 for w in wide)


def column_width(entries: Iterable[str]) -> int:
    """Terminal columns of a table's column, its frame included."""
    return max(3, *map(width, entries)) + 3


def table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> str:
    """A markdown table with padded columns; the columns in `right` are right-aligned.

    A last column wider than WIDEST is not padded. Entries must be escaped already.
    """
    widths = [column_width(column) - 3 for column in zip(head, *rows, strict=True)]
    if widths[-1] > WIDEST:
        widths[-1] = max(3, width(head[-1]))

    def line(row: Sequence[str]) -> str:
        entries = (
            " " * (w - width(t)) + t if i in right else t + " " * (w - width(t))
            for i, (t, w) in enumerate(zip(row, widths, strict=True))
        )
        return f"| {' | '.join(entries)} |"

    rule = "|".join(
        "-" * (w + 1) + ":" if i in right else "-" * (w + 2) for i, w in enumerate(widths)
    )
    return "\n".join([line(head), f"|{rule}|", *map(line, rows)])

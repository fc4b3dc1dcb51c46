"""The lines of a file of data, one after the other: a file is never held as a whole.

Every error is a ValueError that names the line and says what was expected.
"""

from __future__ import annotations

import codecs
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

LONGEST = 2**20  # bytes of a line of a table
MOST_BYTES = 2**29  # of a file
_UTF8 = ("utf-8", "utf-8-sig")


def checked_file(name: str, word: str) -> Path:
    """The path of a regular file that is not empty and not too large, for the option `name`."""
    try:
        found = os.stat(word)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ValueError(f"--{name} {word!r}: {reason}; expected a file that exists") from error
    if stat.S_ISDIR(found.st_mode):
        raise ValueError(f"--{name} {word!r} is a directory; expected a file")
    if not stat.S_ISREG(found.st_mode):
        raise ValueError(
            f"--{name} {word!r} is a pipe or a device; expected a file, which can be read again"
        )
    if not found.st_size:
        raise ValueError(f"--{name} {word!r} is empty; expected a file of texts")
    if found.st_size > MOST_BYTES:
        raise ValueError(
            f"--{name} {word!r} has {found.st_size:,} bytes; expected at most {MOST_BYTES:,}, "
            "such as a part of it"
        )
    return Path(word)


def checked_encoding(name: str, word: str) -> str:
    """The name of an encoding in which lines end as they do in ASCII."""
    try:
        found = codecs.lookup(word).name
        ended = "a\n".encode(found)
    except (LookupError, ValueError, TypeError) as error:
        raise ValueError(
            f"--{name} {word!r} is unknown; expected an encoding of Python, such as utf-8, "
            "latin-1 or cp949"
        ) from error
    if found in _UTF8:
        return "utf-8"
    if ended != b"a\n":
        raise ValueError(
            f"--{name} {word!r}: its lines do not end as in ASCII; expected a file in another "
            f"encoding (iconv -f {word} -t UTF-8)"
        )
    return found


def sha256(path: Path) -> str:
    """The hash of the content."""
    try:
        with path.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error


def lines(
    path: Path, encoding: str, expected: str, longest: int = LONGEST
) -> Iterator[tuple[int, str]]:
    r"""The number of each line, from 1, and its text without "\n", "\r\n" or a byte order mark.

    A line ends at "\n" alone: a text may hold what Unicode calls the end of a line.
    """
    with path.open("rb") as content:
        number = 0
        while raw := content.readline(longest + 1):
            number += 1
            where = f"{path}, line {number}"
            if len(raw) > longest:
                raise ValueError(f"{where} is longer than {longest:,} bytes; expected {expected}")
            if b"\0" in raw:
                raise ValueError(
                    f"{where} holds a NUL byte in column {raw.index(0) + 1}; expected {expected} "
                    "in UTF-8, or --encoding"
                )
            start = 0
            if number == 1 and encoding == "utf-8" and raw.startswith(codecs.BOM_UTF8):
                raw, start = raw[len(codecs.BOM_UTF8) :], len(codecs.BOM_UTF8)
            try:
                text = raw.decode(encoding)
            except UnicodeDecodeError as error:
                raise ValueError(
                    f"{where} is not {encoding}: byte {raw[error.start]:#04x} in column "
                    f"{start + error.start + 1}; expected {expected} in that encoding, or another "
                    "one with --encoding"
                ) from error
            yield number, text.removesuffix("\n").removesuffix("\r")

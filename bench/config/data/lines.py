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
_COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh91AY&SY": "bzip2",
}  # how such a file begins


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
    path = Path(word)
    try:
        path.name.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"--{name} {word!r}: the name of the file is not UTF-8, and records hold it; expected "
            "another name"
        ) from error
    return path


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
    r"""The number of each line, from 1, and its text without "\n", "\r\n" or a byte order mark."""
    for number, text in ended_lines(path, encoding, expected, longest):
        yield number, text.removesuffix("\n")


def ended_lines(
    path: Path, encoding: str, expected: str, longest: int = LONGEST
) -> Iterator[tuple[int, str]]:
    r"""The same with the "\n" that ends each line; the last may have none.

    A line ends at "\n" alone: a text may hold what Unicode calls the end of a line.
    """
    with path.open("rb") as content:
        number = 0
        while raw := content.readline(longest + 1):
            number += 1
            where = f"{path}, line {number}"
            if number == 1:
                _expect_text(path, raw, expected)
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
            end = "\n" if text.endswith("\n") else ""
            yield number, text.removesuffix("\n").removesuffix("\r") + end


def _expect_text(path: Path, first: bytes, expected: str) -> None:
    """Raise ValueError where the first line is how a compressed file begins."""
    for head, kind in _COMPRESSED.items():
        if first.startswith(head):
            raise ValueError(f"{path} is compressed ({kind}); expected {expected}, unpacked")

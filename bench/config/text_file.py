"""Files of text that a user gives."""

from __future__ import annotations

from pathlib import Path


def read(path: Path, expected: str) -> str:
    """The text of a file in UTF-8, without a byte order mark.

    Raises ValueError that names the file, what is wrong with it, and what was `expected`.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}; expected {expected}") from error
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        start = content.rfind(b"\n", 0, error.start) + 1
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path} is not text in UTF-8: byte {content[error.start]:#04x} in line {line}, "
            f"column {error.start - start + 1}; expected {expected}"
        ) from error

"""Parameters that a user gives: weights in an NPZ file, an embedding as text.

A file is read once, and known by the hash of its content from then on.
"""

from __future__ import annotations

import hashlib
import math
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from bench.config import text_file
from bench.config.data import known
from bench.records.workload import GivenFile, Workload
from tasks.spec import ModelSpec, Params, check_params
from tasks.task import start_params

LINES = 1000  # of which the usual number of words is the size of a table without a head line

LARGEST = float(np.finfo(np.float32).max)
_READ: dict[str, Params] = {}  # by hash
_TABLES: dict[str, Params] = {}  # embeddings, likewise


def initial(workload: Workload, seed: int) -> Params:
    """The parameters that a workload starts from: those of its task, with those that are given."""
    params = start_params(known.of_workload(workload), workload.spec, seed)
    if workload.weights is not None:
        params |= _READ[workload.weights.sha256]
    if workload.embedding is not None:
        params |= _TABLES[workload.embedding.sha256]
    return params


def read_weights(path: Path) -> GivenFile:
    """An NPZ file of arrays by canonical names. Raises ValueError if it is anything else."""
    file = _known_by(path)
    if file.sha256 in _READ:
        return file
    try:
        with path.open("rb") as content:
            arrays = np.load(content, allow_pickle=False)
            if not isinstance(arrays, np.lib.npyio.NpzFile):
                raise ValueError("it holds a single array")
            params = {name: arrays[name] for name in arrays.files}
    except (ValueError, zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise ValueError(
            f"{path} is not an NPZ file of numbers: {error}; expected one that "
            "numpy.savez(FILE, **parameters) wrote, by canonical names"
        ) from error
    _READ[file.sha256] = {name: _numbers(path, name, array) for name, array in params.items()}
    return file


def read_embedding(path: Path) -> tuple[GivenFile, tuple[int, int]]:
    """A table of vectors as text, and its (V, D): a word and D numbers a line.

    word2vec's form has a head line "V D", GloVe's has none. Words may contain spaces. Raises
    ValueError, naming the line, if a line has another number of values or something else.
    """
    file = _known_by(path)
    if file.sha256 not in _TABLES:
        lines = text_file.read(path, "a word and its numbers in each line").split("\n")
        rows = list(_vectors(path, lines))
        if not rows:
            raise ValueError(f"{path} has no vectors; expected a word and its numbers in each line")
        _TABLES[file.sha256] = {"E": _numbers(path, "the table", np.stack(rows))}
    vocab, columns = _TABLES[file.sha256]["E"].shape
    return file, (vocab, columns)


def check(spec: ModelSpec, path: Path, file: GivenFile) -> None:
    """Raise ValueError, naming the file, unless its parameters are those of `spec`."""
    try:
        check_params(spec, _READ[file.sha256])
    except ValueError as error:
        raise ValueError(f"{path} holds the weights of another net: {error}") from error


def _known_by(path: Path) -> GivenFile:
    try:
        with path.open("rb") as content:
            found = hashlib.file_digest(content, "sha256")
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    return GivenFile(name=path.name, sha256=found.hexdigest())


def _numbers(path: Path, name: str, array: object) -> np.ndarray:
    """The array in float64; it must hold finite numbers."""
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
        found = array.dtype if isinstance(array, np.ndarray) else "no array"
        raise ValueError(f"{path}: {name} is {found}; expected numbers")
    if not np.isfinite(array).all():
        raise ValueError(f"{path}: {name} holds NaN or infinity; expected finite numbers")
    if array.size and np.abs(array.astype(np.float64)).max() > LARGEST:
        raise ValueError(f"{path}: {name} holds numbers beyond float32; expected none")
    return array.astype(np.float64)


def _vectors(path: Path, lines: list[str]) -> Iterator[np.ndarray]:
    """The numbers (D,) of each line, without the head line of word2vec and empty last lines."""
    while lines and not lines[-1].strip():
        lines = lines[:-1]
    head = _words(lines[0]) if lines else []
    first = 1
    if len(lines) > 1 and len(head) == 2 and all(word.isdecimal() for word in head):
        rows, size = map(int, head)
        first, lines = 2, lines[1:]
        if len(lines) != rows:
            raise ValueError(f"{path} has {len(lines)} vectors; expected {rows}, as line 1 has it")
    else:
        usual = Counter(len(_words(line)) for line in lines[:LINES]).most_common(1)
        size = usual[0][0] - 1 if usual else 1
    if size < 1:
        raise ValueError(f"{path}, line 1: expected a word and its numbers, separated by spaces")
    for number, line in enumerate(lines, first):
        try:
            yield _vector(_words(line), size)
        except ValueError as error:
            raise ValueError(
                f"{path}, line {number}: expected a word and {size} numbers, found {error}"
            ) from error


def _words(line: str) -> list[str]:
    """The parts between spaces and tabs: other white space can be a word of a vocabulary."""
    return [word for word in re.split("[ \t]+", line.rstrip("\r")) if word]


def _vector(words: Sequence[str], size: int) -> np.ndarray:
    """The last `size` of the words as numbers (D,). The error is what was found instead."""
    if len(words) <= size:
        raise ValueError(f"{len(words)} words in all")
    numbers = [_number(word) for word in words[-size:]]
    for word, number in zip(words[-size:], numbers, strict=True):
        if not math.isfinite(number):
            raise ValueError(repr(word))
    # A further number, unless it is a plain one as in "boeing 747".
    before = words[-size - 1]
    if len(words) > size + 1 and not before.isdecimal() and math.isfinite(_number(before)):
        raise ValueError("more")
    return np.array(numbers)


def _number(word: str) -> float:
    """NaN for what is no number."""
    try:
        return float(word)
    except ValueError:
        return math.nan

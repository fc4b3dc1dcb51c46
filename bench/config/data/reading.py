"""A file of data, read into a task, and what was read in words."""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bench.config.data import conllu_file, tables
from bench.config.data.lines import MOST_BYTES, ended_lines
from bench.records.workload import DataSet
from tasks import given_data
from tasks.given_data import SPECIAL, UNKNOWN, GivenData, OneText, Texts
from tasks.task import Shape

MOST_WORDS = 5_000_000  # that differ
MOST_LABELS = 1000
LONGEST_NAME = 40  # characters of a label that a message shows
# Of the errors of the most frequent answer, the share that the target avoids.
AVOIDED, AVOIDED_CHARACTERS = 0.5, 0.3
SHAPES: Mapping[str, Shape] = {
    "sentiment": "many-to-one",
    "pos_tagging": "many-to-many",
    "charseq": "many-to-many",
}
_AT_ONCE = 2**20  # characters of one text
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?", re.A)


def _numbered() -> defaultdict[str, int]:
    """A new word gets the next number."""
    found: defaultdict[str, int] = defaultdict()
    found.default_factory = found.__len__
    return found


@dataclass
class Found:
    """What a file holds: K different words, and S texts of them."""

    path: Path
    format: str
    columns: tuple[str, ...] = ()
    words: defaultdict[str, int] = field(default_factory=_numbered)
    names: defaultdict[str, int] = field(default_factory=_numbered)  # of labels or tags
    tokens: array[int] = field(default_factory=lambda: array("i"))
    ends: array[int] = field(default_factory=lambda: array("q"))
    labels: array[int] = field(default_factory=lambda: array("i"))
    rows: int = 0  # also those that are left out
    left_out: Counter[str] = field(default_factory=Counter)

    def add(self, words: Iterable[str]) -> None:
        self.tokens.extend(map(self.words.__getitem__, words))
        self.ends.append(len(self.tokens))
        if len(self.words) > MOST_WORDS:
            raise ValueError(
                f"{self.path} has more than {MOST_WORDS:,} different words; expected "
                "texts, separated by spaces (or --tokens=characters)"
            )


def read(path: Path, task: str, data: DataSet) -> tuple[GivenData, list[str]]:
    """The task on that data, and what was read, a line each. Raises ValueError."""
    if task == "charseq":
        return _of_one_text(path, data)
    found = _sentences(path, data) if task == "pos_tagging" else _labelled(path, data)
    count = len(found.ends)
    if count < given_data.FEWEST:
        raise ValueError(
            f"{path} has {count} texts{_left_out(found)}; expected at least {given_data.FEWEST}"
        )
    if len(found.names) < 2:
        raise ValueError(
            f"{path} has one class only, {next(iter(found.names))[:LONGEST_NAME]!r}; expected at "
            "least two labels"
        )
    train, held_out = given_data.split(count)
    # Classes in the order of their names, numbers by value.
    names = sorted(found.names, key=_by_value)
    place = np.empty(len(names), np.int32)
    place[[found.names[name] for name in names]] = np.arange(len(names))
    texts = Texts(
        *(np.asarray(found.tokens), np.asarray(found.ends), place[np.asarray(found.labels)]),
        *(train, held_out, task == "pos_tagging"),
    )
    trained = given_data.part(texts, train)
    words, known, _ = _vocabulary(found, texts.tokens, texts.tokens[trained], data)
    lengths = np.diff(texts.ends, prepend=0)
    steps = given_data.steps_that_fit(lengths)
    of_train = trained if texts.tagged else train
    of_held_out = ~trained if texts.tagged else held_out
    labels, held_labels = (
        np.bincount(texts.labels[part], minlength=len(names)) for part in (of_train, of_held_out)
    )
    made = GivenData(
        task,
        SHAPES[task],
        texts,
        words,
        len(names),
        steps=steps,
        threshold=given_data.threshold(labels, AVOIDED),
        cell=None if texts.tagged else "lstm",
    )
    _expect_reachable(path, names, labels, held_labels, made.target.threshold)
    kind = "sentences" if texts.tagged else "texts"
    shares = np.bincount(texts.labels, minlength=len(names)) / len(texts.labels)
    return made, [
        f"{_named(found)}: {found.rows:,} rows, {count:,} {kind}{_left_out(found)}",
        f"{len(train):,} to train on, {len(held_out):,} held out; target: accuracy "
        f"{made.target.threshold:g}",
        f"{'tags' if texts.tagged else 'labels'}: {_shares(names, shares)}",
        known,
        f"length: {_quantiles(lengths)}; T {steps}, which cuts "
        f"{int((lengths > steps).sum()):,} of them",
    ]


def _labelled(path: Path, data: DataSet) -> Found:
    left_out: Counter[str] = Counter()
    table = tables.read(path, data.columns, data.encoding, left_out)
    found = Found(path, table.format, table.columns, left_out=left_out)
    by_character, first = data.tokens == "characters", None
    for row in table.rows:
        found.rows += 1
        where = f"{path}, line {row.line}"
        if not row.label:
            raise ValueError(f"{where}: a text without a label; expected one")
        first = first or row
        label = unicodedata.normalize("NFC", row.label)
        if _NUMBER.fullmatch(first.label):
            label = _by_one_name(label)
        if _NUMBER.fullmatch(first.label) and not _NUMBER.fullmatch(label):
            raise ValueError(
                f"{where}: the label is {row.label[:LONGEST_NAME]!r}; expected a number, as in "
                f"line {first.line}"
            )
        text = unicodedata.normalize("NFC", row.text).strip()
        if not text:
            left_out["empty texts"] += 1
            continue
        found.add(text if by_character else text.split())
        found.labels.append(found.names[label])
        if len(found.names) > MOST_LABELS:
            raise ValueError(
                f"{where}: more than {MOST_LABELS} different labels; expected a column of classes "
                "(--columns=TEXT,LABEL)"
            )
    if not found.rows:
        raise ValueError(f"{path} has a line of names alone; expected {tables.EXPECTED}")
    return found


def _sentences(path: Path, data: DataSet) -> Found:
    columns = conllu_file.checked_columns(path, data.columns)
    found = Found(path, "CoNLL-U", columns)
    for sentence in conllu_file.read(path, columns, data.encoding, found.left_out):
        found.rows += 1
        words, tags = zip(*sentence, strict=True)
        found.add(unicodedata.normalize("NFC", word) for word in words)
        found.labels.extend(found.names[unicodedata.normalize("NFC", tag)] for tag in tags)
    return found


def _of_one_text(path: Path, data: DataSet) -> tuple[GivenData, list[str]]:
    if data.columns:
        raise ValueError(f"{path} is read as one text; expected no --columns")
    found = Found(path, "text")
    pending, count = [], 0
    for _, line in ended_lines(path, data.encoding, "text", MOST_BYTES):
        found.rows += 1
        pending.append(line)
        count += len(line)
        if count > _AT_ONCE:
            found.add(unicodedata.normalize("NFC", "".join(pending)))
            pending, count = [], 0
    found.add(unicodedata.normalize("NFC", "".join(pending)))
    tokens = np.asarray(found.tokens)
    held_from = len(tokens) - max(1, len(tokens) // 10)
    words, known, counts = _vocabulary(found, tokens, tokens[:held_from], data)
    if len(words) < len(SPECIAL) + 2:
        raise ValueError(f"{path}{_one_character(found, data)}; expected at least two")
    sequences = OneText(tokens, held_from)
    steps = min(given_data.WINDOW, max(1, len(tokens) // (10 * given_data.FEWEST)))
    try:
        made = GivenData(
            "charseq",
            SHAPES["charseq"],
            sequences,
            words,
            len(words),
            steps=steps,
            threshold=given_data.threshold(counts, AVOIDED_CHARACTERS),
        )
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return made, [
        f"{_named(found)}: {found.rows:,} lines, {len(tokens):,} characters",
        f"the first {held_from:,} to train on, the others held out; target: accuracy "
        f"{made.target.threshold:g}",
        known,
        f"windows of T {steps}",
    ]


def _vocabulary(
    found: Found, tokens: np.ndarray, trained: np.ndarray, data: DataSet
) -> tuple[list[str], str, np.ndarray]:
    """The V words by id, what is known in words, and how often each comes in `trained`, (V,).

    They are those of the part to train on: `trained` of tokens (N,), which become ids.
    """
    whole = given_data.counted(tokens, len(found.words))
    counts = given_data.counted(trained, len(found.words))
    words, ids = given_data.vocabulary(counts, [*found.words], data.max_vocab, data.min_count)
    given_data.renumber(tokens, ids)
    unknown = ids == SPECIAL.index(UNKNOWN)
    shares = [100 * each[unknown].sum() / each.sum() for each in (counts, whole - counts)]
    kind = "words" if data.tokens == "spaces" else "characters"
    known = (
        f"vocabulary: {len(words) - len(SPECIAL):,} of {len(found.words):,} {kind}; unknown are "
        f"{shares[0]:.1f} % of those to train on, {shares[1]:.1f} % of those held out"
    )
    return words, known, np.bincount(ids, counts, minlength=len(words))


def _one_character(found: Found, data: DataSet) -> str:
    """Why fewer than two characters are left to train on."""
    known = len(found.words)
    if known > 1 and data.max_vocab < 2:
        return f" has {known:,} characters, of which --max-vocab={data.max_vocab} leaves one"
    if known > 1 and data.min_count > 1:
        few = f"fewer than two of which come --min-count={data.min_count} times"
        return f" has {known:,} characters, {few}"
    return f" has one character only{' in the part to train on' if known > 1 else ''}"


def _expect_reachable(
    path: Path, names: Sequence[str], trained: np.ndarray, held_out: np.ndarray, target: float
) -> None:
    """Raise ValueError where a net that errs in no class it has seen still misses the target.

    How often each of the C classes comes in the two parts: (C,).
    """
    best = held_out[trained > 0].sum() / held_out.sum()
    if best < target:
        unseen = [name[:LONGEST_NAME] for name in np.asarray(names)[trained == 0]]
        raise ValueError(
            f"{path}: {', '.join(unseen[:3])} {'are labels' if len(unseen) > 1 else 'is a label'} "
            f"of the part that is held out alone, so that no net reaches the target, accuracy "
            f"{target:g}; expected more texts of each label"
        )


def _by_one_name(number: str) -> str:
    """That of all that are equal: "1" of "1.0", "+1" and "01". What is no number is left alone."""
    if not _NUMBER.fullmatch(number):
        return number
    whole, _, rest = number.lstrip("+-").partition(".")
    found = ".".join(filter(None, (whole.lstrip("0") or "0", rest.rstrip("0"))))
    return f"-{found}" if number[0] == "-" and found != "0" else found


def _by_value(name: str) -> tuple[float, str]:
    return (float(name) if _NUMBER.fullmatch(name) else 0.0, name)


def _named(found: Found) -> str:
    """ "reviews.txt (TSV, columns document and label)"."""
    columns = f", columns {' and '.join(found.columns)}" if found.columns else ""
    return f"{found.path.name} ({found.format}{columns})"


def _left_out(found: Found) -> str:
    """ "; left out: 8 empty texts"; empty if nothing is."""
    counted = [f"{what} {count:,}" for what, count in sorted(found.left_out.items())]
    return f"; left out: {', '.join(counted)}" if counted else ""


def _shares(names: Sequence[str], shares: np.ndarray) -> str:
    shown = [
        f"{name[:LONGEST_NAME]} {100 * share:.1f} %"
        for name, share in zip(names, shares, strict=True)
    ]
    return ", ".join([*shown[:20], *([f"and {len(shown) - 20} more"] if len(shown) > 20 else [])])


def _quantiles(lengths: np.ndarray) -> str:
    """ "at least 1, half of them up to 9, 95 % up to 30, at most 52"."""
    half, most = (int(np.quantile(lengths, q, method="inverted_cdf")) for q in (0.5, 0.95))
    return (
        f"at least {lengths.min()}, half of them up to {half}, 95 % up to {most}, at most "
        f"{lengths.max()}"
    )

"""Words with their parts of speech, from CoNLL-U.

A range of words ("3-4") and an empty node ("3.1") are no words of a sentence, and a word whose tag
is `_` has none: all three are left out, and counted.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.config.data.lines import lines

EXPECTED = "sentences in CoNLL-U, of 10 fields a word, separated by tabs"
FIELDS = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
COLUMNS = ("form", "upos")
_WORDS, _TAGS = ("form", "lemma"), ("upos", "xpos", "deprel")
INSTALL = 'pip install -e ".[data]" -c constraints.txt'

Sentence = list[tuple[str, str]]  # words, each with its tag


def checked_columns(path: Path, columns: Sequence[str]) -> tuple[str, str]:
    """Those of word and tag."""
    word, tag = (name.lower() for name in columns or COLUMNS)
    if word not in _WORDS or tag not in _TAGS:
        raise ValueError(
            f"{path} has no columns {','.join(columns)}; expected one of {', '.join(_WORDS)} and "
            f"one of {', '.join(_TAGS)}, as form,upos"
        )
    return word, tag


def read(
    path: Path, columns: tuple[str, str], encoding: str, left_out: Counter[str]
) -> Iterator[Sentence]:
    """The sentences, without what is left out, which `left_out` counts. ValueError names a line."""
    try:
        from conllu.exceptions import ParseException
        from conllu.parser import parse_line
    except ImportError as error:
        raise ValueError(f"CoNLL-U is read by conllu; install it with: {INSTALL}") from error
    word, tag = columns
    sentence: Sentence = []
    for number, line in lines(path, encoding, EXPECTED):
        if line.startswith("#"):
            continue
        if not line.strip():
            if sentence:
                yield sentence
            sentence = []
            continue
        fields = dict(zip(FIELDS, line.split("\t"), strict=False))
        count = line.count("\t") + 1
        if count != len(FIELDS):
            raise ValueError(f"{path}, line {number}: {count} fields; expected {EXPECTED}")
        for name in columns:
            if not fields[name].strip():
                raise ValueError(f"{path}, line {number}: {name} is empty; expected a word, or _")
        try:
            # It takes two spaces for the end of a field, too; here they are one within a word.
            token = parse_line(re.sub("  +", " ", line), FIELDS)
        except ParseException as error:
            raise ValueError(
                f"{path}, line {number}: {str(error).rstrip('.')}; expected {EXPECTED}"
            ) from error
        if isinstance(token["id"], tuple):
            left_out["ranges of words" if token["id"][1] == "-" else "empty nodes"] += 1
        elif token["id"] is None:
            raise ValueError(f"{path}, line {number}: a word without a number; expected {EXPECTED}")
        elif token[tag] in (None, "_"):
            left_out["words without a tag"] += 1
        else:
            sentence.append((token[word], token[tag]))
    if sentence:
        yield sentence

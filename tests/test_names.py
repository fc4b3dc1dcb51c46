"""A word has one meaning: what tests/banned.toml lists stands nowhere."""

from __future__ import annotations

import io
import re
import subprocess
import tokenize
import tomllib
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from bench import ROOT

HERE = "tests/banned.toml"
RULES: dict[str, list[dict[str, Any]]] = tomllib.loads((ROOT / HERE).read_text())
CODE = ("tasks/", "backends/", "bench/", "tools/", "tests/")
PROSE = (".md", ".jinja")
EVERYWHERE = (*CODE, "docs/", "reports/", "plugins/", "README", "CONTRIBUTING", "CHANGELOG")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


@cache
def _files() -> list[str]:
    """Every text of the project, but for the list itself and the numbers of the runs."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    ends = (".py", ".toml", "Makefile", *PROSE)
    return [
        name
        for name in sorted(set(listed.stdout.splitlines()))
        if name.endswith(ends) and name != HERE and (ROOT / name).exists()
    ]


def _holds(rule: dict[str, Any], file: str) -> bool:
    return file.startswith(tuple(rule.get("only", EVERYWHERE))) and not file.startswith(
        tuple(rule.get("but", ["nowhere"]))
    )


@cache
def _tokens(file: str) -> list[tokenize.TokenInfo]:
    return list(tokenize.generate_tokens(io.StringIO((ROOT / file).read_text()).readline))


@cache
def _names(file: str) -> dict[str, int]:
    """Each identifier of a file, with the first line that holds it."""
    names: dict[str, int] = {}
    for token in _tokens(file) if file.endswith(".py") else ():
        if token.type == tokenize.NAME:
            names.setdefault(token.string, token.start[0])
    return names


@cache
def _prose(file: str) -> str:
    """All that is written for people, with single blanks."""
    if file.endswith(".py"):
        kinds = (tokenize.COMMENT, tokenize.STRING)
        parts = [token.string.lstrip("# ") for token in _tokens(file) if token.type in kinds]
        return " ".join(" ".join(parts).split())
    return " ".join((ROOT / file).read_text().split()) if file.endswith(PROSE) else ""


def _words(name: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(name)}


def _hit(kind: str, rule: dict[str, Any], text: str) -> str:
    """What the rule finds in a name or a text; empty where it finds nothing."""
    if kind == "word":
        return ", ".join(sorted(_words(text) & set(rule["banned"])))
    found = re.search(rule["banned"], text, re.I if kind == "phrase" else 0)
    return found[0] if found else ""


def _found(kind: str, rule: dict[str, Any]) -> Iterator[str]:
    for file in _files():
        if not _holds(rule, file):
            continue
        if kind in ("word", "name"):
            for name, line in _names(file).items():
                if _hit(kind, rule, name):
                    yield f"{file}:{line}: {name}"
            continue
        text = _prose(file) if kind == "phrase" else (ROOT / file).read_text()
        if hit := _hit(kind, rule, text):
            yield f"{file}: {hit!r}"


ALL = [(kind, rule) for kind, rules in RULES.items() for rule in rules]


@pytest.mark.parametrize(("kind", "rule"), ALL, ids=[rule["instead"] for _, rule in ALL])
def test_a_banned_word_stands_nowhere(kind: str, rule: dict[str, Any]) -> None:
    found = list(_found(kind, rule))
    assert not found, f"write {rule['instead']} instead in:\n" + "\n".join(found)


@pytest.mark.parametrize(("kind", "rule"), ALL, ids=[rule["instead"] for _, rule in ALL])
def test_a_rule_finds_what_it_is_for(kind: str, rule: dict[str, Any]) -> None:
    assert rule["such_as"]
    for example in rule["such_as"]:
        assert _hit(kind, rule, example), example
    assert sum(_holds(rule, file) for file in _files()) > 0, "it holds in no file"


def test_files_and_functions_are_read_in_one_sitting() -> None:
    import ast

    files = [file for file in _files() if file.startswith(CODE[:4]) and file.endswith(".py")]
    assert len(files) > 100
    for file in files:
        text = (ROOT / file).read_text()
        assert len(text.splitlines()) <= 300, file
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and node.end_lineno is not None:
                length = node.end_lineno - node.lineno + 1
                assert length <= 60, f"{file}: {node.name} has {length} lines"


def test_bench_has_few_modules_beside_its_rooms() -> None:
    modules = list((ROOT / "bench").glob("*.py"))
    assert 0 < len(modules) <= 6
    for room in (path for path in (ROOT / "bench").iterdir() if path.is_dir()):
        assert (room / "__init__.py").exists() or room.name == "__pycache__", room.name

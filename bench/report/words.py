"""Sentences of the markdown report as plain text, for pages that are no markdown. Pure."""

from __future__ import annotations

from markdown_it import MarkdownIt

_PARSER = MarkdownIt("commonmark", {"html": False})
_MARKS = {"strong_open": "strong", "strong_close": ""}

Part = list[str]  # its text, and "strong", "code" or ""


def parts(markdown: str) -> list[Part]:
    """One line of escaped markdown as parts, unescaped; whatever is no text stays out."""
    found: list[Part] = []
    mark = ""
    for token in (child for t in _PARSER.parseInline(markdown) for child in t.children or ()):
        mark = _MARKS.get(token.type, mark)
        if token.type in ("text", "text_special", "code_inline", "softbreak"):
            kind = "code" if token.type == "code_inline" else mark
            _add(found, " " if token.type == "softbreak" else token.content, kind)
    return found


def _add(found: list[Part], text: str, kind: str) -> None:
    if found and found[-1][1] == kind:
        found[-1][0] += text
    elif text:
        found.append([text, kind])

"""The report as one HTML file with its figures inside, made from the markdown. Pure."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from html import escape
from typing import Any

from markdown_it import MarkdownIt

from bench.analysis import text
from bench.records.schema import Run

STYLE = """
:root { color-scheme: light dark;
  --ink: #1f2328; --page: #ffffff; --line: #d1d9e0; --soft: #f6f8fa; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #d7dde3; --page: #0d1117; --line: #3d444d; --soft: #161b22; }
}
body { margin: 0 auto; max-width: 76rem; padding: 1rem; color: var(--ink); background: var(--page);
  font: 15px/1.5 system-ui, sans-serif; overflow-wrap: break-word; }
h1, h2, h3 { line-height: 1.25; }
h2 { border-bottom: 1px solid var(--line); padding-bottom: 0.2em; margin-top: 2em; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; margin: 0.8em 0; }
th, td { border: 1px solid var(--line); padding: 3px 8px; vertical-align: top; }
th, tr:nth-child(even) td { background: var(--soft); }
th { overflow-wrap: normal; }
img { display: block; max-width: 100%; width: 38rem; height: auto; margin: 1em 0; }
blockquote { margin: 1em 0; padding: 0.5em 1em; border-left: 4px solid #d55e00;
  background: var(--soft); }
blockquote p { margin: 0; }
pre { background: var(--soft); padding: 0.8em; overflow-x: auto; }
p, li { max-width: 60rem; }
@media print { body { max-width: none; } .wide { overflow: visible; } }
"""


def page(run: Run, markdown: str, pictures: Mapping[str, bytes]) -> str:
    """`markdown` with the `pictures` (path to SVG) that it links; the page loads nothing else."""
    # `html=False`: a tag in the text stays text.
    setter = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = setter.parse(markdown)
    for token in tokens:
        for child in token.children or ():
            if child.type == "image":
                _inline(child, pictures)
    body = setter.renderer.render(tokens, setter.options, {})
    body = body.replace("<table>", '<div class="wide"><table>').replace(
        "</table>", "</table></div>"
    )
    title = escape(text.plain(run.name, 100))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )


def _inline(image: Any, pictures: Mapping[str, bytes]) -> None:
    """Put the picture in place of its path. Raises KeyError for an unknown path."""
    content = base64.b64encode(pictures[str(image.attrs["src"])]).decode()
    image.attrs["src"] = f"data:image/svg+xml;base64,{content}"

"""The page of one or several runs: one file that loads nothing and sends nothing. Pure."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jinja2

from bench.report.html.data import Records, data

HERE = Path(__file__).parent
# In this order: each uses those before it.
SCRIPTS = (
    *("state.js", "elements.js", "tables.js", "charts.js", "workload.js", "learning.js"),
    *("curve.js", "all.js", "page.js"),
)
NEEDED = {"altair": "altair", "vl_convert": "vl-convert-python"}  # modules and their packages

_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(HERE),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    autoescape=True,
)


def page(runs: Sequence[Records]) -> str:
    """The page as HTML. Raises ModuleNotFoundError where the packages that draw are missing."""
    if absent := [package for module, package in NEEDED.items() if find_spec(module) is None]:
        raise ModuleNotFoundError(
            f"--format html needs {' and '.join(absent)}; "
            'install with: pip install -e ".[html]" -c constraints.txt'
        )
    from bench.report.html import charts

    library = _script(charts.library())
    script = _script("\n".join((HERE / name).read_text(encoding="utf-8") for name in SCRIPTS))
    found = data(runs)
    return _TEMPLATES.get_template("page.html.jinja").render(
        title=", ".join(run["name"] for run in found["runs"]),
        style=(HERE / "page.css").read_text(encoding="utf-8"),
        allowed=" ".join(map(_hash, (library, script))),
        data=_json(found),
        charts=_json(charts.charts()),
        library=library,
        script=script,
    )


def _json(values: Any) -> str:
    """JSON that ends no script element, whatever its strings hold."""
    dumped = json.dumps(values, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return dumped.replace("<", "\\u003c")


def _script(code: str) -> str:
    """Code that ends no script element: "</script" can only stand in its strings."""
    return code.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _hash(script: str) -> str:
    """The name by which a content security policy allows this script and no other."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"

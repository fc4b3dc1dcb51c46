"""`rnnbench new-backend NAME`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import jinja2
import typer

from backends import registry
from bench.cli.console import line, wrong_use
from bench.config import validation

# Of a folder, a distribution and an entry point at once; an "@" tells environments apart.
NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[._-][A-Za-z0-9]+)*")
LONGEST = 50  # characters

TEMPLATES = Path(__file__).parent / "templates"
ORIGINS = {
    file.name.removeprefix("backend_").removesuffix(".py.jinja"): file.name
    for file in sorted(TEMPLATES.glob("backend_*.py.jinja"))
}


def new_backend(
    name: Annotated[str, typer.Argument(help="The name of the variant, and of its folder.")],
    origin: Annotated[
        str, typer.Option("--from", help=f"What it is written in: {', '.join(ORIGINS)}.")
    ] = "numpy",
) -> None:
    """Write a package with a working vanilla RNN, to make a backend of your own from.

    Exit status: 0 written, 2 wrong use.
    """
    problem = _problem(name, origin)
    if problem is not None:
        wrong_use(problem)
    write(Path(name), name, origin)
    for words in (
        f"wrote {name}/. What comes next:",
        "",
        f"    pip install -e {name}",
        "    rnnbench list",
        f"    rnnbench check {name}",
        "",
        f"{name}/README.md says what is there to add.",
    ):
        line(words)


def _problem(name: str, origin: str) -> str | None:
    """Why a package of that name cannot be written here."""
    if not NAME.fullmatch(name) or name == "all" or len(name) > LONGEST:
        return (
            f"the name {name!r} cannot be used; expected at most {LONGEST} ASCII letters and "
            "digits, parted by . _ or -, beginning with a letter, and not `all`"
        )
    taken = {other.lower(): entry for other, entry in _known().items()}.get(name.lower())
    if taken is not None:
        return f"there is a backend {taken.name!r} already ({taken.origin}); choose another name"
    if origin not in ORIGINS:
        near = validation.did_you_mean(origin, ORIGINS)
        return f"--from {origin!r} is unknown; expected one of {', '.join(ORIGINS)}{near}"
    if Path(name).exists():
        return f"{name} is there already; choose another name, or go to another folder"
    return None


def _known() -> dict[str, registry.Entry]:
    try:
        return dict(registry.table())
    except registry.BrokenBackendError:
        return {entry.name: entry for entry in registry.BUILT_IN}  # `list` says what is wrong


def write(folder: Path, name: str, origin: str) -> None:
    """The package into a folder that is not there yet."""
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    module = "rnnbench_" + re.sub(r"[.-]", "_", name).lower()
    words = {
        "name": name,
        "module": module,
        "framework": origin,
        "requirements": dict.fromkeys(("numpy", origin)),
    }
    files = {
        "pyproject.toml": "pyproject.toml.jinja",
        "README.md": "README.md.jinja",
        f"{module}/__init__.py": "init.py.jinja",
        f"{module}/backend.py": ORIGINS[origin],
        "tests/test_backend.py": "test_backend.py.jinja",
    }
    for path, template in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(templates.get_template(template).render(words), encoding="utf-8")

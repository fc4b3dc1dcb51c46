"""Names, data and labels of others: they leave no folder, and run in no terminal or browser."""

from __future__ import annotations

import functools
import json
import os
import re
import stat
import tempfile
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faulty
import msgspec
import numpy as np
from here import QUIET, rnnbench
from kit import Fault, Happened
from markdown_it import MarkdownIt
from record_samples import FULL_RUN, workload_records
from running import install

from backends.plugins import entry_points
from backends.plugins.output_log import OutputLog
from bench.records import store
from bench.records.schema import Measurement, Run, WorkloadRecord

EVIL = faulty.EVIL + "\u009b2J\u202e"  # an 8-bit escape, and letters from right to left
ALLOWED = re.compile(r"measurements\.jsonl|report\.(md|html|csv)|figures/[\w-]+\.svg|README\.md")


def _harmless(output: str) -> bool:
    """Whether a terminal shows every character as it is."""
    harmful = ("Cc", "Cf", "Cs")  # controls, direction marks, lone surrogates
    return all(c in "\n\t" or unicodedata.category(c) not in harmful for c in output)


def _spoilt(value: Any) -> Any:
    """Every string but those of fields which the format itself limits."""
    if isinstance(value, dict):
        return {name: each if name in LIMITED else _spoilt(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_spoilt(each) for each in value]
    return f"{EVIL}{value}" if isinstance(value, str) else value


_LIMITED = """
record started measured phase cell role status stopped readout loss time_reduction name
eps_placement values padding lengths device dtype
"""
LIMITED = frozenset(_LIMITED.split())


def _hostile(folder: Path, name: str) -> Path:
    """A run of another, with EVIL in every text."""
    run = folder / name
    run.mkdir()
    kinds: dict[str, Any] = {
        "run": Run, "measurement": Measurement, "workload": WorkloadRecord,
    }  # fmt: skip
    records = []
    for record in (FULL_RUN, *workload_records(3)):
        fields = _spoilt(msgspec.to_builtins(record))
        records.append(msgspec.convert(fields, kinds[fields["record"]]))
    store.append(run / store.FILE, records)
    with (run / store.FILE).open("a") as out:
        out.write(json.dumps({"record": EVIL}) + "\n")  # a line that cannot be read
    return run


def _scripts(page: str) -> tuple[list[str], str]:
    """The script elements of a page, as a browser separates them, and the rest of it."""
    element = re.compile(r"<script[^>]*>(.*?)</script>", re.DOTALL | re.IGNORECASE)
    return element.findall(page), element.sub("", page)


def _reports(folder: Path) -> Happened:
    run = _hostile(folder, "run")
    output, code = "", 0
    for form in ("md", "html", "csv"):
        ended, said = rnnbench("report", run, f"--format={form}")
        code, output = code or ended, output + said
    written = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    names = {name.removeprefix("run/") for name in written}
    assert all(ALLOWED.fullmatch(name) for name in names), names
    pictures = [file.read_text() for file in (run / "figures").glob("*.svg")]
    assert pictures
    pages = [(run / "report.md").read_text(), (folder / "README.md").read_text()]
    texts = pictures + [MarkdownIt("commonmark").enable("table").render(each) for each in pages]
    scripts, rest = _scripts((run / "report.html").read_text())
    assert len(scripts) == 4, "its data, its charts, the library and its own code"
    texts += [scripts[0], rest]
    assert not [text for text in texts if "<script" in text.lower()]
    for text in texts:
        assert _harmless(text)
    links = re.findall(r'(?:href|src)="([^"]*)"', "".join(texts))
    assert not [link for link in links if link.startswith("javascript:")]
    return Happened(code, output).also(_harmless(output), "the terminal")


def _compared(folder: Path) -> Happened:
    first, second = _hostile(folder, "first"), _hostile(folder, "second")
    code, output = rnnbench("compare", first, second, "--force")
    return Happened(code, output).also(_harmless(output), "the terminal")


def _refused(words: tuple[str, ...], folder: Path) -> Happened:
    reports = folder / "reports"
    code, output = rnnbench("run", *QUIET, f"--reports={reports}", *words)
    happened = Happened(code, output).also(_harmless(output), "the terminal")
    return happened.also(not reports.exists(), "a folder")


def _file(content: str, folder: Path) -> Happened:
    (folder / "net.toml").write_text(content)
    return _refused((str(folder / "net.toml"),), folder)


def _npz(folder: Path) -> Happened:
    arrays: dict[str, Any] = {f"../../{EVIL}": np.zeros(3), "l0.fwd.W_xh": np.zeros(3)}
    with (folder / "weights.npz").open("wb") as out:
        np.savez(out, **arrays)
    words = ("--task=custom", "--backend=numpy", f"--weights={folder / 'weights.npz'}")
    return _refused(words, folder)


class _Owned:
    """What runs a command where it is unpickled."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self._file,)


def _pickle(folder: Path) -> Happened:
    owned = folder / "owned"
    np.savez(folder / "weights.npz", **{"l0.fwd.W_xh": np.array([_Owned(owned)], dtype=object)})
    words = ("--task=custom", "--backend=numpy", f"--weights={folder / 'weights.npz'}")
    return _refused(words, folder).also(not owned.exists(), "it ran")


def _plugin(folder: Path) -> Happened:
    """An entry point whose name is no name."""
    plugins = install(folder / "plugins", {"a/../<b>\x1b[2J": "faulty:prints"})
    import sys

    sys.path.insert(0, str(plugins))
    try:
        found = entry_points.find()
    finally:
        sys.path.remove(str(plugins))
    (entry,) = [each for several in found.values() for each in several if each.problem]
    return Happened(None, entry.problem).also(_harmless(entry.name + entry.problem), "its name")


def _private(folder: Path) -> Happened:
    """What a worker prints, with the most careless umask."""
    before = os.umask(0)
    try:
        log = OutputLog()
    finally:
        os.umask(before)
    mode = stat.S_IMODE(log.path.stat().st_mode)
    assert log.path.parent == Path(tempfile.gettempdir())
    log.remove()
    return Happened(None, "").also(mode == 0o600, oct(mode))


def _fault(
    name: str, what: str, code: int | None, says: str, do: Callable[[Path], Happened]
) -> Fault:
    return Fault(name, what, "a hostile text", code, says, do)


ESCAPES = r"\u001b[2J\u009b2J\u202e"
FAULTS = [
    _fault("reported", "The report of a run with HTML, markdown and escapes in every text", 0,
           "report: ", _reports),
    _fault("compared", "Two such runs are compared", 0, "", _compared),
    _fault("run-name-up", "--run-name=../../x", 2, "expected the name of one folder",
           functools.partial(_refused, ("--run-name=../../x",))),
    _fault("run-name-escapes", "--run-name with terminal escapes", 2,
           "expected the name of one folder",
           functools.partial(_refused, ("--run-name=x\x1b[2J",))),
    _fault("option-escapes", "An option with terminal escapes", 2, "is unknown",
           functools.partial(_refused, (f"--task={EVIL}",))),
    _fault("file-name", "A workload file with a name that leaves its folder", 2,
           "expected letters, digits and ._-",
           functools.partial(_file, '[[workload]]\nname = "../../x"\n')),
    _fault("file-escapes", "A workload file with escapes in a value", 2, "is unknown",
           functools.partial(
               _file, f'[[workload]]\nname = "x"\ncell = "lstm{ESCAPES}"\n')),
    _fault("file-key", "A workload file with escapes in a name", 2, "is unknown",
           functools.partial(_file, f'[[workload]]\nname = "x"\n"{ESCAPES}" = 3\n')),
    _fault("file-binary", "A workload file that is none", 2, "is not TOML",
           functools.partial(_file, "\x00\x01[[workload")),
    _fault("npz-names", "Parameters with names that leave their folder", 2, "expected", _npz),
    _fault("npz-pickle", "Parameters that would run a command when they are read", 2, "expected",
           _pickle),
    _fault("plugin-name", "A plugin with a path and escapes for a name", None, "rename its entry",
           _plugin),
    _fault("private", "Another user would read what a worker prints", None, "", _private),
]  # fmt: skip

"""Records that are torn, damaged, newer, or of another run; and runs that are resumed."""

from __future__ import annotations

import functools
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import kit
import numpy as np
from here import QUIET, rnnbench
from kit import Fault, Happened, Run

from bench.records import store


@functools.cache
def _whole() -> Path:
    """A run that ended, of which the others are copies."""
    folder = Path(tempfile.mkdtemp(prefix="rnnbench-faults-"))
    with Run(folder, *kit.QUICK) as run:
        happened = run.end(*kit.BOTH)
    assert (happened.code, happened.lost) == (0, []), happened.output
    return run.folder


def _copy(folder: Path, change: Callable[[bytes], bytes]) -> Path:
    """A copy of the run with changed records."""
    copy = folder / "reports" / "run"
    shutil.copytree(_whole(), copy)
    file = copy / store.FILE
    file.write_bytes(change(file.read_bytes()))
    return copy


def _cut_workload(content: bytes) -> bytes:
    """Without the second workload."""
    lines = content.splitlines(keepends=True)
    (end,) = [n for n, line in enumerate(lines) if line.startswith(b'{"record":"workload"')][:1]
    return b"".join(lines[: end + 1])


def _resumed(change: Callable[[bytes], bytes], folder: Path, *words: str) -> Happened:
    """It is resumed by a real run, and then has all workloads."""
    copy = _copy(folder, change)
    with Run(folder, *kit.QUICK, *words, f"--resume={copy}") as run:
        return run.end(*kit.BOTH, at=copy)


def _refused(change: Callable[[bytes], bytes], words: tuple[str, ...], folder: Path) -> Happened:
    """It is not resumed, and its records stay as they are."""
    copy = _copy(folder, change)
    before = (copy / store.FILE).read_bytes()
    code, output = rnnbench("run", *QUIET, *kit.QUICK, *words, f"--resume={copy}")
    assert (copy / store.FILE).read_bytes() == before
    return Happened(code, output)


def _reported(change: Callable[[bytes], bytes], folder: Path) -> Happened:
    """`rnnbench report` makes a report of what can be read."""
    copy = _copy(folder, change)
    code, output = rnnbench("report", copy)
    page = (copy / "report.md").read_text() if code == 0 else ""
    return Happened(code, output + page)


def _compared(change: Callable[[bytes], bytes], folder: Path) -> Happened:
    """`rnnbench compare` compares what can be read."""
    code, output = rnnbench("compare", _whole(), _copy(folder, change))
    return Happened(code, output)


def _replaced(pattern: bytes, by: bytes, content: bytes) -> bytes:
    changed, count = re.subn(pattern, by, content, count=1)
    assert count
    return changed


def _no_run(folder: Path) -> Happened:
    code, output = rnnbench("run", *QUIET, *kit.QUICK, f"--resume={folder / 'nowhere'}")
    return Happened(code, output)


def _taken(folder: Path) -> Happened:
    copy = _copy(folder, lambda content: content)
    words = (f"--reports={copy.parent}", "--run-name=run")
    code, output = rnnbench("run", *QUIET, *kit.QUICK, *words)
    return Happened(code, output)


def _ten_kills(folder: Path) -> Happened:
    """A run of ten workloads is killed at ten random moments, and resumed each time."""
    rng = np.random.default_rng()
    sizes = ",".join(map(str, range(5, 10)))
    words = ("--task=custom", "--backend=numpy", "--benchmark-max-time=0.3", "--batch=2")
    words += ("--steps=4", "--input=3", f"--hidden={sizes}", "--classes=2", "--phase=forward,bptt")
    begin = time.monotonic()
    with Run(folder / "whole", *words) as run:
        whole = run.end(seconds=600)
        seconds = time.monotonic() - begin
        wanted = _variants(run.folder)
    whole.also(whole.code == 0 and len(wanted) == 10, "the uninterrupted run")
    more: tuple[str, ...] = ()
    output, left = "", list[str]()
    for _ in range(10):
        with Run(folder, *words, *more) as run:
            # Long enough for some workloads, also where the machine is slow.
            time.sleep(rng.uniform(0.1, 0.6) * seconds)
            run.send(signal.SIGKILL)
            happened = run.end()
            output, left = output + happened.output, left + happened.left
            if (run.folder / store.FILE).exists():
                more = (f"--resume={run.folder}",)
            elif run.folder.exists():
                shutil.rmtree(run.folder)
    with Run(folder, *words, *more) as run:
        last = run.end(seconds=600)
        lost = sorted(set(wanted) ^ set(_variants(run.folder)))
    return Happened(last.code, output + last.output, lost, left + last.left)


def _variants(folder: Path) -> list[str]:
    """Each record of a run by its workload, role, variant and status; none comes twice."""
    _, found, about = store.read(folder / store.FILE)
    names = [f"{m.workload.id} {m.role} {m.variant} {m.status}" for m in found]
    names += [f"{each.workload.id} workload" for each in about]
    assert len(names) == len(set(names))
    return [name for name in names if " variant " in name]


MADE = "changed records of a real run"


def _fault(
    name: str, what: str, code: int, says: str, do: Callable[[Path], Happened], prove: bool = False
) -> Fault:
    return Fault(name, what, MADE, code, says, do, prove)


def _same(content: bytes) -> bytes:
    return content


FAULTS = [
    _fault(
        "torn", "The last line is torn, and the run is resumed", 0, "cannot be read",
        functools.partial(_resumed, lambda content: content[:-200]),
    ),
    _fault(
        "half-a-workload", "A crash has left half of a workload, and the run is resumed", 0,
        "has 1 of 2 workloads already",
        functools.partial(_resumed, lambda content: content[: content.rindex(b'{"record"')]),
    ),
    _fault(
        "no-line", "The run has ended before its first line, and is resumed", 0,
        "has 0 of 2 workloads already", functools.partial(_resumed, lambda _: b""),
    ),
    _fault(
        "complete", "A run that lacks nothing is resumed", 0, "has 2 of 2 workloads already",
        functools.partial(_resumed, _same), prove=True,
    ),
    _fault(
        "damaged", "A line in the middle is damaged", 0, "line 3 cannot be read",
        functools.partial(
            _reported, lambda content: _replaced(rb'(?s)(\n.*?\n.*?"status)":', b"\\1\xff", content)
        ),
    ),
    _fault(
        "damaged-compared", "A line is damaged, and the run is compared", 0,
        "cannot be read", functools.partial(_compared, lambda content: content + b"\xff\n"),
    ),
    _fault(
        "zeros", "A power failure has left zeros at the end", 0, "cannot be read",
        functools.partial(_reported, lambda content: content + b"\0" * 4096),
    ),
    _fault(
        "newer", "The records have a newer format", 2, "a newer rnnbench has written it",
        functools.partial(
            _reported, lambda content: _replaced(rb'"format":5', b'"format":6', content)
        ),
    ),
    _fault(
        "newer-resumed", "The same, and the run is resumed", 2, "a newer rnnbench has written it",
        functools.partial(
            _refused, lambda content: _replaced(rb'"format":5', b'"format":6', content), ()
        ),
    ),
    _fault(
        "first-line", "The first line is damaged", 2, "contains no run",
        functools.partial(_reported, lambda content: b"x" + content),
    ),
    _fault(
        "other-machine", "A run of another machine is resumed", 2, "cpu: Abacus in the run",
        functools.partial(
            _refused, lambda c: _replaced(rb'"cpu":"[^"]*"', b'"cpu":"Abacus"', c), ()
        ),
    ),
    _fault(
        "other-project", "A run of another version of rnnbench is resumed", 2,
        "rnnbench: 0.0.1 in the run",
        functools.partial(
            _refused, lambda c: _replaced(rb'"project":"[^"]*"', b'"project":"0.0.1"', c), ()
        ),
    ),
    _fault(
        "other-version", "A run with another version of a framework is resumed", 2,
        "numpy was measured with numpy 1.0, now",
        functools.partial(
            _refused,
            lambda c: re.sub(rb'"numpy":"[^"]*"', b'"numpy":"1.0"', _cut_workload(c)) + b'{"to',
            (),
        ),
    ),
    _fault(
        "other-specs", "A run is resumed with other options", 2, "its options were: ",
        functools.partial(_refused, _same, ("--batch=3",)),
    ),
    _fault(
        "other-processes", "A run is resumed with other --processes", 2,
        "--processes: 1 in the run, 2 here",
        functools.partial(_refused, _same, ("--processes=2",)),
    ),
    _fault("no-run", "A run that is not there is resumed", 2, "expected the folder of", _no_run),
    _fault("taken", "A run gets the name of another", 2, "go on with --resume=", _taken),
    Fault(
        "ten-kills", "SIGKILL at ten random moments, and --resume each time", "a real signal", 0,
        "workloads already", _ten_kills, prove=True,
    ),
]  # fmt: skip

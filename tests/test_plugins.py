"""What third parties get wrong: each fault is a named skip, and everyone else goes on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
import third_party
from commands import measured, rnnbench
from running import Ran, install

from bench.records.schema import Measurement

# Modules that misbehave while they are imported, by the name of their backend.
MODULES = {
    "absent": ("", "cannot be loaded: ModuleNotFoundError: No module named"),
    "empty": ("pass", "cannot be loaded: AttributeError: module 'empty_module' has no attribute"),
    "wrong": ("def make(:", "cannot be loaded: SyntaxError: invalid syntax"),
    "raising": (
        "raise OSError('libx.so: not found')",
        "cannot be loaded: OSError: libx.so: not found",
    ),
    "factory": ("def make():\n    raise ValueError('no')", "cannot be loaded: ValueError: no"),
    "argument": ("def make(name):\n    pass", "cannot be loaded: TypeError: make() missing 1"),
    "leaving": ("import sys\nsys.exit('bye')", "cannot be loaded: SystemExit: bye"),
    "ending": ("import os\nos._exit(7)", "ended its process while it is imported (exit status 7)"),
    "signalled": (
        "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)",
        "ended its process while it is imported (SIGSEGV)",
    ),
    "loud": (
        "import os, sys\n"
        "for _ in range(1000):\n"
        "    print('\\x1b[2J LOUD')\n    os.write(1, b'LOUD')\n    os.write(2, b'LOUD')\n"
        "try:\n    open('/dev/tty', 'w').write('LOUD')\nexcept OSError:\n    pass\n"
        "raise ImportError('\\x1b]0;title\\x07 it is \\x1b[5mloud')",
        "cannot be loaded: ImportError: ]0;title it is [5mloud",
    ),
    "nowhere": ("", "has the entry point 'no colon'; expected 'package.module:factory'"),
}
# Those that never answer, and how long they are waited for.
HANGING = {
    "slow": ("import time\ntime.sleep(3600)", "did not answer within 5 s while it is imported"),
    "deaf": (
        "import signal, time\n"
        "for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:\n"
        "    signal.signal(number, signal.SIG_IGN)\n"
        "while True:\n    time.sleep(1)",
        "did not answer within 5 s while it is imported",
    ),
}
pytestmark = pytest.mark.slow  # tests/test_contract.py asks of most faults directly
EXPECTED = third_party.EXPECTED
QUICK = {"RNNBENCH_PROBE_SECONDS": "5"}
TARGETS = {name: f"{name}_module:make" for name in MODULES} | {"nowhere": "no colon"}
ENTRY_POINTS = {n: t for n, t in third_party.ENTRY_POINTS.items() if n in ("correct", *EXPECTED)}
# What is said of a model is known once one is built; a list builds none.
OF_MODELS = {name for name in EXPECTED if name.startswith("model-")} | {"raises-build"}
# Asked where a run asks for it.
LATE = {name for name in EXPECTED if re.search("refusal|optimizer|coloured", name)} - {
    "without-refusal",
    "misnamed-refusal",
    "misnamed-optimizer",
}
# And those that only a start of their framework shows.
STARTED = {"raises-versions", "raises-devices", "lost-python", "lying-versions"} | {
    name for name in EXPECTED if re.search("(lying|raises)-environment|bad-variable", name)
}


def _written(folder: Path, modules: Mapping[str, tuple[str, str]]) -> Path:
    for name, (content, _) in modules.items():
        if content:
            (folder / f"{name}_module.py").write_text(content + "\n")
    return folder


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """An environment in which all of these plugins are installed."""
    folder = _written(tmp_path_factory.mktemp("plugins"), MODULES)
    return install(folder, {**ENTRY_POINTS, **TARGETS}), Path(__file__).parent


@pytest.fixture(scope="module")
def listed(paths: tuple[Path, ...]) -> str:
    """What `list --quick --verbose` prints."""
    code, output = rnnbench("list", "--quick", "--verbose", paths=paths)
    assert code == 0, output
    return output


def test_a_list_goes_on_and_names_each(listed: str) -> None:
    lines = listed.splitlines()
    for name in ("numpy", "torch", "correct"):
        (row,) = [line for line in lines if line.startswith(f"{name} ")]
        assert row.rstrip().endswith("yes"), row
    found = 0
    for name, words in [*EXPECTED.items(), *((n, w) for n, (_, w) in MODULES.items())]:
        (row,) = [
            line for line in lines if line.startswith(f"{name} ") and "third-party 1.0 " in line
        ]
        if name in OF_MODELS | LATE | STARTED:
            assert row.rstrip().endswith("yes"), row
            continue
        assert row.rstrip().endswith("no, see below"), row
        (line,) = [line for line in lines if line.startswith(f"{name} (third-party 1.0) ")]
        assert words in line
        found += 1
    assert found >= 20


def test_a_list_says_where_each_comes_from(listed: str) -> None:
    lines = listed.splitlines()
    assert "correct: third-party 1.0, third_party:correct" in lines
    assert "loud: third-party 1.0, loud_module:make" in lines
    (numpy,) = [line for line in lines if line.startswith("numpy: ")]
    assert re.fullmatch(r"numpy: rnnbench [\d.]+, backends\.numpy\.backend:numpy_backend", numpy)


def test_nothing_of_theirs_reaches_the_terminal(listed: str, ran: Ran) -> None:
    for output in (listed, ran.output):
        assert "LOUD" not in output
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", output)


def test_starting_each_goes_on_too(tmp_path: Path) -> None:
    """A list that starts frameworks: those that cannot be started are named as well."""
    hidden = install(tmp_path, {n: third_party.ENTRY_POINTS[n] for n in ("correct", *STARTED)})
    # Not `sys.modules[name] = None`: libraries that look there expect a module.
    (hidden / "sitecustomize.py").write_text(
        "from importlib.machinery import PathFinder\n"
        "find = PathFinder.find_spec\n"
        "hidden = ('torch', 'jax', 'keras')\n"
        "PathFinder.find_spec = lambda name, *a: None if name in hidden else find(name, *a)\n"
    )
    code, output = rnnbench("list", paths=(hidden, Path(__file__).parent))
    assert code == 0, output
    for name in STARTED:
        starts = (f"{name}: ", f"{name} (third-party 1.0) ")
        (line,) = [line for line in output.splitlines() if line.startswith(starts)]
        assert EXPECTED[name] in line
    (row,) = [line for line in output.splitlines() if line.startswith("correct ")]
    assert "numpy " in row
    assert "cpu" in row


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, paths: tuple[Path, ...]) -> Ran:
    """One workload with all of them, and numpy."""
    names = ("numpy", *ENTRY_POINTS, *MODULES)
    return _one_workload(tmp_path_factory.mktemp("reports"), names, paths)


def _one_workload(
    reports: Path, names: Iterable[str], paths: tuple[Path, ...], more: Mapping[str, str] = {}
) -> Ran:
    chosen = " or ".join(f"float32-{name}]" for name in names)
    options = ("--task=hihello", "--phase=train_step", "--benchmark-max-time=0.05")
    return measured(reports, *options, "-k", chosen, paths=paths, more=more)


def _of(ran: Ran, variant: str) -> Measurement:
    return ran.measurements()["train_step[hihello-rnn_tanh-source-cpu-float32]", variant]


@pytest.mark.parametrize("name", EXPECTED)
def test_a_run_names_the_fault(ran: Ran, name: str) -> None:
    found = _of(ran, name)
    status = "skipped"
    if name == "coloured":
        status = "refused"
    elif re.match("model-raises|raises-build", name):
        status = "failed"
    assert (found.status, EXPECTED[name] in found.reason) == (status, True), found.reason


@pytest.mark.parametrize("name", MODULES)
def test_a_run_names_what_happens_at_import(ran: Ran, name: str) -> None:
    found = _of(ran, name)
    words = MODULES[name][1]
    assert (found.status, words in found.reason) == ("skipped", True), found.reason


@pytest.mark.parametrize("name", ["numpy", "correct"])
def test_the_others_are_measured(ran: Ran, name: str) -> None:
    found = _of(ran, name)
    assert found.status == "ok", found.reason
    assert len(found.round_seconds) >= 10


@pytest.fixture(scope="module")
def hanging(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    folder = _written(tmp_path_factory.mktemp("hanging"), HANGING)
    targets = {name: f"{name}_module:make" for name in HANGING}
    strange = {name: third_party.ENTRY_POINTS[name] for name in ("correct", "hanging-refusal")}
    return install(folder, {**targets, **strange}), Path(__file__).parent


def test_a_list_gives_up_on_one_that_never_answers(hanging: tuple[Path, ...]) -> None:
    code, output = rnnbench("list", "--quick", paths=hanging, more=QUICK)
    assert code == 0, output
    for name, (_, words) in HANGING.items():
        (line,) = [line for line in output.splitlines() if line.startswith(f"{name} (")]
        assert words in line
        assert "RNNBENCH_PROBE_SECONDS=SECONDS" in line
    (row,) = [line for line in output.splitlines() if line.startswith("correct ")]
    assert row.rstrip().endswith("yes")


def test_a_run_gives_up_on_one_that_never_answers(
    hanging: tuple[Path, ...], tmp_path: Path
) -> None:
    names = ("numpy", "correct", "hanging-refusal", *HANGING)
    ran = _one_workload(tmp_path, names, hanging, QUICK)
    for name, (_, words) in HANGING.items():
        found = _of(ran, name)
        assert (found.status, words in found.reason) == ("skipped", True), found.reason
    found = _of(ran, "hanging-refusal")
    assert "did not answer within 5 s in `refusal`" in found.reason
    assert [_of(ran, name).status for name in ("numpy", "correct")] == ["ok", "ok"]


def test_one_that_is_asked_for_by_name_is_an_error_before_the_run(
    paths: tuple[Path, ...], tmp_path: Path
) -> None:
    for name in ("raising", "without-build"):
        ran = measured(tmp_path / "reports", f"--backend=numpy,{name}", paths=paths)
        assert ran.code == pytest.ExitCode.USAGE_ERROR, ran.output
        words = MODULES[name][1] if name in MODULES else EXPECTED[name]
        assert words in ran.output
        assert "Traceback" not in ran.output


def _twice(folder: Path) -> tuple[Path, ...]:
    first = install(folder / "first", {"double": "third_party:correct"})
    second = install(folder / "second", {"double": "empty_module:make"}, "others", "2.1")
    return first, second, Path(__file__).parent


DOUBLES = (
    "two backends are named 'double': one from third-party 1.0 (third_party:correct), "
    "one from others 2.1 (empty_module:make); uninstall or rename one of them"
)


def test_two_of_one_name_are_an_error_that_tells_both(tmp_path: Path) -> None:
    paths = _twice(tmp_path)
    code, output = rnnbench("list", "--quick", paths=paths)
    assert code == 0, output
    assert DOUBLES in output
    assert "numpy" in output
    for arguments in ((), ("--backend=all",), ("--backend=double",)):
        ran = measured(tmp_path / "reports", *arguments, "--dry-run", paths=paths)
        assert ran.code == pytest.ExitCode.USAGE_ERROR, ran.output
        assert DOUBLES in ran.output
        assert "INTERNALERROR" not in ran.output
    ran = measured(tmp_path / "reports", "--backend=numpy", "--dry-run", paths=paths)
    assert ran.code == 0, ran.output


def test_a_plugin_that_takes_a_built_in_name_does_not_become_the_oracle(tmp_path: Path) -> None:
    plugins = install(tmp_path / "plugins", {"numpy": "empty_module:make"})
    short = ("--task=hihello", "--phase=bptt", "--benchmark-max-time=0.05")
    ran = measured(tmp_path / "reports", *short, "--backend=torch-cell", paths=(plugins,))
    assert ran.code == 0, ran.output
    both = "two backends are named 'numpy': one built in, one from third-party 1.0"
    named = measured(tmp_path / "named", *short, "--backend=numpy", paths=(plugins,))
    assert named.code == pytest.ExitCode.USAGE_ERROR
    assert both in named.output


@pytest.mark.parametrize("name", ["all", "ünï", "we/ird", "a,b", "\x1b[31mred"])
def test_a_name_that_cannot_be_typed_is_a_skip_that_says_so(tmp_path: Path, name: str) -> None:
    plugins = install(tmp_path / "plugins", {name: "third_party:correct"})
    code, output = rnnbench("list", "--quick", paths=(plugins, Path(__file__).parent))
    assert code == 0, output
    (line,) = [line for line in output.splitlines() if "rename its entry point" in line]
    assert f"is named {name!r}" in line
    assert "\x1b" not in output
    assert "torch " in output

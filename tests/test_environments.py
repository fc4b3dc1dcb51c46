"""A backend in an environment of its own: how it is named, what can be wrong, and a run of it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import venvs
from commands import measured, rnnbench

from backends.plugins import environments
from bench import ROOT

HEADER = '[tool.rnnbench.backends."numpy@old"]\n'


def _python(folder: Path) -> Path:
    """Something that can be run where a virtual environment's Python would lie."""
    python = folder / ".venv-old" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    return python


@pytest.mark.parametrize("file", environments.FILES)
def test_either_file_names_an_environment(tmp_path: Path, file: str) -> None:
    python = _python(tmp_path)
    (tmp_path / file).write_text(f'{HEADER}python = ".venv-old/bin/python"\n')
    (found,) = environments.read(tmp_path)
    # The link itself: what it points to is another environment.
    assert found.python == str(python)
    assert (found.name, found.backend, found.file) == ("numpy@old", "numpy", file)
    assert not found.problem


def test_what_runs_there_can_be_said(tmp_path: Path) -> None:
    _python(tmp_path)
    text = f'{HEADER}python = ".venv-old/bin/python"\nbackend = "torch"\n'
    (tmp_path / "rnnbench.toml").write_text(text)
    (found,) = environments.read(tmp_path)
    assert found.backend == "torch"


def test_a_project_that_says_nothing_of_it_is_left_alone(tmp_path: Path) -> None:
    assert environments.read(tmp_path) == []
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\n[tool.other]\na = 1\n')
    assert environments.read(tmp_path) == []


def test_an_interpreter_that_is_not_there_is_a_reason(tmp_path: Path) -> None:
    (tmp_path / "rnnbench.toml").write_text(f'{HEADER}python = ".venv-old/bin/python"\n')
    (found,) = environments.read(tmp_path)
    assert "numpy@old: the `python` of" in found.problem
    assert "does not exist or cannot be run" in found.problem
    assert str(tmp_path) not in found.problem


WRONG = [
    ("[tool.rnnbench.backends.x]\npython = 3\n", "names no interpreter"),
    ('[tool.rnnbench.backends.x]\nbackend = "jax"\n', "names no interpreter"),
    ('[tool.rnnbench.backends]\nx = "y"\n', "names no interpreter"),
    ('[tool.rnnbench.backends."a b"]\npython = "p"\n', "expected a name of ASCII letters"),
    ('[tool.rnnbench.backends.all]\npython = "p"\n', "and not `all`"),
    ('[tool.rnnbench.backends.x]\npython = "p"\nthreads = 3\n', "has threads; expected python"),
    ('[tool.rnnbench.backends.x]\npython = "p"\nbackend = "a b"\n', "has backend = 'a b'"),
    ('[tool.rnnbench.backends.jax@0.9]\npython = "p"\n', "an @ in quotes"),
    (
        '[tool.rnnbench.backends.jax0.9]\npython = "p"\n',
        "put a name with a dot or an @ in quotes",
    ),
    ('[backends.x]\npython = "p"\n', "has backends; expected tables [tool.rnnbench.backends.NAME]"),
    ("[tool.rnnbench]\nbackends = 3\n", "has backends = 3; expected a table"),
    ("[tool.rnnbench]\nthreads = 3\n", "has threads; expected tables"),
    ("\x00", "rnnbench.toml cannot be read"),
]


@pytest.mark.parametrize(("content", "words"), WRONG, ids=[words for _, words in WRONG])
def test_what_cannot_be_read_says_what_was_expected(
    tmp_path: Path, content: str, words: str
) -> None:
    (tmp_path / "rnnbench.toml").write_text(content)
    with pytest.raises(ValueError, match=r"rnnbench\.toml") as caught:
        environments.read(tmp_path)
    assert words in str(caught.value)


def test_one_name_in_both_files_is_an_error(tmp_path: Path) -> None:
    for file in environments.FILES:
        (tmp_path / file).write_text(f'{HEADER}python = "p"\n')
    with pytest.raises(ValueError, match=r"pyproject\.toml and rnnbench\.toml"):
        environments.read(tmp_path)


@pytest.mark.slow
def test_wrong_configuration_is_wrong_use(tmp_path: Path) -> None:
    (tmp_path / "rnnbench.toml").write_text(WRONG[0][0])
    code, output = rnnbench("list", "--quick", folder=tmp_path)
    assert code == 2, output
    ran = measured(tmp_path / "reports", "--dry-run", folder=tmp_path)
    assert ran.code == pytest.ExitCode.USAGE_ERROR, ran.output
    for text in (output, ran.output):
        assert "[tool.rnnbench.backends.x] in rnnbench.toml names no interpreter" in text
        assert "Traceback" not in text


# Two versions of one framework, and environments that cannot be used.

_OLDER = "numpy<{}.{}".format(*np.__version__.split(".")[:2])
SHORT = ("--task=hihello", "--phase=bptt", "--benchmark-max-time=0.1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a user stands who has an older numpy in an environment of its own."""
    folder = tmp_path_factory.mktemp("user")
    venvs.make(folder / "older", _OLDER)
    venvs.make(folder / "bare")
    environments = {"numpy@older": "older", "numpy@bare": "bare", "numpy@gone": "gone"}
    tables = [
        f'[tool.rnnbench.backends."{name}"]\npython = "{place}/bin/python"\n'
        for name, place in environments.items()
    ]
    tables += [
        '[tool.rnnbench.backends."old-jax"]\npython = "older/bin/python"\nbackend = "jax"\n',
        '[tool.rnnbench.backends."nonesuch@older"]\npython = "older/bin/python"\n',
    ]
    (folder / "rnnbench.toml").write_text("\n".join(tables))
    return folder


REASONS = {
    "numpy@bare": "numpy cannot be imported there",
    "numpy@gone": "does not exist or cannot be run",
    "old-jax": "jax is not installed; use the pip of its Python",
    "nonesuch@older": "backend 'nonesuch' is unknown; expected one of numpy, torch",
}


@pytest.mark.install
def test_two_versions_of_one_framework_are_two_rows_of_one_report(folder: Path) -> None:
    names = ("numpy", "numpy@older", *REASONS)
    others = " or ".join(f"float32-{name}" for name in ("torch", "keras", "jax", "flax"))
    ran = measured(folder / "reports", *SHORT, "-k", f"not ({others})", folder=folder)
    assert ran.code == 0, ran.output
    found = {variant: m for (_, variant), m in ran.measurements().items()}
    assert set(found) == set(names)
    here, older = found["numpy"], found["numpy@older"]
    assert (here.status, older.status) == ("ok", "ok"), older.reason
    assert here.versions["numpy"] == np.__version__
    assert older.versions["numpy"] != np.__version__
    for name, reason in REASONS.items():
        assert (found[name].status, reason in found[name].reason) == ("skipped", True), found[name]
    report = (ran.folder / "report.md").read_text()
    for words in ("numpy@older", here.versions["numpy"], older.versions["numpy"]):
        assert words in report
    for file in filter(Path.is_file, ran.folder.rglob("*")):
        content = file.read_bytes().decode(errors="replace")
        assert str(folder) not in content
        assert "older/bin" not in content


@pytest.mark.install
def test_a_list_says_which_interpreter(folder: Path) -> None:
    code, output = rnnbench("list", "--quick", "--verbose", folder=folder)
    assert code == 0, output
    lines = output.splitlines()
    python = folder / "older" / "bin" / "python"
    assert f"numpy@older: rnnbench.toml, numpy as {python} has it" in lines
    for name, reason in REASONS.items():
        (line,) = [line for line in lines if line.startswith((f"{name}: the", f"{name} ("))]
        assert reason in line


@pytest.mark.install
def test_a_missing_interpreter_asked_for_by_name_is_an_error(folder: Path) -> None:
    ran = measured(folder / "named", *SHORT, "--backend=numpy,numpy@gone", folder=folder)
    assert ran.code == pytest.ExitCode.USAGE_ERROR, ran.output
    assert REASONS["numpy@gone"] in ran.output


@pytest.mark.install
def test_a_name_without_an_at_moves_the_variant_itself(folder: Path, tmp_path: Path) -> None:
    python = folder / "older" / "bin" / "python"
    (tmp_path / "rnnbench.toml").write_text(
        f'[tool.rnnbench.backends.torch-cell]\npython = "{python}"\nbackend = "numpy"\n'
    )
    ran = measured(tmp_path / "reports", *SHORT, "--backend=torch-cell", folder=tmp_path)
    assert ran.code == 0, ran.output
    (found,) = ran.measurements().values()
    assert found.variant == "torch-cell"
    assert set(found.versions) == {"numpy"}
    assert str(ROOT) not in (ran.folder / "measurements.jsonl").read_text()

"""Third-party packages: the page that tells how to write one, and those in plugins/.

One virtual environment serves all: the page makes it, with a copy of this repository in it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import venvs

from bench import ROOT
from bench.records import store

pytestmark = pytest.mark.install
PAGE = ROOT / "docs" / "adding-a-backend.md"
NOT_COPIED = (".*", "*.egg-info", "__pycache__", "reports", "build", "dist")
# A fenced block, and the line before it: a file's name in backquotes, where it is a file.
_BLOCK = re.compile(r"(?:^`([^`\n]+)`\n\n)?^```(\w+)\n(.*?)^```$", re.M | re.S)


@dataclass(frozen=True)
class Newcomer:
    """Who followed the page."""

    clone: Path
    code: int
    output: str  # each command with the seconds passed before it

    @property
    def bin(self) -> Path:
        return self.clone / ".venv" / "bin"

    def run(self, *command: str, folder: Path | None = None) -> tuple[int, str]:
        environment = _fresh() | {"PATH": f"{self.bin}:{os.environ['PATH']}"}
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=folder, env=environment
        )
        return done.returncode, done.stdout + done.stderr


def _fresh() -> dict[str, str]:
    """This process' variables, less those of its own Python; a terminal of 200 columns.

    pip compiles nothing ahead: a test imports little of what it installs.
    """
    left_out = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PYTEST_ADDOPTS")
    kept = {k: v for k, v in os.environ.items() if k not in left_out}
    return kept | {"COLUMNS": "200", "PIP_NO_COMPILE": "1"}


def script(page: str) -> str:
    """The page's commands and files as one program of the shell, in their order."""
    parts = []
    for file, language, text in _BLOCK.findall(page):
        if language == "bash":
            parts.append(text)
        else:
            assert file, f"a block of {language} names no file before it"
            folder = Path(file).parent
            parts.append(f"mkdir -p {folder}\ncat > {file} <<'END OF FILE'\n{text}END OF FILE\n")
    return "".join(parts)


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Newcomer:
    """A clone in which the page was followed to its end."""
    clone = tmp_path_factory.mktemp("newcomer") / "rnnbench"
    shutil.copytree(ROOT, clone, ignore=shutil.ignore_patterns(*NOT_COPIED))
    here = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # the page says `python`
    done = subprocess.run(
        ["bash", "-c", f"set -eux\nPS4='+ $SECONDS s: '\n{script(PAGE.read_text())}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        cwd=clone,
        env=_fresh() | {"PATH": here},
    )
    return Newcomer(clone, done.returncode, done.stdout)


def test_the_page_has_commands_and_files() -> None:
    found = [(file, language) for file, language, _ in _BLOCK.findall(PAGE.read_text())]
    assert found.count(("", "bash")) >= 3
    assert [file for file, _ in found if file] == [
        "tiny/pyproject.toml",
        "tiny/tiny_backend.py",
        "is-it-slower.sh",
    ]


def test_the_page_does_what_it_says(newcomer: Newcomer) -> None:
    assert newcomer.code == 0, newcomer.output
    commands = [line for line in newcomer.output.splitlines() if re.match(r"\+ \d+ s: ", line)]
    print(*commands, sep="\n")  # how long it took: pytest -rP
    lines = newcomer.output.splitlines()
    (row,) = [line for line in lines if re.match(r"mylib +numpy \d", line)]
    assert "rnnbench-mylib 0.1" in row
    assert row.rstrip().endswith("yes")
    refused = [line for line in lines if line.startswith("refused ")]
    for name in ("mylib", "tiny"):
        (verdict,) = [line for line in lines if line.startswith(f"{name} passes: ")]
        assert int(re.findall(r"(\d+) tensors compared", verdict)[0]) > 50
        assert [line for line in refused if name in line]
    (file,) = (newcomer.clone / "reports").glob("*/measurements.jsonl")
    _, found, _ = store.read(file)
    variants = {m.variant: m.status for m in found if m.role == "variant"}
    assert variants == {"numpy": "ok", "tiny": "ok"}


def test_the_page_shows_every_member_of_the_contract() -> None:
    page = PAGE.read_text()
    from backends import interface
    from backends.plugins import contract

    members = 0
    for protocol, names in (
        (interface.Backend, (*contract.NEEDED, *contract.OF_TRAINING)),
        (interface.Model, (*contract.OF_A_MODEL, *interface.PHASES)),
    ):
        for name in names:
            assert f"| `{name}{contract.signature(protocol, name)}` |" in page
            members += 1
    assert members >= 15


def test_the_page_names_every_field_of_a_model() -> None:
    import dataclasses

    from tasks.spec import Batch, ModelSpec, param_shapes

    page = PAGE.read_text()
    fields = [f.name for kind in (ModelSpec, Batch) for f in dataclasses.fields(kind)]
    spec = ModelSpec("gru", 2, 3, vocab_size=5, output_size=2)
    for name in (*fields, *param_shapes(spec)):
        assert f"`{name}`" in page, name


@pytest.fixture(scope="module")
def plugins(newcomer: Newcomer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages of plugins/, away from this repository and installed as theirs."""
    assert newcomer.code == 0, newcomer.output
    folder = tmp_path_factory.mktemp("away") / "plugins"
    shutil.copytree(ROOT / "plugins", folder, ignore=shutil.ignore_patterns(*NOT_COPIED))
    packages = sorted(str(path.parent) for path in folder.glob("*/pyproject.toml"))
    assert len(packages) >= 2
    venvs.pip(newcomer.bin / "python", "install", "--no-compile", *packages)
    return folder


def test_a_list_says_whose_they_are(newcomer: Newcomer, plugins: Path) -> None:
    code, output = newcomer.run("rnnbench", "list", "--verbose", folder=plugins)
    assert code == 0, output
    lines = output.splitlines()
    for name in ("onnxruntime", "cupy"):
        origin = f"rnnbench-{name} 0.1, rnnbench_{name}.backend:make"
        assert f"{name}: {origin}" in lines, output
    assert [line for line in lines if re.match(r"onnxruntime +onnxruntime \d", line)]


@pytest.mark.parametrize("name", ["rnnbench-onnxruntime", "rnnbench-cupy"])
def test_their_own_tests_pass(newcomer: Newcomer, plugins: Path, name: str) -> None:
    tests = ("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests")
    code, output = newcomer.run(*tests, folder=plugins / name)
    assert code == 0, output
    assert int(re.findall(r"(\d+) passed", output)[0]) >= 2


def test_they_run_beside_the_others(newcomer: Newcomer, plugins: Path, tmp_path: Path) -> None:
    code, output = newcomer.run(
        "rnnbench",
        "run",
        "--backend=numpy,onnxruntime,cupy",
        "--task=hihello,sentiment",
        "--size=source",
        "--phase=forward,bptt",
        "--benchmark-max-time=0.1",
        f"--reports={tmp_path}",
        folder=plugins,
    )
    assert code == 0, output
    (file,) = tmp_path.glob("*/measurements.jsonl")
    _, found, _ = store.read(file)
    variants = [m for m in found if m.role == "variant"]
    measured = {(m.workload.task, m.workload.phase, m.variant): m for m in variants}
    for (_, phase, variant), m in measured.items():
        status, words = {
            ("onnxruntime", "bptt"): ("refused", "it has no gradients"),
            ("cupy", phase): ("refused", "on a GPU alone, not on cpu"),
        }.get((variant, phase), ("ok", ""))
        assert (m.status, words in m.reason) == (status, True), m
    assert len(measured) == 2 * 2 * 3


def test_they_are_refused_by_name_where_sequences_have_lengths(
    newcomer: Newcomer, plugins: Path
) -> None:
    code, output = newcomer.run(
        "rnnbench",
        "run",
        "--backend=numpy,onnxruntime,cupy",
        "--task=sentiment",
        "--lengths=own",
        "--phase=forward",
        "--dry-run",
        folder=plugins,
    )
    assert code == 0, output
    behind, front = re.findall(r"^forward\[.*?\]: (.*)$", output, re.MULTILINE)
    assert (behind, front) == ("numpy", "numpy, onnxruntime")
    for name in ("onnxruntime", "cupy"):
        reason = f"{name} does not offer sequences of different lengths"
        assert output.count(f"{name} is refused: {reason}") == 1
    assert output.count("on a GPU alone") == 1, "of cupy, where the sequences are padded in front"

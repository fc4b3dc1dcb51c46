"""`rnnbench new-backend`: what it writes works, in each of its languages, and what it refuses."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from commands import measured, rnnbench
from running import environment, install

from backends import registry
from backends.plugins import contract, loading
from bench import ROOT
from bench.cli.new_backend import ORIGINS, write

LINT = ("--line-length=100", "--select=E,F,W,I,UP,B,SIM,RUF,PT,C4,PERF")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a package in each language, "my-numpy" and so on."""
    folder = tmp_path_factory.mktemp("written")
    for origin in ORIGINS:
        code, output = rnnbench("new-backend", f"my-{origin}", "--from", origin, folder=folder)
        assert code == 0, output
        assert f"pip install -e my-{origin}" in output
        assert f"rnnbench check my-{origin}" in output
    return folder


def test_the_languages_are_those_that_the_page_names() -> None:
    page = (ROOT / "docs" / "adding-a-backend.md").read_text()
    assert set(re.findall(r"--from (\w+)", page)) == set(ORIGINS)


@pytest.mark.parametrize("origin", ORIGINS)
def test_what_it_writes_is_tidy(written: Path, origin: str) -> None:
    ruff = [sys.executable, "-m", "ruff"]
    folder = str(written / f"my-{origin}")
    for command in ((*ruff, "check", "--isolated", *LINT), (*ruff, "format", "--check", LINT[0])):
        done = subprocess.run([*command, folder], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("origin", ORIGINS)
def test_it_imports_nothing_of_this_project(written: Path, origin: str) -> None:
    files = sorted((written / f"my-{origin}").rglob("*.py"))
    assert len(files) == 3
    for file in files:
        lines = file.read_text().splitlines()
        starts = ("import", "from")
        imports = [line.split()[1] for line in lines if line.lstrip().startswith(starts)]
        assert not {"tasks", "backends", "bench"} & {name.partition(".")[0] for name in imports}


def _on_the_path(written: Path, folder: Path) -> tuple[Path, ...]:
    targets = {f"my-{origin}": f"rnnbench_my_{origin}.backend:make" for origin in ORIGINS}
    return install(folder, targets), *(written / f"my-{origin}" for origin in ORIGINS)


@pytest.mark.slow
def test_what_it_writes_agrees_and_refuses_the_rest(written: Path, tmp_path: Path) -> None:
    here = [o for o in ORIGINS if registry.missing(registry.find(o)) is None]
    assert "numpy" in here
    ran = measured(
        tmp_path / "reports",
        "--task=hihello",
        "--cell=rnn_tanh,gru",
        "--phase=forward,bptt",
        "--benchmark-max-time=0.1",
        f"--backend={','.join(f'my-{origin}' for origin in here)}",
        paths=_on_the_path(written, tmp_path / "plugins"),
    )
    assert ran.code == 0, ran.output
    found = ran.measurements()
    assert len(found) == len(here) * 2 * 2
    for (_, variant), m in found.items():
        if m.workload.spec.cell == "gru":
            assert (m.status, m.reason) == ("refused", f"cell gru is not written yet in {variant}")
            continue
        assert m.status == "ok", m.reason
        assert m.agreement is not None
        assert m.agreement.tensors >= 2 * 2


@pytest.mark.parametrize("origin", ORIGINS)
def test_its_members_are_the_contracts(
    written: Path, origin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(written / f"my-{origin}"))
    entry = registry.Entry(f"my-{origin}", f"rnnbench_my_{origin}.backend:make", plugin=True)
    assert contract.backend_faults(loading.make(entry), f"my-{origin}") == []


WRONG = [
    (["torch"], "there is a backend 'torch' already (built in)"),
    (["Torch"], "there is a backend 'torch' already (built in)"),
    (["all"], "the name 'all' cannot be used"),
    (["a/b"], "the name 'a/b' cannot be used"),
    (["../up"], "the name '../up' cannot be used"),
    (["jax@0.9"], "the name 'jax@0.9' cannot be used"),
    (["1st"], "the name '1st' cannot be used"),
    (["-x"], "No such option"),
    ([""], "the name '' cannot be used"),
    (["é"], "the name 'é' cannot be used"),
    (["x" * 51], "at most 50 ASCII letters"),
    (["mine", "--from=tensorflow"], "--from 'tensorflow' is unknown; expected one of jax, numpy"),
    (["there"], "there is there already"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("arguments", "words"), WRONG, ids=[" ".join(a) for a, _ in WRONG])
def test_wrong_use_writes_nothing(tmp_path: Path, arguments: list[str], words: str) -> None:
    (tmp_path / "there").mkdir()
    code, output = rnnbench("new-backend", *arguments, folder=tmp_path)
    assert code == 2, output
    assert words in output
    assert "Traceback" not in output
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    assert not any((tmp_path / "there").iterdir())


def test_a_name_with_dots_is_a_module_without(tmp_path: Path) -> None:
    write(tmp_path / "My.lib-2", "My.lib-2", "numpy")
    assert (tmp_path / "My.lib-2" / "rnnbench_my_lib_2" / "backend.py").is_file()
    project = (tmp_path / "My.lib-2" / "pyproject.toml").read_text()
    assert '"My.lib-2" = "rnnbench_my_lib_2.backend:make"' in project


def test_nothing_of_it_lies_in_this_repository() -> None:
    assert not list(ROOT.glob("my-*"))


@pytest.mark.slow
def test_the_recipe_for_ci_finds_the_commit_that_is_slower(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "adding-a-backend.md").read_text()
    (recipe,) = re.findall(r"^```sh\n(measure\(\) .*?)^```$", page, re.M | re.S)
    code, output = rnnbench("new-backend", "mylib", "--from", "numpy", folder=tmp_path)
    assert code == 0, output
    checkout = tmp_path / "mylib"
    (module,) = checkout.rglob("backend.py")
    _git(checkout, "init", "--quiet")
    base = _commit(checkout)
    before, step = module.read_text(), "            hs.append(np.tanh("
    assert step in before
    module.write_text(before.replace(step, f"            np.tanh(np.ones(30_000))\n{step}"))
    head = _commit(checkout)
    target = {"mylib": "rnnbench_mylib.backend:make"}
    installed = install(tmp_path / "site", target, "rnnbench-mylib", "0.1", checkout)
    what = "--task=hihello --phase=forward --processes=3 --benchmark-max-time=0.2"
    variables = {"BASE": base, "HEAD": head, "RUNS": str(tmp_path / "runs"), "WHAT": what}
    command = f'rnnbench() {{ {sys.executable} -m bench.cli "$@"; }}\n{recipe}'
    done = subprocess.run(
        ["bash", "-euc", command],
        cwd=checkout,
        env=environment(variables, module.parents[1], installed, ROOT),
        capture_output=True,
        text=True,
        check=False,
    )
    (row,) = re.findall(r"^\| forward.*\| mylib .*$", done.stdout, re.M)
    assert float(row.split("|")[7]) > 3, "so much longer, also on a busy machine"
    if "they were disturbed" in done.stdout:  # by the other tests
        assert done.returncode == 0, done.stdout + done.stderr
    else:
        assert done.returncode == 1, done.stdout + done.stderr
        assert "FAILED: mylib takes " in done.stdout
    commits = f"0.1, commit {base[:12]} / [^;]*rnnbench-mylib 0.1, commit {head[:12]}"
    assert re.search(f"mylib: numpy [^;]*, rnnbench-mylib {commits}", done.stdout)


def _git(checkout: Path, *arguments: str) -> str:
    options = ("-C", str(checkout), "-c", "user.name=a", "-c", "user.email=a@localhost")
    return subprocess.run(
        ["git", *options, *arguments], capture_output=True, text=True, check=True
    ).stdout.strip()


def _commit(checkout: Path) -> str:
    _git(checkout, "add", "--all")
    _git(checkout, "commit", "--quiet", "--message=next")
    return _git(checkout, "rev-parse", "HEAD")

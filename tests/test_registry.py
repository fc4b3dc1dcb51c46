"""Names, and what is asked of a backend without importing it here."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from backends import registry
from backends.plugins import client, contract
from backends.plugins.client import Client
from backends.plugins.errors import ProcessError
from backends.plugins.sanitize import first_line, plain, plain_lines
from tasks.spec import ModelSpec, OptimizerSpec

SPEC = {"cell": "gru", "input_size": 3, "hidden_size": 4}
CALL = {"device": "cpu", "dtype": "float32", "phase": "bptt"}


@pytest.mark.parametrize("name", [entry.name for entry in registry.BUILT_IN])
def test_what_is_built_in_has_the_contract_too(name: str) -> None:
    assert contract.backend_faults(registry.load(name), name) == []


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(registry.UnknownBackendError, match="'tensorfow' is unknown") as caught:
        registry.find("tensorfow")
    for entry in registry.BUILT_IN:
        assert entry.name in str(caught.value)


def test_everything_holds_the_defaults() -> None:
    everything = registry.default_names(everything=True)
    assert set(registry.default_names()) < set(everything)
    assert {"torch-compile", "jax-unrolled", "flax-linen"} <= set(everything)
    assert len(everything) == len(set(everything))


def test_what_came_from_elsewhere_loses_what_a_terminal_would_obey() -> None:
    hostile = "\x1b[2J\x1b]0;title\x07red\r\nnext\x9b31m\u202eltr\u2028line\ud800"
    assert plain(hostile) == "[2J ]0;title red next 31m ltr line"
    assert plain("x" * 50, 10) == "x" * 10 + " ..."
    assert plain_lines("  a\x1b[1m\n\tb  \n") == "  a [1m\n b\n"
    assert first_line(ValueError("\n\n \x07\nfirst\nsecond")) == "ValueError: first"
    assert first_line(KeyError()) == "KeyError"


@pytest.fixture
def asked() -> Iterator[Client]:
    made = Client(sys.executable, "numpy")
    yield made
    made.close()


def test_a_process_of_its_own_answers_as_the_backend_does(asked: Client) -> None:
    numpy = registry.load("numpy")
    assert asked.absent() == []
    options = {"threads": 3, "device": "cpu", "dtype": "float32"}
    assert asked.answer("environment", options) == numpy.environment(**options)
    assert asked.answer("refusal", {"spec": SPEC, **CALL}) is None
    refused = {**CALL, "device": "cuda:0"}
    reason = numpy.refusal(ModelSpec(**SPEC), **refused)
    assert asked.answer("refusal", {"spec": SPEC, **refused}) == reason
    given = {"name": "sgd", "learning_rate": 0.5}
    assert OptimizerSpec(**asked.answer("optimizer", {"spec": given})) == OptimizerSpec(**given)


def _process(asked: Client) -> psutil.Process:
    assert asked._process is not None
    return asked._process.process


@pytest.mark.skipif(sys.platform != "linux", reason="threads' states are read from /proc")
def test_it_stands_still_between_two_questions(asked: Client) -> None:
    for _ in range(3):
        asked.absent()
        assert _process(asked).status() == psutil.STATUS_STOPPED
    assert os.getsid(_process(asked).pid) != os.getsid(0), "it has this terminal"


def test_one_that_ended_is_not_asked_again(asked: Client) -> None:
    asked.absent()
    _process(asked).kill()
    for _ in range(2):
        with pytest.raises(ProcessError, match=r"ended its process in `refusal` \(SIGKILL\)"):
            asked.answer("refusal", {"spec": SPEC, **CALL})


@pytest.mark.parametrize("wait", ["soon", "0", "-1", "nan", "inf"])
def test_a_wait_that_is_none_says_so(
    asked: Client, monkeypatch: pytest.MonkeyPatch, wait: str
) -> None:
    monkeypatch.setenv(client.WAIT_VARIABLE, wait)
    with pytest.raises(ProcessError, match=f"RNNBENCH_PROBE_SECONDS is '{wait}'; expected"):
        asked.absent()
    monkeypatch.delenv(client.WAIT_VARIABLE)
    assert asked.absent() == []


@pytest.mark.parametrize(
    ("content", "printed"),
    [("#!/nowhere/at/all\n", "No such file"), ("#!/bin/sh\necho sorry >&2; exit 3\n", "sorry")],
)
def test_an_interpreter_that_is_none_says_so(tmp_path: Path, content: str, printed: str) -> None:
    python = tmp_path / "python"
    python.write_text(content)
    python.chmod(0o700)
    with pytest.raises(ProcessError, match="its interpreter ended before it answered") as caught:
        Client(str(python), "numpy").absent()
    assert printed in str(caught.value)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ("sys.version_info = (3, 9, 1)", "its interpreter is Python 3.9; expected 3.11 or newer"),
        ("sys.modules['numpy'] = None", "numpy cannot be imported there"),
    ],
)
def test_an_interpreter_that_lacks_what_all_need_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: str, words: str
) -> None:
    (tmp_path / "sitecustomize.py").write_text(f"import sys\n{made}\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    with pytest.raises(ProcessError, match=re.escape(words)):
        Client(sys.executable, "numpy").absent()

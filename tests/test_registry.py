"""Names, and what is asked of a backend without importing it here."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import psutil
import pytest

from backends import contract, probe, registry
from backends.probe import Probe, ProbeError
from backends.words import first_line, plain, plain_lines
from tasks.spec import ModelSpec, OptimizerSpec

SPEC = {"cell": "gru", "input_size": 3, "hidden_size": 4}
CELL = {"device": "cpu", "dtype": "float32", "phase": "bptt"}


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


def test_words_lose_what_a_terminal_would_obey() -> None:
    hostile = "\x1b[2J\x1b]0;title\x07red\r\nnext\x9b31m\u202eltr\u2028line\ud800"
    assert plain(hostile) == "[2J ]0;title red next 31m ltr line"
    assert plain("x" * 50, 10) == "x" * 10 + " ..."
    assert plain_lines("  a\x1b[1m\n\tb  \n") == "  a [1m\n b\n"
    assert first_line(ValueError("\n\n \x07\nfirst\nsecond")) == "ValueError: first"
    assert first_line(KeyError()) == "KeyError"


@pytest.fixture
def asked() -> Probe:
    made = Probe(sys.executable, "numpy")
    yield made
    made.close()


def test_a_process_apart_answers_as_the_backend_does(asked: Probe) -> None:
    numpy = registry.load("numpy")
    assert asked.ask("load", {}) == []
    options = {"threads": 3, "device": "cpu", "dtype": "float32"}
    assert asked.ask("environment", options) == numpy.environment(**options)
    assert asked.ask("refusal", {"spec": SPEC, **CELL}) is None
    refused = {**CELL, "device": "cuda:0"}
    reason = numpy.refusal(ModelSpec(**SPEC), **refused)
    assert asked.ask("refusal", {"spec": SPEC, **refused}) == reason
    given = {"name": "sgd", "learning_rate": 0.5}
    assert OptimizerSpec(**asked.ask("optimizer", {"spec": given})) == OptimizerSpec(**given)


def _process(asked: Probe) -> psutil.Process:
    (found,) = (p for p in psutil.Process().children() if probe._BOOT in p.cmdline())
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it is not stopped")
def test_it_stands_still_between_two_questions(asked: Probe) -> None:
    for _ in range(3):
        asked.ask("load", {})
        end = time.monotonic() + 10
        while _process(asked).status() != psutil.STATUS_STOPPED:
            assert time.monotonic() < end, "it was not stopped"
            time.sleep(0.01)
    assert os.getsid(_process(asked).pid) != os.getsid(0), "it has this terminal"


def test_one_that_ended_is_not_asked_again(asked: Probe) -> None:
    asked.ask("load", {})
    _process(asked).kill()
    for _ in range(2):
        with pytest.raises(ProbeError, match=r"ends its process in `refusal` \(by SIGKILL\)"):
            asked.ask("refusal", {"spec": SPEC, **CELL})


@pytest.mark.parametrize("wait", ["soon", "0", "-1", "nan", "inf"])
def test_a_wait_that_is_none_says_so(
    asked: Probe, monkeypatch: pytest.MonkeyPatch, wait: str
) -> None:
    monkeypatch.setenv(probe.WAIT_VARIABLE, wait)
    with pytest.raises(ProbeError, match=f"RNNBENCH_PROBE_SECONDS is '{wait}'; expected"):
        asked.ask("load", {})
    monkeypatch.delenv(probe.WAIT_VARIABLE)
    assert asked.ask("load", {}) == []


def test_an_interpreter_that_is_none_says_so(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/nowhere/at/all\n")
    python.chmod(0o700)
    with pytest.raises(ProbeError, match="its interpreter cannot be started: No such file"):
        Probe(str(python), "numpy").ask("load", {})
    python.write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(ProbeError, match=r"ends its process while it is imported \(exit status 3"):
        Probe(str(python), "numpy").ask("load", {})

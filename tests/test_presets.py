"""Presets: each is a run that can be made, with its source; what is typed goes before it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from here import asked
from record_samples import FULL_RUN, parted, workload_records
from running import suite

from backends import registry
from bench.analysis.workload_view import views
from bench.config import presets
from tasks import DEFAULT_TASKS
from tools import questions

ANSWER = "jax"


@pytest.mark.parametrize("name", presets.names())
def test_a_preset_says_what_it_asks_and_where_that_is_from(name: str) -> None:
    preset = presets.find(name)
    assert preset.asks
    assert preset.source
    assert preset.file.workloads
    for workload in preset.file.workloads:
        devices = workload.values.get("device", ())
        assert preset.gpu or not any(device.startswith("cuda") for device in devices)
    for backend in preset.file.of_run.get("backend", "numpy").split(","):
        known = {*registry.table(), "all"}
        assert backend in known or (preset.needs and f'"{backend}"' in preset.needs)
    # What the source states is what runs, or the preset names the difference.
    assert preset.differs or not preset.differing()


def test_those_that_were_promised_are_there() -> None:
    promised = {"braun2018", "deepbench", "flashrnn", "pytorch-94457", "pytorch-65597"}
    promised |= {"pytorch-81634", "tensorflow-15952", "tensorflow-57005", "keras-20902"}
    promised |= {"onednn-837", "onednn-561", "sru-96", "tensorflow-34920", "pytorch-42094"}
    promised |= {"keras-15915", "jax-36799"}
    promised |= {"pytorch-149194", "sentiment-lengths", "tensorflow-29075"}
    promised |= {"gru-stream", "keras-11006"}
    assert promised | {"keras-18648"} <= set(presets.names())
    stated = {name for name in presets.names() if presets.find(name).stated}
    # Our own, open questions without sizes, and a dense net.
    open_ones = {"sentiment-lengths", "tensorflow-29075", "gru-stream"}
    assert set(presets.names()) - stated == {"reference", "keras-18648", *open_ones}


def test_a_difference_from_the_source_is_found() -> None:
    assert presets.find("flashrnn").differing() == ["dtype"]
    assert presets.find("keras-20902").differing() == ["device"]
    assert presets.find("pytorch-94457").differing() == ["classes"]
    assert presets.find("onednn-837").here("steps") == (63, 31, 15)
    assert presets.find("braun2018").here("layers") == (1,)


@pytest.mark.parametrize(
    ("name", "workload"),
    [
        ("braun2018", "bptt[custom-lstm-1x320-short-cpu-float32]"),
        ("pytorch-65597", "bptt[custom-lstm-lstm-3x64-cpu-float64]"),
        ("braun2018-deep", "bptt[custom-lstm-4x320-long-cuda:0-float32]"),
    ],
)
def test_a_preset_is_the_workloads_of_its_source(tmp_path: Path, name: str, workload: str) -> None:
    code, output = asked(tmp_path / "reports", "--dry-run", f"--preset={name}")
    assert code == 0, output
    assert workload in output


def test_parts_are_one_run_and_no_workload_comes_twice(tmp_path: Path) -> None:
    code, output = asked(tmp_path / "reports", "--dry-run", "--preset=reference", "--backend=numpy")
    assert code == 0, output
    found = [line.partition(": ")[0] for line in output.splitlines() if ": numpy" in line]
    # Four cells in two phases, and three curves of three more points for two cells in one.
    assert len(found) == len(set(found)) == len(DEFAULT_TASKS) * 4 * 2 + 18
    assert "bptt[sentiment-lstm-base+H256-cpu-float32]" in found


def test_what_is_typed_goes_before_the_preset(tmp_path: Path) -> None:
    arguments = ["--preset=braun2018", "--hidden=32", "--phase=forward", "--backend=numpy"]
    code, output = asked(tmp_path / "reports", "--dry-run", *arguments)
    assert code == 0, output
    assert "forward[custom-lstm-1x320-short+H32-cpu-float32]: numpy" in output
    assert "1 test in 1 workload" in output


def test_an_unknown_preset_is_wrong_use_that_lists_the_known(tmp_path: Path) -> None:
    ran = suite(tmp_path / "reports", "--preset=braun")
    assert ran.code == pytest.ExitCode.USAGE_ERROR
    assert "preset 'braun' is unknown; expected one of braun2018, " in ran.output
    assert "Traceback" not in ran.output


def test_an_option_that_a_preset_may_not_hold_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presets, "FOLDER", tmp_path)
    about, workload = 'asks = "a"\nsource = "b"\n', '[[workload]]\ntask = "hihello"\n'
    (tmp_path / "odd.toml").write_text(f'{about}reports = "x"\n{workload}')
    (tmp_path / "inner.toml").write_text(f'{about}{workload}backend = "numpy"\n')
    (tmp_path / "silent.toml").write_text(workload)
    with pytest.raises(ValueError, match=r"odd\.toml, above .*: 'reports' is unknown; expected"):
        presets.find("odd")
    with pytest.raises(ValueError, match=r"inner\.toml, workload 1: backend holds for the whole"):
        presets.find("inner")
    with pytest.raises(ValueError, match=r"preset 'silent' has no asks, source"):
        presets.find("silent")


def test_every_question_has_its_command_and_an_answer_where_there_is_a_run() -> None:
    found = views(FULL_RUN, *parted(workload_records(5)))
    answer = questions.Answer(FULL_RUN, found, "../reports/a/report.md")
    page = questions.render({"pytorch-94457": answer})
    for name in presets.names():
        assert f"    pytest --benchmark-only --preset={name}\n" in page
        assert presets.find(name).asks.rstrip("?") in page
    (section,) = [part for part in page.split("## ") if "--preset=pytorch-94457\n" in part]
    assert "On Example CPU 9000, 2 cores" in section
    assert ANSWER in section
    assert "](../reports/a/report.md)" in section
    assert page.count("Not measured on") == len(presets.names()) - 1


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("pytest --benchmark-only --preset=braun2018", "braun2018"),
        ("pytest --benchmark-only --preset braun2018", "braun2018"),
        ("pytest -vv --benchmark-only --preset=braun2018 --benchmark-json=a.json", "braun2018"),
        ("pytest --benchmark-only --preset=braun2018 -k numpy", None),
        ("pytest --benchmark-only --preset=braun2018 --benchmark-max-time=0.1", None),
        ("pytest --benchmark-only --preset=keras-20902 --device=cuda:0", None),
        ("pytest --benchmark-only", None),
    ],
)
def test_only_its_own_command_answers_a_question(command: str, name: str | None) -> None:
    assert questions._preset_of(msgspec.structs.replace(FULL_RUN, command=command)) == name

"""What a run prints: the answer, its progress, and no claim of pytest-benchmark that is not so."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import msgspec
import pytest
from here import asked
from pages import report, rows
from record_samples import (
    FULL_RUN,
    PACES,
    RUN,
    Records,
    full,
    measurement,
    parted,
    rounds,
    sample,
    stopped,
    workload_records,
)
from running import Ran, suite
from test_report_formats import spoilt
from views_of import views_of

from bench.analysis import text
from bench.progress import Left
from bench.records.schema import Run
from bench.report import terminal
from bench.report.csv import csv as as_csv

FEW = {name: PACES[name] for name in ("numpy", "torch", "jax")}
NUMBERS = re.compile(r"^\s*(\d+|\?)?\s+(\S+(?: \(2\))?)\s+(.*)$")


def printed(
    records: Records, width: int | None = None, run: Run = FULL_RUN, *, colours: bool = False
) -> list[str]:
    measurements, views = parted(records)[0], views_of(records, run)
    return [*terminal.printed(run, measurements, views, width=width, colours=colours)]


def _blocks(lines: list[str]) -> dict[str, dict[str, list[str]]]:
    """The values of each row in a pipe, by workload and variant."""
    found: dict[str, dict[str, list[str]]] = {}
    for line in lines:
        if re.fullmatch(r"\S+\[.*\](, .*)?", line):
            here = found[line] = {}
        elif not line:
            here = {}
        elif not line.startswith("#"):
            name, *values = re.split(r"\s\s+", re.sub(r"^(\d+|\?)", "", line).strip())
            here[name] = values
    return found


@pytest.mark.parametrize(("run", "records"), [(RUN, sample()), (FULL_RUN, full())])
def test_terminal_markdown_and_csv_have_the_same_numbers(run: Run, records: Records) -> None:
    blocks = _blocks(printed(records, run=run))
    sections = report(run, *parted(records)).partition("## Workloads")[2].split("\n### ")
    in_csv = {
        (row["workload"], row["variant"]): row
        for row in csv.DictReader(io.StringIO(as_csv(run, *parted(records))))
        if row["role"] == "variant"
    }
    compared = 0
    for section in sections[1:]:
        title = section.partition("\n")[0]
        block = blocks[title]
        for label, values in block.items():
            (row, *_) = rows(section.partition("| variant")[2], label)
            shown = [value.replace("**", "") for value in row[2:6] if value]
            assert values == shown, (title, label)
            exact = in_csv[title, label]
            assert exact["verdict"] == values[-1].replace("alone", "reference")
            if exact["seconds"]:
                assert values[0] == text.duration(float(exact["seconds"]))
            if exact["ratio_low"]:
                assert values[1] == text.ratio(float(exact["ratio"]))
                ends = float(exact["ratio_low"]), float(exact["ratio_high"])
                assert values[2] == text.interval(*ends)
                compared += 1
    assert compared >= 2
    assert len(blocks) == len(sections) - 1


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_the_answer_fits_the_terminal_and_uses_it(width: int) -> None:
    lines = printed(full(), width)
    assert max(map(text.width, lines)) <= width
    titles = max(line.count("[sentiment-") for line in lines)
    assert titles == {60: 1, 80: 1, 120: 1, 200: 3}[width]
    ranked = [line for line in lines if re.match(r"1\s+jax", line)]
    assert len(ranked) >= 10


def test_a_long_name_is_never_cut() -> None:
    name = "keras-tensorflow-train_on_batch-of-another-distribution"
    records: Records = [measurement(name, rounds(1.0, 1.1)), measurement("b", rounds(2.0, 2.1))]
    lines = printed(records, 80)
    assert max(map(len, lines)) <= 80
    first = next(number for number, line in enumerate(lines) if line.startswith("1"))
    parts = [line[1:].split("  ")[1] for line in lines[first : first + 2]]
    assert "".join(parts) == name


def test_in_a_pipe_there_is_one_row_a_line_and_no_colour() -> None:
    lines = printed(full())
    assert not any("\x1b" in line for line in lines)
    assert not any(line.count("[sentiment-") > 1 for line in lines if "[" in line[:9])
    assert sum(line.startswith("#") for line in lines) == len(views_of(full()))
    assert any("\x1b[" in line for line in printed(full(), 80, colours=True))


def test_what_spoils_a_run_is_printed_where_it_ends() -> None:
    busy = printed(workload_records(0, FEW, disturbed=90), 80)
    assert "Warning: a disturbed run." in " ".join(busy)
    assert any(re.match(r"\?\s+jax", line) for line in busy)
    quiet = workload_records(5, FEW)
    assert "Warning" not in " ".join(printed(quiet, 80))
    (again,) = [m for m in parted(quiet)[0] if m.role == "control"]
    (process,) = again.processes
    late = msgspec.structs.replace(process, seconds=tuple(2 * s for s in process.seconds))
    slow = msgspec.structs.replace(again, processes=(late,))
    lines = " ".join(printed([slow if m is again else m for m in quiet], 80))
    assert "Warning: a false alarm." in lines
    assert "reports numpy as different from itself" in " ".join(lines.split())


def test_a_reason_for_a_refusal_is_printed_once() -> None:
    lines = printed(sample(), run=RUN)
    (refused,) = [line for line in lines if line.startswith("keras-jax is refused")]
    assert refused.endswith("in 2 workloads: computes in float32 whatever the dtypes say")
    assert any(
        line.startswith("flax is skipped in bptt[") and "pip install" in line for line in lines
    )
    assert any(
        line.startswith("6 of 10 measurements") or "mutant disagrees" in line for line in lines
    )


def test_names_reach_the_terminal_as_they_are_and_control_nothing() -> None:
    lines = printed([spoilt(m) for m in sample()], 80, colours=True)
    plain = "\n".join(re.sub(r"\x1b\[[\d;]*m", "", line) for line in lines)
    assert "\x1b" not in plain
    odd: Records = [measurement(r"a*b_c|d<e>`f`\g", rounds(1.0, 1.1)), stopped("b", "crashed", "x")]
    assert r"a*b_c|d<e>`f`\g" in "\n".join(printed(odd))


def test_a_serial_run_has_times_alone() -> None:
    serial = msgspec.structs.replace(FULL_RUN, serial=True)
    lines = printed(workload_records(1, FEW), 80, serial)
    start = lines.index("bptt[sentiment-lstm-base-cpu-float32]")
    assert lines[start + 1].split() == ["variant", "step"]
    assert {line.split()[0] for line in lines[start + 2 : start + 5]} == FEW.keys()
    assert not any(line.startswith("Ratio") for line in lines)
    assert any(line.startswith("A serial run.") for line in lines)


def test_many_workloads_are_counted() -> None:
    lines = printed(full())
    (counted,) = [line for line in lines if line.startswith("sentiment, forward: of ")]
    assert re.match(
        r"sentiment, forward: of \d+ workloads, flax shares the first rank in \d+; jax", counted
    )


def test_the_checks_alone_end_with_the_agreement() -> None:
    lines = [line for line in printed([measurement("numpy")]) if line]
    assert lines == ["1 of 1 measurements agree with the float64 oracle, in all 48 tensors."]


def test_the_rest_of_a_run_is_expected_and_then_corrected() -> None:
    left = Left([10.0, 10.0, 20.0])
    left.begin(100.0)
    assert left.seconds(100.0) == pytest.approx(40.0)
    assert left.seconds(104.0) == pytest.approx(36.0)
    assert left.seconds(1000.0) == pytest.approx(30.0)
    left.done(130.0)  # three times as long as expected
    left.begin(130.0)
    assert 45.0 < left.seconds(130.0) < 90.0
    left.done(160.0)
    left.begin(160.0)
    left.done(220.0)
    assert left.seconds(220.0) == 0.0


def test_a_dry_run_does_not_end_with_no_tests(tmp_path: Path) -> None:
    code, output = asked(tmp_path, "--dry-run", "--backend=numpy", "--task=hihello")
    assert code == 0
    assert "no tests ran" not in output
    assert "2 tests collected" in output
    assert "min_rounds=" not in output
    assert "at least 10, then until 1 s a variant are used" in output


def _run(tmp_path: Path, *arguments: str) -> Ran:
    quick = ("--task=hihello", "--phase=forward", "--backend=numpy", "--benchmark-max-time=0.05")
    ran = suite(tmp_path / "reports", *quick, *arguments)
    assert ran.code == 0, ran.output
    return ran


def test_a_run_ends_with_its_answer_in_place_of_the_table(tmp_path: Path) -> None:
    output = _run(tmp_path).output
    assert "1 tests" not in output
    assert "min_rounds=" not in output
    assert "[1/1] about" in output
    assert re.search(r"^1?\s+numpy\s+[\d.]+ .s\s+1\.00\s+alone$", output, re.M)
    assert "1 of 1 measurements agree with the float64 oracle" in output


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--benchmark-sort=min", "--benchmark-columns=median", "-v"])
def test_the_table_comes_where_it_is_asked_for(tmp_path: Path, option: str) -> None:
    output = _run(tmp_path, option).output
    table = output.index("': 1 tests")
    assert table < output.index("1 of 1 measurements agree")

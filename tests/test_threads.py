"""`--threads default`: each framework takes as many as it likes, and what it took is recorded."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
from here import asked
from pages import report
from record_samples import RUN, WORKLOAD, measurement, rounds, workload
from running import suite

from backends import registry
from bench.config import fields, validation
from bench.records import machine, store
from bench.records.workload import LEFT_ALONE
from bench.report.csv import csv as as_csv
from bench.workers import environment
from bench.workers.pool import WorkerPool
from bench.workers.process import WorkerKey

CORES = machine.available_cores()
VARIANTS = [entry.name for entry in registry.BUILT_IN]
WORKLOAD_OF_NUMPY = "forward[hihello-rnn_tanh-source+threads"


def key(variant: str, threads: int = LEFT_ALONE) -> WorkerKey:
    return WorkerKey(variant, "float32", "cpu", threads)


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    """numpy, as if it were a third party's with thread variables of its own."""
    ask = registry.ask

    def asked_too(name: str, member: str, *positional: Any, **given: Any) -> Any:
        answer = ask(name, member, *positional, **given)
        if member != "environment":
            return answer
        own = {"ORT_THREADS": str(given["threads"]), "ORT_FLAGS": "1", "OMP_NUM_THREADS": "3"}
        return {**answer, **own}

    monkeypatch.setattr(environment.registry, "ask", asked_too)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_thread_variables_alone_are_left_out(variant: str) -> None:
    left_alone = environment.variables(key(variant))
    asked_for = environment.variables(key(variant, len(CORES)))
    left_out = asked_for.keys() - left_alone.keys()
    assert left_out
    assert left_out <= environment.THREAD_VARIABLES
    assert left_alone == {name: asked_for[name] for name in asked_for.keys() - left_out}
    assert not [name for name in left_alone if re.search("THREADS|NPROC", name)]
    assert not environment.own_thread_variables(key(variant))


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_number_of_threads_is_set_by_variables_that_are_known(variant: str) -> None:
    one, two = (environment.variables(key(variant, threads)) for threads in (1, 2))
    assert {name for name in one if one[name] != two[name]} <= environment.THREAD_VARIABLES


@pytest.mark.usefixtures("plugin")
def test_a_thread_variable_of_a_plugins_own_is_kept_and_named() -> None:
    variables = environment.variables(key("numpy"))
    assert variables["ORT_THREADS"] == str(len(CORES))
    assert variables["ORT_FLAGS"] == "1"
    assert "OMP_NUM_THREADS" not in variables
    assert environment.own_thread_variables(key("numpy")) == [f"ORT_THREADS={len(CORES)}"]
    assert environment.own_thread_variables(key("numpy", 1)) == []


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[WorkerPool]:
    for name in environment.THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with WorkerPool(machine.cores_to_pin(), timeout=60) as made:
        yield made


@pytest.mark.usefixtures("plugin")
def test_a_worker_whose_threads_are_left_alone_is_not_pinned(pool: WorkerPool) -> None:
    assert pool.cores_of(LEFT_ALONE) is None
    worker = pool.get(key("numpy"))
    process = psutil.Process(worker.pid)
    environ = process.environ()
    assert environ["ORT_THREADS"] == str(len(CORES))
    assert not environ.keys() & environment.THREAD_VARIABLES
    if machine.pinning():
        assert process.cpu_affinity() == CORES
    assert worker.started.own_threads == (f"ORT_THREADS={len(CORES)}",)


def test_default_is_a_value_among_others(tmp_path: Path) -> None:
    words = ("--task=hihello", "--backend=numpy", "--phase=forward", "--dry-run")
    code, output = asked(tmp_path / "reports", *words, "--threads=1,default")
    assert code == 0, output
    assert f"{WORKLOAD_OF_NUMPY}1-cpu-float32]: numpy" in output
    assert f"{WORKLOAD_OF_NUMPY}-default-cpu-float32]: numpy" in output
    assert "2 tests in 2 workloads" in output
    assert fields.from_words({"threads": ["default", "1", "default"]}) == {"threads": (0, 1)}
    assert fields.from_words({"threads": ["all"]}) == {"threads": validation.threads(())}


@pytest.mark.parametrize("wrong", ["0", "-1", "Default", "1.5", "every"])
def test_another_word_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=rf"--threads '{wrong}'.* at least 1, all or default"):
        fields.from_words({"threads": [wrong]})


@pytest.mark.slow
@pytest.mark.usefixtures("plugin")
def test_what_was_taken_stands_in_the_record_and_in_the_report(tmp_path: Path) -> None:
    words = ("--task=hihello", "--backend=numpy", "--phase=forward", "--benchmark-max-time=0.01")
    code, output = asked(tmp_path, *words, "--threads=default", "--run-name=run")
    assert code == 0, output
    _, found, _ = store.read(tmp_path / "run" / store.FILE)
    (m,) = (m for m in found if m.role == "variant")
    assert m.workload.threads == LEFT_ALONE
    (process,) = m.processes
    taken = process.effective_threads
    assert f"ORT_THREADS={len(CORES)} by itself" in taken
    if machine.pinning():
        cores = f"{len(CORES)} core{'s' if len(CORES) > 1 else ''}"
        assert f"not pinned, may use {cores}" in taken
        assert "in the whole process" in taken
    page = (tmp_path / "run" / "report.md").read_text()
    assert f"default requested; found {taken}" in page
    assert "threads by default" in page
    assert "0 threads" not in page


def _sample(threads: int, *seconds: float) -> Any:
    shown = ("threads",)
    where = workload(WORKLOAD, threads=threads, overridden=shown)
    return measurement("torch", rounds(*seconds), workload=where)


@pytest.mark.parametrize("counts", [(LEFT_ALONE,), (LEFT_ALONE, 2)])
def test_a_report_has_no_zero_threads(counts: tuple[int, ...]) -> None:
    run = msgspec.structs.replace(RUN, threads=counts)
    found = [_sample(count, 1.0, 1.1) for count in counts]
    page = report(run, found)
    assert "threads by default" in page
    assert not re.search(r"\b0 threads?\b", page)
    assert ("2 threads" in page) is (2 in counts)
    rows = list(csv.DictReader(io.StringIO(as_csv(run, found))))
    assert [row["workload"] for row in rows] == [
        f"bptt[sentiment-lstm-base+threads{count or '-default'}-cpu-float32]" for count in counts
    ]


@pytest.mark.slow
def test_frameworks_run_with_the_threads_that_they_like(tmp_path: Path) -> None:
    variants = [
        name for name in ("torch", "keras-tensorflow") if not registry.missing(registry.find(name))
    ]
    if not variants:
        pytest.skip("neither torch nor TensorFlow is installed")
    words = ("--task=hihello", "--phase=bptt", "--benchmark-max-time=0.05", "--threads=default")
    ran = suite(tmp_path / "reports", *words, f"--backend={','.join(variants)}")
    assert ran.code == 0, ran.output
    measured = ran.measurements()
    assert [variant for _, variant in measured] == variants
    for (_, variant), m in measured.items():
        assert m.status == "ok", m.reason
        assert m.workload.threads == LEFT_ALONE
        for process in m.processes:
            assert "not pinned" in process.effective_threads or not machine.pinning()
            read_back = r"[1-9]\d* (by the framework|in the whole process)"
            assert re.search(read_back, process.effective_threads), variant

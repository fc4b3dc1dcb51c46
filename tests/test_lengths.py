"""Sequences of different lengths: their batches, workloads, variants that lack them, the report."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import numpy as np
import pytest
import record_samples as samples
from least import usual
from test_custom import request

from backends import registry
from bench.analysis import lengths as of_lengths
from bench.analysis import verdicts
from bench.analysis.workload_view import views
from bench.config import batches
from bench.config.grid import workloads
from bench.measurement.case import Case
from bench.records.schema import Measurement, WorkloadRecord
from bench.records.workload import Workload
from bench.report.markdown import lengths as in_words
from tasks import TASKS
from tasks.batch import real_steps, step_weight
from tasks.flops import bptt_flops, forward_flops
from tasks.inputs import InputOptions, lengths_of, make_batch
from tasks.loss import loss, step_losses
from tasks.spec import Batch, ModelSpec

SHARES = ("0.05", "0.3", "0.5", "0.8")


def made(task: str, options: InputOptions, seed: int = 3, **sizes: int) -> Batch:
    size = usual(TASKS[task]).with_overrides(**sizes)
    return make_batch(TASKS[task], size, TASKS[task].spec(size), options, seed)


# Batches


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize(("batch", "steps"), [(64, 80), (7, 100), (32, 1000), (2, 50)])
def test_lengths_have_the_share_of_padding_that_is_asked(
    batch: int, steps: int, share: str
) -> None:
    found = lengths_of(batch, steps, float(share))
    assert found.shape == (batch,)
    assert (found.min() >= 1, found.max()) == (True, steps)
    assert (np.diff(found) >= 0).all()
    most = 1 - (steps + batch - 1) / (batch * steps)  # all others are 1
    padding = 1 - found.sum() / (batch * steps)
    assert padding == pytest.approx(min(float(share), most), abs=0.5001 / (batch * steps))


@pytest.mark.parametrize(("batch", "steps"), [(1, 1), (1, 9), (3, 1)])
def test_tiny_batches_have_lengths_too(batch: int, steps: int) -> None:
    found = lengths_of(batch, steps, 0.5)
    assert (found >= 1).all()
    assert found[-1] == steps


def test_own_lengths_are_the_words_of_the_sentences() -> None:
    plain = made("sentiment", InputOptions())
    behind = made("sentiment", InputOptions(lengths="own"))
    front = made("sentiment", InputOptions(lengths="own", padding="front"))
    assert behind.lengths is not None
    for row, length in enumerate(behind.lengths):
        words = plain.x[row, plain.x.shape[1] - length :]
        assert words.all(), "no padding among the words"
        assert not plain.x[row, : plain.x.shape[1] - length].any()
        np.testing.assert_array_equal(behind.x[row, :length], words)
        assert not behind.x[row, length:].any()
    assert len(set(behind.lengths)) > 5
    np.testing.assert_array_equal(front.x, plain.x)
    assert front.lengths is None


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("lengths", ["uniform", "sorted", "0.7"])
def test_the_padding_is_zero_and_the_rest_is_the_tasks(task: str, lengths: str) -> None:
    plain = made(task, InputOptions(), batch=9, steps=12)
    behind = made(task, InputOptions(lengths=lengths), batch=9, steps=12)
    front = made(task, InputOptions(lengths=lengths, padding="front"), batch=9, steps=12)
    assert behind.lengths is not None
    assert front.lengths is None
    own = TASKS[task].own_lengths
    if own is not None:  # its words come first
        words = own(plain)
        rows = [np.roll(x, length) for x, length in zip(plain.x, words, strict=True)]
        plain = dataclasses.replace(plain, x=np.stack(rows))
    for row, length in enumerate(behind.lengths):
        np.testing.assert_array_equal(behind.x[row, :length], plain.x[row, :length])
        np.testing.assert_array_equal(front.x[row, 12 - length :], plain.x[row, :length])
        assert not behind.x[row, length:].any()
        assert not front.x[row, : 12 - length].any()
        if TASKS[task].shape != "many-to-one":
            np.testing.assert_array_equal(front.y[row, 12 - length :], plain.y[row, :length])
    np.testing.assert_array_equal(behind.y, plain.y)
    falling = (np.diff(behind.lengths) <= 0).all()
    assert falling == (lengths == "sorted")


def test_every_seed_has_as_many_real_steps() -> None:
    """Otherwise the batches of one workload would take different times."""
    found = [made("custom", InputOptions(lengths="0.4"), seed).lengths for seed in range(4)]
    assert len({int(each.sum()) for each in found if each is not None}) == 1
    assert any((found[0] != each).any() for each in found[1:])


@pytest.mark.parametrize("word", ["0", "1", "1.5", "-0.2", "nan", "short", "inf"])
def test_wrong_lengths_are_refused(word: str) -> None:
    with pytest.raises(ValueError, match=f"{word}.*expected own, uniform, sorted, or a share"):
        InputOptions(lengths=word)


# The loss


def test_the_loss_counts_real_steps_alone() -> None:
    rng = np.random.default_rng(0)
    outputs, y = rng.standard_normal((3, 4, 2)), rng.integers(0, 2, (3, 4))
    lengths, weight = np.array([1, 4, 2]), rng.uniform(0, 2, (3, 4))
    spec = ModelSpec("gru", 1, 2, output_size=2)
    batch = Batch(np.zeros((3, 4, 1)), y, lengths=lengths)
    each = [step_losses(spec, outputs, batch)[b, :length] for b, length in enumerate(lengths)]
    weights = [weight[b, :length] for b, length in enumerate(lengths)]
    weighted = dataclasses.replace(batch, weight=weight)
    total = dataclasses.replace(spec, time_reduction="sum")
    of_all, products = np.concatenate(each), np.concatenate(each) * np.concatenate(weights)
    assert loss(spec, outputs, batch) == pytest.approx(of_all.sum() / 7)
    assert loss(total, outputs, batch) == pytest.approx(of_all.sum() / 3)
    assert loss(spec, outputs, weighted) == pytest.approx(
        products.sum() / np.concatenate(weights).sum()
    )
    assert loss(total, outputs, weighted) == pytest.approx(products.sum() / 3)
    assert step_weight(dataclasses.replace(batch, lengths=None)) is None
    real = real_steps(batch)
    assert real is not None
    np.testing.assert_array_equal(real.sum(1), lengths)


def test_flops_are_those_of_the_real_steps() -> None:
    spec = ModelSpec("lstm", 3, 4, num_layers=2, vocab_size=5, readout="last_step", output_size=2)
    for of in (forward_flops, bptt_flops):
        # The head reads one state of each sequence, whatever its length.
        head = of(spec, 6, 10, 0)
        assert of(spec, 6, 10, 30) - head == (of(spec, 6, 10) - head) / 2
        assert of(spec, 6, 10, 60) == of(spec, 6, 10)


# Workloads


def named(**options: Any) -> list[Workload]:
    return list(workloads(request("sentiment", **options)))


def test_the_same_sequences_are_measured_without_lengths_beside() -> None:
    behind, front = named(lengths="own")
    assert (behind.label, front.label) == ("base+lengths-own", "base+lengths-own+front")
    assert (behind.has_lengths, front.has_lengths) == (True, False)
    assert batches.of_workload(front, 0).lengths is None
    (alone,) = named(lengths="own", padding="behind")
    assert alone.id == behind.id
    (share,) = named(lengths="0.25", padding="front")
    assert share.label == "base+lengths-0.25+front"


def test_sequences_that_are_over_count_no_more() -> None:
    behind, front = named(lengths="own")
    lengths = batches.of_workload(behind, 0).lengths
    assert lengths is not None
    counts = batches.sequences(behind)
    assert sum(counts) == lengths.sum()
    assert counts[0] == behind.batch
    assert list(counts) == sorted(counts, reverse=True)
    assert batches.sequences(front) == (front.batch,) * front.steps
    assert batches.flops(behind) < batches.flops(front)


@pytest.mark.parametrize(
    ("task", "options", "words"),
    [
        ("custom", {"lengths": "own"}, "no lengths of their own"),
        ("custom", {"padding": "front"}, "expected --lengths beside --padding"),
    ],
)
def test_what_means_nothing_is_refused(task: str, options: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        list(workloads(request(task, **options)))


# Variants


def test_a_variant_without_lengths_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    behind, front = named(lengths="own")
    backend = registry.load("numpy")
    monkeypatch.delattr(type(backend), "supports")
    reason = "numpy does not offer sequences of different lengths"
    assert Case(behind, "numpy").refusal() == ("refused", reason)
    assert Case(front, "numpy").refusal() is None


# The report


def in_views(*measured: tuple[Workload, dict[str, tuple[float, ...]], int | None]) -> Any:
    records: list[Measurement] = []
    about: list[WorkloadRecord] = []
    for workload, seconds, real in measured:
        for variant, values in seconds.items():
            records.append(samples.measurement(variant, samples.rounds(*values), workload=workload))
        about.append(WorkloadRecord(workload=workload, flops=10**9, real_steps=real))
    return views(samples.RUN, records, about)


def with_lengths(padding: str) -> Workload:
    inputs = InputOptions(lengths="own", padding=padding)  # type: ignore[arg-type]
    return msgspec.structs.replace(samples.WORKLOAD, inputs=inputs, overridden=("lengths",))


def steady(seconds: float) -> tuple[float, ...]:
    return tuple(seconds * (1 + 0.001 * k) for k in range(-5, 6))


def test_the_report_tells_for_whom_lengths_pay() -> None:
    behind = {"torch": steady(3e-3), "jax": steady(4e-3), "numpy": steady(2e-3)}
    front = {"torch": steady(1e-3), "jax": steady(8e-3)}
    found = list(
        of_lengths.find(
            in_views((with_lengths("behind"), behind, 2560), (with_lengths("front"), front, None))
        )
    )
    (one,) = found
    assert one.share_of_padding == 0.5  # B 64, T 80
    assert one.seconds_a_real_step("torch") == pytest.approx(3e-3 / 2560)
    verdict = {label: compared.verdict for label, compared in one.comparisons().items()}
    assert verdict == {"torch": "slower", "jax": "faster"}
    assert one.comparisons()["torch"].estimate.ratio == pytest.approx(3, rel=1e-3)
    assert in_words.title(one).endswith("50 % of its B T steps are padding")
    assert in_words.sentences(one) == "Lengths pay for jax. Padding in front is faster for torch."
    lines = in_words.table(one).splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["numpy", "torch", "jax"]
    assert "1.17 µs" in lines[3]
    assert "slower" in lines[3]


def test_lengths_that_were_measured_alone_get_no_ratio() -> None:
    (one,) = of_lengths.find(in_views((with_lengths("behind"), {"torch": steady(3e-3)}, 2560)))
    assert one.comparisons() == {}
    assert "in front" not in in_words.table(one)
    assert in_words.sentences(one) == ""


def test_rounds_of_their_own_are_compared_with_the_scatter_of_both() -> None:
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(200):
        one, other = (np.exp(rng.normal(-7, 0.02) + rng.normal(0, 0.05, 12)) for _ in range(2))
        a, b = (samples.measurement("torch", samples.rounds(*map(float, v))) for v in (one, other))
        # Each process is off by 0.02, their ratio by sqrt(2) as much.
        between = msgspec.structs.replace(verdicts.ASSUMED, deviation=0.02 * 2**0.5)
        low, high = verdicts.unpaired(a, b, between).interval
        inside += low <= 1 <= high
    assert 180 <= inside <= 199

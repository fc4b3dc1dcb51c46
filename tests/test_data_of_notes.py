"""charseq, hello_batch, long_sentence, ramp, multiplication: as their notes have them."""

from __future__ import annotations

import numpy as np
import pytest
from on_numpy import oracle, outputs

from tasks.batch import check_batch
from tasks.charseq import CharSeq
from tasks.hello_batch import OUTPUTS, PARAMS, WORDS, HelloBatch
from tasks.letters import Letters
from tasks.long_sentence import SYMBOLS, TEXT, LongSentence
from tasks.loss import loss
from tasks.multiplication import Multiplication
from tasks.ramp import Ramp
from tasks.spec import Batch, init_params
from tasks.task import Size

HALF_A_DIGIT = 0.5e-4 + 1e-9


# charseq


@pytest.mark.parametrize("text", ["if you want you", "hihello", "ab", "나는 학교에 간다"])
def test_charseq_reads_a_sentence_and_spells_the_rest(text: str) -> None:
    task = CharSeq(text)
    spec, batch = task.spec("source"), task.batch("source", 0)
    letters = sorted(set(text))
    assert task.letters.known == "".join(letters)
    assert batch.x.shape == (1, len(text) - 1, len(letters))
    assert (spec.hidden_size, spec.output_size, spec.cell) == (len(letters), None, "rnn_tanh")
    assert task.spell(batch.x) == [text[:-1]]
    assert task.spell(np.eye(len(letters))[batch.y]) == [text[1:]]


def test_charseq_is_the_notes() -> None:
    task = CharSeq()
    spec = task.spec("source")
    assert (spec.input_size, spec.hidden_size, spec.loss) == (10, 10, "cross_entropy")
    assert task.sizes["source"].steps == 14
    with pytest.raises(ValueError, match="the text is 'a'; expected at least two"):
        CharSeq("a")


def test_charseq_windows_start_anywhere_and_go_on() -> None:
    task = CharSeq()
    many = task.sizes["source"].with_overrides(batch=200, steps=20)
    read = task.spell(task.batch(many, 1).x)
    assert set(read) == {(task.text * 3)[k : k + 20] for k in range(15)}


# hello_batch


@pytest.mark.parametrize(("dtype", "bound"), [("float64", HALF_A_DIGIT), ("float32", 0.51e-4)])
@pytest.mark.parametrize("sizes", [{}, {"batch": 13, "steps": 2}, {"steps": 7}], ids=str)
def test_hello_batch_gives_the_published_outputs(
    sizes: dict[str, int], dtype: str, bound: float
) -> None:
    task = HelloBatch()
    size = task.sizes["source"].with_overrides(**sizes)
    spec, batch = task.spec(size), task.batch(size, 4)
    found = outputs(oracle(task, spec, 9, dtype=dtype), batch)
    assert task.score(found, batch)["difference"] < bound
    assert task.score(found + 2e-4, batch)["difference"] > bound
    assert task.score(found.repeat(2, axis=-1), batch) == {}
    with pytest.raises(ValueError, match=r"outputs are .* expected"):
        task.score(found[:-1], batch)


def test_hello_batch_is_time_first() -> None:
    task = HelloBatch()
    batch = task.batch("source", 0)
    assert batch.x.shape == (5, 3, 4)
    letters = Letters("helo")
    assert ["".join(word) for word in zip(*letters.spell(batch.x), strict=True)] == list(WORDS)
    spec = task.spec("source")
    model = oracle(task, spec, 0)
    np.testing.assert_allclose(outputs(model, batch).swapaxes(0, 1), OUTPUTS, atol=HALF_A_DIGIT)
    batch_first = letters.inputs(np.stack([letters.ids(word) for word in WORDS]), spec)
    other = outputs(model, Batch(batch_first, np.zeros((3, 5), np.int64)))
    assert other.shape == OUTPUTS.shape
    assert np.abs(other - OUTPUTS).max() > 0.1, "batch and time taken for each other"


def test_hello_batch_takes_the_notes_weights_wherever_they_fit() -> None:
    task = HelloBatch()
    for fields in ({}, {"output_size": 7}, {"num_layers": 2}, {"bidirectional": True}):
        found = task.params(task.spec("source", **fields), 3)
        for name, array in PARAMS.items():
            np.testing.assert_array_equal(found[name], array)
    for fields in ({"hidden_size": 3}, {"input_size": 5}, {"cell": "gru"}, {"bias": False}):
        spec = task.spec("source", **fields)
        for name, array in init_params(spec, 3).items():
            np.testing.assert_array_equal(task.params(spec, 3)[name], array)


# long_sentence


def test_long_sentence_is_the_notes() -> None:
    task = LongSentence()
    spec, batch = task.spec("source"), task.batch("source", 0)
    assert (spec.input_size, spec.hidden_size, spec.output_size) == (35, 35, 35)
    assert (spec.loss, spec.time_reduction, spec.cell) == ("mse", "sum", "rnn_tanh")
    assert batch.x.shape == batch.y.shape == (1, 49, 35)
    assert SYMBOLS.spell(batch.x) == [f"0{TEXT}"]
    assert SYMBOLS.spell(batch.y) == [f"{TEXT}1"]


def test_long_sentence_scores_the_notes_loss() -> None:
    task = LongSentence()
    size = task.sizes["source"].with_overrides(batch=3, steps=20)
    spec, batch = task.spec(size), task.batch(size, 2)
    given = np.random.default_rng(0).standard_normal(batch.y.shape)
    assert task.score(given, batch)["loss"] == pytest.approx(loss(spec, given, batch))
    by_hand = ((given - batch.y) ** 2).mean(axis=2).sum(axis=1).mean()
    assert task.score(given, batch)["loss"] == pytest.approx(by_hand)


def test_long_sentence_starts_with_two_biases_as_torch_does() -> None:
    task = LongSentence()
    spec = task.spec("source")
    bias = np.concatenate([task.params(spec, seed)["l0.fwd.b"] for seed in range(50)])
    bound = 1 / np.sqrt(35)
    # The sum of two uniform numbers has twice the variance of one of them.
    assert bound < np.abs(bias).max() <= 2 * bound
    assert bias.var() == pytest.approx(2 * bound**2 / 3, rel=0.1)
    gru = task.spec("source", cell="gru")
    np.testing.assert_array_equal(task.params(gru, 1)["l0.fwd.b"], init_params(gru, 1)["l0.fwd.b"])


def test_long_sentence_free_run_reads_its_own_outputs() -> None:
    task = LongSentence()
    read: list[np.ndarray] = []

    def echo(x: np.ndarray) -> np.ndarray:
        """The next symbol of the sentence, faintly: the raw numbers come back as they are."""
        read.append(x)
        return 0.25 * np.eye(35)[SYMBOLS.ids(TEXT[len(read) - 1])][None]

    assert task.free_run(echo) == TEXT
    assert SYMBOLS.spell(read[0]) == ["0"]
    np.testing.assert_array_equal(read[1], 0.25 * np.eye(35)[SYMBOLS.ids("h")][None])


# ramp


def test_ramp_is_the_notes() -> None:
    task = Ramp()
    spec, batch = task.spec("source"), task.batch("source", 0)
    windows = [[i / 10, (i + 1) / 10, (i + 2) / 10, (i + 3) / 10] for i in range(6)]
    np.testing.assert_allclose(batch.x[..., 0], windows, atol=1e-12)
    np.testing.assert_allclose(batch.y, [[(i + 4) / 10] for i in range(6)], atol=1e-12)
    assert (spec.hidden_size, spec.output_size, spec.readout) == (10, 1, "last_step")
    params = task.params(spec, 3)
    np.testing.assert_allclose(
        params["l0.fwd.W_hh"] @ params["l0.fwd.W_hh"].T, np.eye(10), atol=1e-12
    )
    assert not params["b_y"].any()


def test_ramp_predicts_as_many_numbers_as_are_asked() -> None:
    task = Ramp()
    size = task.sizes["source"].with_overrides(batch=3, steps=5, input=2)
    batch = task.batch(size, 0, task.spec(size, output_size=4))
    line = np.concatenate([batch.x[..., 0], batch.y], axis=1)
    np.testing.assert_allclose(np.diff(line, axis=1), 0.1, atol=1e-12)
    np.testing.assert_allclose(line[:, 0], [0.0, 0.1, 0.2], atol=1e-12)
    assert not batch.x[..., 1].any()


# multiplication


def test_multiplication_is_the_notes() -> None:
    task = Multiplication()
    spec = task.spec("source")
    train, held_out = task.split(3)
    assert (train.x.shape, held_out.x.shape) == ((2048, 100, 2), (512, 100, 2))
    assert (spec.num_layers, spec.hidden_size, spec.output_size) == (2, 30, 1)
    for batch in (train, held_out, task.batch("source", 3)):
        check_batch(spec, batch)
        mark, number = batch.x[..., 0], batch.x[..., 1]
        assert (mark.sum(axis=1) == 2).all()
        assert set(np.unique(mark)) == {0.0, 1.0}
        assert 0 <= number.min() < 0.01 < 0.99 < number.max() < 1
        np.testing.assert_allclose(np.where(mark == 1, number, 1).prod(axis=1), batch.y[:, 0])
    assert not (train.x[:512] == held_out.x).all(axis=(1, 2)).any()
    places = np.argwhere(train.x[..., 0] == 1)[:, 1]
    assert set(places) == set(range(100))
    assert float(((train.y - train.y.mean()) ** 2).mean()) == pytest.approx(0.0486, abs=0.004)


def test_multiplication_repeats_the_product_and_pads_the_columns() -> None:
    task = Multiplication()
    size = Size(4, 2, 5, 3)
    batch = task.batch(size, 0, task.spec(size, output_size=3))
    assert (batch.x[..., 0] == 1).all(), "both steps are marked"
    assert not batch.x[..., 2:].any()
    np.testing.assert_allclose(batch.y, batch.x[..., 1].prod(axis=1, keepdims=True).repeat(3, 1))

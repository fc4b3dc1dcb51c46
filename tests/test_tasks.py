"""The tasks: shapes that fit their models, data that hold what they promise."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from least import least, usual
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tasks import ALL_TASKS, DEFAULT_TASKS, TASKS
from tasks.batch import check_batch
from tasks.hihello import HiHello
from tasks.sentiment import PAD, Sentiment
from tasks.sentiment_grammar import FEELING, REVIEW, REVIEW_WORDS, Language, read_review
from tasks.sin_sequence import SinSequence
from tasks.spec import CELLS, Batch
from tasks.task import ADD_HEAD, Size, Target, Task

ROOT = Path(__file__).resolve().parent.parent
TASK_SIZES = [(task, size) for task in TASKS.values() for size in task.sizes]
IDS = [f"{task.name}-{size}" for task, size in TASK_SIZES]


def digest(batch: Batch) -> str:
    """One hash over the bytes, dtypes and shapes of x and y."""
    parts = [f"{a.dtype}{a.shape}".encode() + a.tobytes() for a in (batch.x, batch.y)]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def fresh_interpreter(code: str, hash_seed: int) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# Every task


def test_names_in_order() -> None:
    assert list(TASKS) == [
        "hihello", "sin_sequence", "sentiment", "charseq", "hello_batch", "long_sentence", "ramp",
        "multiplication", "pos_tagging", "waveform", "copy", "custom",
    ]  # fmt: skip
    assert list(ALL_TASKS) == [name for name in TASKS if name != "custom"]
    assert DEFAULT_TASKS == ("hihello", "sin_sequence", "sentiment")
    assert TASKS["custom"].target is None
    assert all(task.name == name for name, task in TASKS.items())


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_unknown_size_lists_the_known(task: Task) -> None:
    for use in (task.spec, lambda size: task.batch(size, 0)):
        with pytest.raises(KeyError, match=f"'huge' is unknown.*{', '.join(task.sizes)}"):
            use("huge")


@pytest.mark.parametrize("bidirectional", [False, True], ids=["uni", "bi"])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("task", "size"), TASK_SIZES, ids=IDS)
def test_batch_fits_spec(task: Task, size: str, cell: str, bidirectional: bool) -> None:
    spec = task.spec(size, cell=cell, bidirectional=bidirectional)
    batch = task.batch(size, 3, spec)
    check_batch(spec, batch)
    check_batch(task.spec(size), task.batch(size, 3))
    wanted = task.sizes[size]
    assert (spec.cell, spec.bidirectional) == (cell, bidirectional)
    assert (spec.input_size, spec.hidden_size) == (wanted.input, wanted.hidden)
    assert spec.num_layers == wanted.layers
    assert batch.x.shape[:2] == (wanted.batch, wanted.steps)
    assert {batch.x.dtype.name, batch.y.dtype.name} <= {"float64", "int64"}


@pytest.mark.parametrize("overrides", [
    {"batch": 1}, {"batch": 3}, {"steps": 1}, {"steps": 2}, {"steps": 37}, {"input": 7},
    {"hidden": 1}, {"hidden": 2}, {"hidden": 3}, {"hidden": 5}, {"hidden": 10}, {"layers": 3},
    {"batch": 5, "steps": 3, "input": 10, "hidden": 10, "layers": 2},
])  # fmt: skip
@pytest.mark.parametrize(("task", "size"), TASK_SIZES, ids=IDS)
def test_any_size_fits(task: Task, size: str, overrides: dict[str, int]) -> None:
    allowed = {name: max(value, least(task.name, name)) for name, value in overrides.items()}
    wanted = task.sizes[size].with_overrides(**allowed)
    for fields in ({}, {"bidirectional": True}, {"bidirectional": True, "hidden_size": 4}):
        spec = task.spec(wanted, **fields)
        batch = task.batch(wanted, 1, spec)
        check_batch(spec, batch)
        assert batch.x.shape[:2] == (wanted.batch, wanted.steps)


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_overrides_reach_the_spec(task: Task) -> None:
    overrides = {
        "cell": "gru", "hidden_size": 9, "num_layers": 3, "bias": False, "dropout": 0.25,
        "time_reduction": "sum", "input_size": 60, "output_size": 50,
    }  # fmt: skip
    spec = task.spec(usual(task), **overrides)
    assert {name: getattr(spec, name) for name in overrides} == overrides
    assert task.spec(usual(task)).cell == ("lstm" if task.name == "custom" else "rnn_tanh")
    with pytest.raises(TypeError, match="hiden_size"):
        task.spec(usual(task), hiden_size=9)


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_seed_decides_the_batch(task: Task) -> None:
    size = usual(task)
    assert digest(task.batch(size, 5)) == digest(task.batch(size, 5))
    assert digest(task.batch(size, 5)) == digest(task.batch(size.name, 5))
    # The notes of some have a single batch.
    single = task.name in ("charseq", "hello_batch", "long_sentence", "ramp")
    assert len({digest(task.batch(size, seed)) for seed in range(4)}) == (1 if single else 4)


def test_another_process_makes_the_same_batches() -> None:
    code = (
        "import sys; sys.path.insert(0, 'tests')\n"
        "from test_tasks import TASK_SIZES, digest\n"
        "print(*(digest(task.batch(size, 11)) for task, size in TASK_SIZES))"
    )
    here = " ".join(digest(task.batch(size, 11)) for task, size in TASK_SIZES)
    assert fresh_interpreter(code, 1) == here
    assert fresh_interpreter(code, 2) == here


def test_tasks_import_numpy_alone() -> None:
    code = (
        "import sys, numpy\n"
        "before = set(sys.modules)\n"
        "import tasks\n"
        "from tasks.loss import loss\n"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(*sorted(new - set(sys.stdlib_module_names)))"
    )
    assert fresh_interpreter(code, 0) == "tasks"


@pytest.mark.parametrize("name", DEFAULT_TASKS)
def test_perfect_outputs_reach_the_target(name: str) -> None:
    task = TASKS[name]
    assert isinstance(task.target, Target)
    batch = task.batch("base", 2)
    spec = task.spec("base")
    perfect = batch.y if spec.loss == "mse" else np.eye(spec.logit_size)[batch.y]
    worst = batch.y + 1.0 if spec.loss == "mse" else -perfect
    sign = 1 if task.target.larger_is_better else -1
    assert sign * task.score(perfect, batch)[task.target.metric] >= sign * task.target.threshold
    assert sign * task.score(worst, batch)[task.target.metric] < sign * task.target.threshold
    with pytest.raises(ValueError, match=r"outputs are .* expected"):
        task.score(perfect[:-1], batch)


@pytest.mark.parametrize("name", DEFAULT_TASKS)
def test_only_the_source_has_no_head(name: str) -> None:
    task = TASKS[name]
    assert [size for size in task.sizes if task.spec(size).output_size is None] == ["source"]
    assert TASKS["custom"].spec("base").output_size == 10


@pytest.mark.parametrize("field", sorted(ADD_HEAD - {"output_size"}))
@pytest.mark.parametrize("name", DEFAULT_TASKS)
def test_at_source_an_override_adds_the_head_whatever_its_value(name: str, field: str) -> None:
    task = TASKS[name]
    values = {
        "cell": CELLS, "hidden_size": range(1, 13), "num_layers": range(1, 5),
        "bidirectional": (False, True),
    }[field]  # fmt: skip
    heads = {task.spec("source", **{field: value}).output_size for value in values}
    assert heads == {{"hihello": 5, "sin_sequence": 1, "sentiment": 3}[name]}
    assert getattr(task.spec("source"), field) in values, "one of them is the default itself"
    if field in ("hidden_size", "num_layers"):
        number = field.removeprefix("num_").removesuffix("_size")
        sizes = [task.sizes["source"].with_overrides(**{number: value}) for value in values]
        assert {task.spec(size).output_size for size in sizes} == heads


@pytest.mark.parametrize("name", DEFAULT_TASKS)
def test_at_source_other_overrides_add_no_head(name: str) -> None:
    task = TASKS[name]
    for fields in ({"bias": False}, {"dropout": 0.5}, {"input_size": 9}, {"time_reduction": "sum"}):
        assert task.spec("source", **fields).output_size is None, fields
    other = task.sizes["source"].with_overrides(batch=3, steps=5, input=9)
    assert task.spec(other).output_size is None


@pytest.mark.parametrize(("task", "size"), TASK_SIZES, ids=IDS)
def test_no_head_is_given_where_it_is_asked_for(task: Task, size: str) -> None:
    half = max(6, least(task.name, "classes"))
    for fields in ({}, {"cell": "gru"}, {"hidden_size": half, "bidirectional": True}):
        spec = task.spec(size, output_size=None, **fields)
        assert spec.output_size is None
        check_batch(spec, task.batch(size, 1, spec))
    classes, columns = least(task.name, "classes"), max(5, least(task.name, "input"))
    assert task.spec(size, output_size=classes, input_size=columns).output_size == classes


# hihello


def test_hihello_spells_as_in_the_note() -> None:
    task = HiHello()
    batch = task.batch("source", 0)
    assert batch.x.shape == (1, 6, 5)
    assert batch.x.sum(axis=-1).tolist() == [[1.0] * 6]
    assert task.spell(batch.x) == ["hihell"]
    assert task.spell(np.eye(5)[batch.y]) == ["ihello"]
    assert task.spec("source").output_size is None
    assert digest(batch) == digest(task.batch("source", 9))


def test_hihello_windows_start_anywhere_and_go_on() -> None:
    task = HiHello()
    batch = task.batch("base", 4)
    read, said = task.spell(batch.x), task.spell(np.eye(5)[batch.y])
    text = "hihello" * 12
    for x, y in zip(read, said, strict=True):
        assert x + y[-1] in text
        assert x[1:] == y[:-1]
    assert len(set(read)) == 7


def test_hihello_input_width() -> None:
    task = HiHello()
    wide = task.sizes["source"].with_overrides(input=8)
    batch = task.batch(wide, 0)
    np.testing.assert_array_equal(batch.x[..., :5], task.batch("source", 0).x)
    assert not batch.x[..., 5:].any()
    narrow = task.sizes["source"].with_overrides(input=4)
    for use in (task.spec, lambda size: task.batch(size, 0)):
        with pytest.raises(ValueError, match="D is 4; hihello needs at least 5"):
            use(narrow)
    with pytest.raises(ValueError, match=r"expected \(B, T, 5\)"):
        task.spell(np.zeros((1, 6, 4)))


# sin_sequence


def test_sin_sequence_as_in_the_note() -> None:
    task = SinSequence()
    spec, batch = task.spec("source"), task.batch("source", 0)
    assert (spec.num_layers, spec.output_size, spec.logit_size) == (2, None, 10)
    assert batch.x.shape == (1, 20, 1)
    assert batch.y.shape == (1, 20, 10)
    np.testing.assert_allclose(batch.x[0, :, 0], np.sin(np.linspace(0, np.pi, 20)), atol=1e-15)
    for unit in range(10):
        np.testing.assert_array_equal(batch.y[0, :-1, unit], batch.x[0, 1:, 0])
    np.testing.assert_allclose(batch.y[0, -1], np.sin(np.pi * 20 / 19))
    one = task.spec("source", hidden_size=10)
    assert one.output_size == 1
    other = task.batch("source", 0, one)
    np.testing.assert_array_equal(other.x, batch.x)
    np.testing.assert_array_equal(other.y, batch.y[..., :1])


@pytest.mark.parametrize("channels", [1, 3])
def test_sin_sequence_channels_are_independent_sines(channels: int) -> None:
    task = SinSequence()
    size = task.sizes["base"].with_overrides(input=channels)
    batch = task.batch(size, 6, task.spec(size, output_size=channels))
    np.testing.assert_array_equal(batch.y[:, :-1], batch.x[:, 1:])
    # A sine obeys s(t+1) + s(t-1) = 2 cos(w) s(t), with one w a sequence and channel.
    before, now, after = batch.x[:, :-1], batch.x[:, 1:], batch.y[:, 1:]
    cosine = ((after + before) * now).sum(axis=1) / (2 * now**2).sum(axis=1)
    np.testing.assert_allclose(after + before, 2 * cosine[:, None] * now, atol=1e-12)
    period = 2 * np.pi / np.arccos(cosine)
    assert period.shape == (64, channels)
    assert len(np.unique(period.round(9))) == 64 * channels
    assert period.min() >= 10
    assert period.max() <= 50


def test_sin_sequence_predicts_the_first_sine_and_as_many_as_asked() -> None:
    task = SinSequence()
    for size in task.sizes:
        for columns in (1, 2, 5, 12):
            wide = task.sizes[size].with_overrides(input=columns, hidden=7)
            spec = task.spec(wide)
            assert (spec.input_size, spec.output_size) == (columns, 1)
            batch = task.batch(wide, 3, spec)
            np.testing.assert_array_equal(batch.y[:, :-1], batch.x[:, 1:, :1])
            for outputs in range(1, columns + 1):
                spec = task.spec(wide, output_size=outputs)
                more = task.batch(wide, 3, spec)
                np.testing.assert_array_equal(more.x, batch.x)
                np.testing.assert_array_equal(more.y[:, :-1], batch.x[:, 1:, :outputs])
            with pytest.raises(ValueError, match=rf"{columns + 1} outputs .* D = {columns}; exp"):
                task.spec(wide, output_size=columns + 1)


def test_sin_sequence_without_a_head_every_unit_predicts_the_first_sine() -> None:
    task = SinSequence()
    wide = task.sizes["base"].with_overrides(input=3, batch=2)
    spec = task.spec(wide, output_size=None, hidden_size=4, bidirectional=True)
    batch = task.batch(wide, 3, spec)
    assert batch.y.shape == (2, 100, 8)
    for unit in range(8):
        np.testing.assert_array_equal(batch.y[:, :-1, unit], batch.x[:, 1:, 0])


# sentiment

CONTRASTS = {*REVIEW_WORDS["BUT"], *REVIEW_WORDS["ALTHOUGH"]}


def language(size: str) -> Language:
    return FEELING if size == "source" else REVIEW


def sentences(size: str | Size, seed: int) -> tuple[list[list[str]], list[str]]:
    task = Sentiment()
    batch = task.batch(size, seed)
    texts = [task.decode(row, size).split() for row in batch.x]
    return texts, [task.labels(size)[i] for i in batch.y]


def test_sentiment_vocabulary() -> None:
    task = Sentiment()
    for size in task.sizes:
        words = task.vocabulary(size)
        assert words[0] == PAD
        assert list(words[1:]) == sorted(set(words[1:]))
        assert task.spec(size).vocab_size == len(words)
        assert list(task.labels(size)) == sorted(task.labels(size))
        many = task.sizes[size].with_overrides(batch=600)
        used = {word for text in sentences(many, 0)[0] for word in text}
        assert used == set(words[1:])
    assert len(task.vocabulary("base")) >= 150


@pytest.mark.parametrize("size", Sentiment.sizes)
def test_sentiment_label_follows_from_the_words_in_order(size: str) -> None:
    texts, labels = sentences(Sentiment.sizes[size].with_overrides(batch=2000), 4)
    assert len(texts) == len(labels) == 2000
    for text, label in zip(texts, labels, strict=True):
        assert language(size).read(text) == label, " ".join(text)


@pytest.mark.parametrize("size", Sentiment.sizes)
def test_sentiment_padding_in_front_and_lengths(size: str) -> None:
    task = Sentiment()
    x = task.batch(task.sizes[size].with_overrides(batch=600), 8).x
    real = x != 0
    assert (np.diff(real.astype(int), axis=1) >= 0).all()  # once real, always real
    assert real[:, -1].all()
    lengths = real.sum(axis=1)
    assert lengths.min() == 1
    assert lengths.max() >= task.sizes[size].steps - 3
    assert len(np.unique(lengths)) > task.sizes[size].steps * 0.4


def test_sentiment_fits_very_long_sentences() -> None:
    x = Sentiment().batch(Size(2, 20_000, 8, 8), 1).x
    assert (x != 0).sum(axis=1).max() > 5000


@pytest.mark.parametrize(("size", "count"), [("source", 3), ("base", 2), ("large", 2)])
def test_sentiment_labels_are_balanced(size: str, count: int) -> None:
    task = Sentiment()
    for batch_size in (1, 2, 8, 63, 64):
        y = task.batch(task.sizes[size].with_overrides(batch=batch_size), 3).y
        counts = np.bincount(y, minlength=count)
        assert counts.max() - counts.min() <= 1
    single = task.sizes[size].with_overrides(batch=1)
    assert {int(task.batch(single, seed).y[0]) for seed in range(20)} == set(range(count))


def test_sentiment_has_one_output_per_label() -> None:
    task = Sentiment()
    for hidden in range(1, 13):
        assert task.spec("source", hidden_size=hidden).output_size == len(task.labels("source"))
        assert task.spec("base", hidden_size=hidden).output_size == len(task.labels("base"))
    assert task.spec("large").readout == "last_step"


@pytest.mark.parametrize(("text", "label"), [
    ("not good at all", "dislike"),
    ("good , not bad", "like"),
    ("good and not bad", "like"),
    ("not good and bad", "dislike"),
    ("the food was good but the room was awful", "dislike"),
    ("the room was awful but the food was good", "like"),
    ("although the room was awful , the food was good", "like"),
    ("although the food was good , the room was awful", "dislike"),
    ("the food was good although the room was awful", "like"),
    ("i never enjoy the film though my brother found the plot clever", "dislike"),
])  # fmt: skip
def test_review_read(text: str, label: str) -> None:
    assert read_review(text.split()) == label


def test_meaningless_sentences_are_refused() -> None:
    with pytest.raises(ValueError, match="no opinion that counts"):
        read_review(["although", "good"])
    with pytest.raises(ValueError, match="expected one emotion"):
        FEELING.read(["i", "was", "sad"])


def changed_places(words: list[str]) -> list[str] | None:
    """The review with its two groups of clauses in each other's place; None without a contrast."""
    link = next((i for i, word in enumerate(words) if word in CONTRASTS), None)
    if link is None:
        return None
    if link > 0:  # NO but YES, YES although NO
        return [*words[link + 1 :], words[link], *words[:link]]
    comma = words.index(",")  # although NO , YES
    return [words[0], *words[comma + 1 :], ",", *words[1:comma]]


def test_the_same_words_carry_both_labels() -> None:
    texts, labels = sentences(Size(2000, 80, 64, 128), 1)
    turned = 0
    for text, label in zip(texts, labels, strict=True):
        other = changed_places(text)
        if other is not None:
            assert Counter(other) == Counter(text)
            assert {label, read_review(other)} == {"like", "dislike"}, " ".join(other)
            turned += 1
    assert turned > 1200


@pytest.mark.parametrize(("size", "bound"), [("base", 0.6), ("source", 0.75)])
def test_a_bag_of_words_does_not_tell_the_label(size: str, bound: float) -> None:
    """The target is 0.95: what reaches it has read the order of the words."""
    task = Sentiment()
    many = task.sizes[size].with_overrides(batch=3000)
    train, held_out = task.batch(many, 1), task.batch(many, 2)
    assert task.target.threshold == 0.95
    assert bag_of_words_accuracy(train, held_out, task, size) < bound


def test_the_bag_of_words_model_can_learn() -> None:
    """Sentences of one word need no order: the model that fails above solves them."""
    task = Sentiment()
    single = Size(2000, 1, 8, 8)
    assert bag_of_words_accuracy(task.batch(single, 1), task.batch(single, 2), task, single) == 1.0


def bag_of_words_accuracy(
    train: Batch, held_out: Batch, task: Sentiment, size: str | Size
) -> float:
    """Held-out accuracy of a logistic regression on how often each word occurs."""
    words = len(task.vocabulary(size))
    seen, unseen = ([np.bincount(row, minlength=words) for row in b.x] for b in (train, held_out))
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return float(model.fit(seen, train.y).score(unseen, held_out.y))

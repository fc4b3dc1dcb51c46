"""pos_tagging, waveform, copy: what a batch means, decoded again."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from tasks import pos_tagging, waveform
from tasks.batch import step_weight
from tasks.copy import LETTERS, Copy
from tasks.inputs import InputOptions, make_batch
from tasks.loss import loss, step_losses
from tasks.pos_tagging import PosTagging
from tasks.waveform import Waveform

# pos_tagging


def by_hand(words: list[str]) -> list[str]:
    """The tags of words, read from the left."""
    tags: list[str] = []
    for word in words:
        before = tags[-1] if tags else ""
        if before == "conjunction":
            tags.append(tags[-2])
        elif word in ("i", "they", "we", "you"):
            tags.append("pronoun")
        elif word == "and":
            tags.append("conjunction")
        elif before == "pronoun":
            tags.append("verb")
        elif word in ("after", "at", "before", "for", "in", "like", "with"):
            tags.append("preposition")
        else:
            tags.append("noun")
    return tags


def test_pos_tagging_reads_the_notes_sentence() -> None:
    task = PosTagging()
    batch = task.batch("source", 0)
    assert task.decode(batch.x[0]) == "i work at google"
    assert task.tags(batch.y[0]) == ["pronoun", "verb", "preposition", "noun"]
    assert Counter(batch.x[0].tolist()) == Counter(batch.x[1].tolist())
    both = {task.decode(batch.x[0, [place]]) for place in (1, 3)}
    assert both == {task.decode(batch.x[1, [place]]) for place in (1, 3)} == {"work", "google"}
    longer = task.batch(task.sizes["source"].with_overrides(steps=6, batch=5), 0)
    assert task.decode(longer.x[1]).startswith("i google at work ")


@pytest.mark.parametrize("size", PosTagging.sizes)
def test_pos_tagging_tags_follow_from_what_came_before(size: str) -> None:
    task = PosTagging()
    batch = task.batch(task.sizes[size].with_overrides(batch=300), 5)
    seen: Counter[tuple[str, str]] = Counter()
    for x, y in zip(batch.x, batch.y, strict=True):
        words, tags = task.decode(x).split(), task.tags(y)
        assert tags == by_hand(words)
        seen.update(zip(words, tags, strict=True))
    assert {word for word, _ in seen} == set(pos_tagging.VOCABULARY[1:])
    assert {tag for word, tag in seen if word == "work"} == {"noun", "verb"}
    assert {tag for word, tag in seen if word == "like"} == {"preposition", "verb"}


def test_pos_tagging_needs_more_than_the_word_before() -> None:
    """The most frequent tag of a word, and of a word after another, miss the target."""
    task = PosTagging()
    assert task.target is not None
    many = task.sizes["base"].with_overrides(batch=2000)
    train, held_out = task.batch(many, 1), task.batch(many, 2)
    for reach, most in ((0, 0.85), (1, task.target.threshold)):
        counts: dict[tuple[int, ...], Counter[int]] = {}
        for x, y in zip(train.x, train.y, strict=True):
            for step in range(len(x)):
                words = tuple(x[max(0, step - reach) : step + 1])
                counts.setdefault(words, Counter())[int(y[step])] += 1
        right = [
            counts[words].most_common(1)[0][0] == y[step]
            for x, y in zip(held_out.x, held_out.y, strict=True)
            for step in range(len(x))
            if (words := tuple(x[max(0, step - reach) : step + 1])) in counts
        ]
        assert 0.5 < np.mean(right) < most


# waveform


def test_waveform_reads_one_vector_and_writes_the_wave() -> None:
    task = Waveform()
    for size in task.sizes:
        for columns in (1, 2, 5, 13):
            wide = task.sizes[size].with_overrides(input=columns)
            batch = task.batch(wide, 3, task.spec(wide, output_size=2))
            assert not batch.x[:, 1:].any()
            assert 0.5 < np.abs(batch.x[:, 0]).max() <= 1
            np.testing.assert_array_equal(batch.y[..., 0], batch.y[..., 1])
            # The wave is linear in the vector: the sines come back from the batch.
            sines, *_ = np.linalg.lstsq(batch.x[:, 0], batch.y[..., 0], rcond=None)
            np.testing.assert_allclose(sines, waveform.sines(columns, wide.steps), atol=1e-9)


def test_waveform_sines_have_their_periods() -> None:
    found = waveform.sines(4, 200) * 2
    before, now, after = found[:, :-2], found[:, 1:-1], found[:, 2:]
    cosine = ((after + before) * now).sum(axis=1) / (2 * now**2).sum(axis=1)
    np.testing.assert_allclose(after + before, 2 * cosine[:, None] * now, atol=1e-12)
    period = 2 * np.pi / np.arccos(cosine)
    assert (np.diff(period) < 0).all()
    np.testing.assert_allclose(period[[0, -1]], [50, 10])


# copy


@pytest.mark.parametrize("steps", [2, 3, 8, 9, 100])
def test_copy_writes_in_the_blanks_what_it_read(steps: int) -> None:
    task = Copy()
    size = task.sizes["base"].with_overrides(steps=steps, batch=7)
    spec, batch = task.spec(size), task.batch(size, 4)
    read, written = LETTERS.spell(batch.x), LETTERS.spell(np.eye(len(LETTERS))[batch.y])
    assert batch.weight is not None
    for x, y, weight in zip(read, written, batch.weight, strict=True):
        letters, count = x.rstrip("_"), steps // 2
        assert len(letters) == count
        assert "_" not in letters
        assert y == letters.rjust(steps, "_")
        assert weight.tolist() == [0.0] * (steps - count) + [1.0] * count
    given = np.random.default_rng(1).standard_normal((7, steps, 9))
    each = step_losses(spec, given, batch)
    assert loss(spec, given, batch) == pytest.approx(each[:, steps - steps // 2 :].mean())


def test_copy_scores_the_answers_alone() -> None:
    task = Copy()
    batch = task.batch("source", 0)
    right = np.eye(9)[batch.y]
    blank = np.eye(9)[np.zeros_like(batch.y)]
    answers = batch.weight.astype(bool)[..., None]  # type: ignore[union-attr]
    assert task.score(np.where(answers, right, -right), batch) == {"accuracy": 1.0}
    assert task.score(np.where(answers, blank, right), batch) == {"accuracy": 0.0}


def test_what_options_add_keeps_the_weight_of_the_answers() -> None:
    task = Copy()
    size = task.sizes["base"].with_overrides(steps=20)
    spec, plain = task.spec(size), task.batch(size, 3)
    assert plain.weight is not None
    weighted = make_batch(task, size, spec, InputOptions(weighted=True), 3)
    assert weighted.weight is not None
    assert not weighted.weight[plain.weight == 0].any()
    assert len(np.unique(weighted.weight)) > 100
    behind = make_batch(task, size, spec, InputOptions(lengths="uniform"), 3)
    front = make_batch(task, size, spec, InputOptions(lengths="uniform", padding="front"), 3)
    kept = step_weight(behind)
    assert behind.lengths is not None
    assert kept is not None
    assert front.weight is not None
    for row, length in enumerate(behind.lengths):
        np.testing.assert_array_equal(kept[row, :length], plain.weight[row, :length])
        assert not kept[row, length:].any()
        np.testing.assert_array_equal(front.weight[row, 20 - length :], plain.weight[row, :length])
        assert not front.weight[row, : 20 - length].any()

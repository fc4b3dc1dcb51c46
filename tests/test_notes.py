"""The experiments of the notes: what they find, and how that is shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from commands import rnnbench

from bench import ROOT
from bench.measurement.gradient_norms import norms, of_inputs
from bench.notes import multiplication, page
from bench.notes.experiments import EXPERIMENTS
from bench.notes.found import Found, Row
from bench.workers.pool import silent
from tasks.multiplication import Multiplication
from tasks.spec import Batch, ModelSpec, init_params


def found(name: str, seeds: int) -> Found:
    return EXPERIMENTS[name].run(seeds, silent)


def test_a_number_lies_among_ours_or_not() -> None:
    ours = {"RNN": (1.0, 3.0, 2.0), "LSTM": (9.0, 9.0, 9.0)}
    inside, outside = Row("a", 2.5, ours), Row("b", 3.5, ours)
    assert (inside.inside, outside.inside) == (True, False)
    both = Found("ramp", 3, (inside, outside, Row("c", None, ours)))
    assert both.outside == [outside]
    assert page.table(both) == [
        ("", "the note", "RNN", "LSTM"),
        ("a", "2.5", "2 (1 to 3)", "9 (9 to 9)"),
        ("b", "3.5 (outside)", "2 (1 to 3)", "9 (9 to 9)"),
        ("c", "-", "2 (1 to 3)", "9 (9 to 9)"),
    ]


def test_the_gradient_by_a_step_is_that_of_central_differences() -> None:
    spec = ModelSpec("lstm", 2, 3, readout="last_step", output_size=1, loss="mse")
    rng, params = np.random.default_rng(0), init_params(spec, 0)
    x, y = rng.standard_normal((1, 4, 2)), rng.standard_normal((1, 1))

    def loss(given: np.ndarray) -> float:
        from bench.correctness.oracle import run_oracle

        return float(run_oracle(spec, params, Batch(given, y), "float64")["loss"])

    each = np.zeros_like(x)
    for place in np.ndindex(*x.shape):
        step = np.zeros_like(x)
        step[place] = 1e-6
        each[place] = (loss(x + step) - loss(x - step)) / 2e-6
    by_hand = np.sqrt((each**2).sum(axis=(0, 2)))[::-1]
    np.testing.assert_allclose(of_inputs(spec, params, Batch(x, y)), by_hand, rtol=1e-6)


def test_gradients_of_random_inputs_are_as_before() -> None:
    spec = Multiplication().spec("source")
    assert norms(spec, 20).shape == (20,)
    assert norms(spec, 20)[-1] < norms(spec, 20)[0]


def test_ramp_predicts_what_the_note_prints() -> None:
    assert not found("ramp", 20).outside


def test_gradients_vanish_with_the_distance_in_every_cell() -> None:
    for row in found("gradients", 3).rows[-1:]:
        for values in row.ours.values():
            assert max(values) < 0.1


def test_an_epoch_of_multiplication_is_scored_on_other_sequences() -> None:
    ((loss, held_out),) = multiplication.trained("rnn_tanh", 0, 1)
    assert 0.04 < held_out < 0.09, "predicting the mean gives 0.049"
    assert 0.04 < loss < 0.2
    assert loss != held_out


@pytest.mark.slow
def test_every_printed_loss_of_the_long_sentence_lies_among_ours() -> None:
    assert not found("long_sentence", 20).outside


def test_the_command_prints_a_table(tmp_path: Path) -> None:
    code, output = rnnbench("notes", "gradients", "--seeds=2")
    assert code == 0, output
    assert "gradient at a distance of 99 steps" in output
    code, output = rnnbench("notes", "nope")
    assert code == 2
    assert "long_sentence, ramp, gradients" in output
    code, output = rnnbench("notes", "ramp", f"--write={tmp_path}")
    assert code == 2
    assert "expected no NAME" in output


def test_the_page_has_each_experiment_with_its_command_and_figure() -> None:
    text = (ROOT / "docs" / "notes.md").read_text()
    for name, experiment in EXPERIMENTS.items():
        seeds = multiplication.SEEDS if experiment.long else 20
        assert f"    rnnbench notes {name} --seeds={seeds}\n" in text
        assert f"(notes/{name}.svg)" in text
        assert (ROOT / "docs" / "notes" / f"{name}.svg").stat().st_size > 5000
    assert "(outside)" not in text

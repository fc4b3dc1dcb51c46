"""What the notes train, again: each over several seeds, with the initialisation of its framework.

The notes give no seed, so their numbers are one draw; they should lie among ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from backends import registry
from bench.measurement.gradient_norms import of_inputs
from bench.notes.found import Found, Row, Text, banded, median_and_ends
from bench.notes.multiplication import multiplication
from bench.notes.position import position
from bench.report.figures.figure import SHORT, Axis, Figure, Panel, Series
from bench.workers.pool import Progress
from tasks.batch import carried
from tasks.long_sentence import TEXT, LongSentence
from tasks.multiplication import Multiplication
from tasks.ramp import UNSEEN, Ramp, windows
from tasks.spec import CELLS, Batch, ModelSpec
from tasks.task import Task, start_params

SEEDS = 20

# Of the character note, after so many epochs; 0 is before the first update.
PRINTED_LOSSES = {0: 2.5141, 10: 1.6394, 40: 1.1483, 100: 0.7463, 200: 0.3597, 250: 0.2556}
PRINTED_TEXT = "hello pytollrrow ol  ow ro  ol  ol rol rl  ol eo"
EPOCHS = 1000
SHOWN_TEXTS = 3  # of each cell
DISTANCES = (0, 10, 25, 50, 99)


@dataclass(frozen=True)
class Experiment:
    """One experiment of a note, and what the note says of it."""

    title: str
    about: str
    seen: str  # what came out
    run: Callable[[int, Progress], Found]
    long: bool = False  # takes minutes: only where it is named, and for the page


def long_sentence(seeds: int, progress: Progress) -> Found:
    """The loss while a vanilla RNN learns one sentence, and what it writes; an LSTM beside it."""
    task = LongSentence()
    batch = task.batch("source", 0)
    curves: dict[str, list[list[float]]] = {}
    texts = [Text("the note", PRINTED_TEXT)]
    correct: dict[str, list[float]] = {}
    cells: Mapping[str, str] = {"RNN": "rnn_tanh", "LSTM": "lstm"}
    for name, cell in cells.items():
        spec = task.spec("source", cell=cell)
        for seed in range(seeds):
            model = _built(task, spec, seed)
            placed = model.place(batch)
            losses = [_loss(model, placed) for _ in range(EPOCHS)]
            written = task.free_run(_advance(model, spec))
            curves.setdefault(name, []).append(losses)
            correct.setdefault(name, []).append(_correct(written))
            if seed < SHOWN_TEXTS:
                texts.append(Text(f"{name}, seed {seed}", written))
            progress(f"{name}, seed {seed}: loss {losses[-1]:.4f}, writes {written!r}")
    rows = [
        Row(
            f"loss after {epoch} epochs" if epoch else "loss at the start",
            printed,
            {name: tuple(each[epoch] for each in of_cell) for name, of_cell in curves.items()},
        )
        for epoch, printed in PRINTED_LOSSES.items()
    ]
    rows.append(
        Row(
            "letters of its own before the first wrong one",
            float(_correct(PRINTED_TEXT)),
            {name: tuple(values) for name, values in correct.items()},
        )
    )
    return Found("long_sentence", seeds, tuple(rows), tuple(texts), _loss_figure(curves))


def _built(task: Task, spec: ModelSpec, seed: int) -> Any:
    """The task's net in float32, ready to train."""
    assert task.target is not None
    params = start_params(task, spec, seed)
    return registry.oracle().build(
        spec, params, device="cpu", dtype="float32", optimizer=task.target.optimizer
    )


def _loss(model: Any, placed: Any) -> float:
    """That before an update, which it makes."""
    return float(model.to_host(model.train_step(placed))["loss"])


def _advance(model: Any, spec: ModelSpec) -> Callable[[np.ndarray], np.ndarray]:
    """One step of a net: an input (1,1,D) to outputs (1,1,C); it keeps the state."""
    state: dict[str, np.ndarray] = {}

    def advance(x: np.ndarray) -> np.ndarray:
        host = model.to_host(model.forward(model.place(Batch(x, x, state=dict(state) or None))))
        state.update(carried(spec, host))
        return np.array(host["outputs"])

    return advance


def _correct(written: str) -> int:
    """How many letters of the sentence come before the first wrong one."""
    return next(
        (n for n, (a, b) in enumerate(zip(written, TEXT, strict=True)) if a != b), len(TEXT)
    )


def _loss_figure(curves: Mapping[str, list[list[float]]]) -> Figure:
    epochs = [0, *(int(epoch) for epoch in np.unique(np.geomspace(1, EPOCHS - 1, 60).astype(int)))]
    shown = [
        banded(name, [epoch + 1.0 for epoch in epochs], np.array(of_cell)[:, epochs])
        for name, of_cell in curves.items()
    ]
    printed = Series(
        "the note",
        tuple(epoch + 1.0 for epoch in PRINTED_LOSSES),
        tuple(PRINTED_LOSSES.values()),
        variant=False,
    )
    panel = Panel(
        "Squared error, summed over 49 steps",
        "lines",
        (*shown, printed),
        Axis("epoch, counted from 1"),
        Axis("loss"),
    )
    return _figure("long_sentence", "The loss while one sentence is learned", panel)


def ramp(seeds: int, progress: Progress) -> Found:
    """What a vanilla RNN predicts of two windows that it was not trained on."""
    task = Ramp()
    assert task.target is not None
    spec = task.spec("source")
    unseen = windows(np.array(list(UNSEEN)), 4, spec)
    predicted = []
    for seed in range(seeds):
        model = _built(task, spec, seed)
        placed = model.place(task.batch("source", 0))
        for _ in range(task.target.steps):
            _loss(model, placed)
        host = model.to_host(model.forward(model.place(unseen)))
        predicted.append(np.array(host["outputs"])[:, 0])
        progress(f"seed {seed}: {predicted[-1][0]:.3f} and {predicted[-1][1]:.3f}")
    rows = tuple(
        Row(
            f"[{', '.join(f'{x:.1f}' for x in unseen.x[number, :, 0])}], "
            f"truth {unseen.y[number, 0]:.1f}",
            printed,
            {"RNN": tuple(float(each[number]) for each in predicted)},
        )
        for number, printed in enumerate(UNSEEN.values())
    )
    panels = tuple(
        Panel(row.what, "dots", _dots(row, truth), Axis("prediction", log=False))
        for row, truth in zip(rows, unseen.y[:, 0].tolist(), strict=True)
    )
    head = "What follows windows that the net has not seen"
    figure = Figure("ramp.svg", head, head, "learning", (panels,))
    return Found("ramp", seeds, rows, (), figure)


def _dots(row: Row, truth: float) -> tuple[Series, ...]:
    """Ours with their range, that of the note, and the truth."""
    median, low, high = median_and_ends(row.ours["RNN"])
    assert row.printed is not None
    return (
        Series("ours", (median,), (0.0,), (low,), (high,)),
        Series("the note", (row.printed,), (0.0,)),
        Series("truth", (truth,), (0.0,)),
    )


def gradients(seeds: int, progress: Progress) -> Found:
    """How far back a loss at the last step reaches, in the net of the note's `multiplication`."""
    task, found = Multiplication(), {}
    for cell in CELLS:
        spec = task.spec("source", cell=cell)
        each = [
            of_inputs(spec, task.params(spec, seed), task.batch("source", seed, spec))
            for seed in range(seeds)
        ]
        found[SHORT.get(cell, cell.upper())] = np.array([one / one[0] for one in each])
        median, low, high = median_and_ends(tuple(float(one[-1] / one[0]) for one in each))
        progress(f"{cell}: at a distance of 99 steps {median:.1e} ({low:.1e} to {high:.1e})")
    rows = tuple(
        Row(
            f"gradient at a distance of {distance} steps",
            None,
            {name: tuple(map(float, of_cell[:, distance])) for name, of_cell in found.items()},
        )
        for distance in DISTANCES[1:]
    )
    steps = list(map(float, range(1, 101)))
    panel = Panel(
        "Norm of the gradient, relative to that of the last step",
        "lines",
        tuple(banded(name, steps, of_cell) for name, of_cell in found.items()),
        Axis("steps from the loss, the last step is 1", log=False),
        Axis("gradient"),
    )
    figure = _figure("gradients", "How far back a loss reaches", panel)
    return Found("gradients", seeds, rows, (), figure)


def _figure(name: str, head: str, panel: Panel) -> Figure:
    return Figure(f"{name}.svg", head, f"{head}: {panel.title}", "learning", ((panel,),))


EXPERIMENTS: Mapping[str, Experiment] = {
    "long_sentence": Experiment(
        "One sentence, letter by letter",
        "The character note trains a hand-written vanilla RNN of 35 units on one sentence, with "
        "the squared error of the next one-hot vector, and prints its loss. Then the net writes "
        "by itself: it reads its own raw outputs. The nets here start as torch starts that net; "
        "the note trains two biases where one is trained here.",
        "Each of the six printed losses lies among those of our seeds, and within 5 % of their "
        "median. The LSTM starts lower and then learns more slowly, but after 1000 epochs it "
        "writes more of the sentence by itself. A net that reads its own outputs soon reads "
        "what it was never trained on, and does not find back.",
        long_sentence,
    ),
    "ramp": Experiment(
        "The number that follows",
        "The TensorFlow note trains a SimpleRNN of 10 units on six windows of a rising line for "
        "100 epochs, and asks it for two windows that it has not seen.",
        "Both printed predictions lie among ours, and the range of ours is wide: after 100 "
        "epochs at a rate of 0.001 the net has hardly begun to learn, and where it started "
        "decides most. Three printed digits of one such training say little.",
        ramp,
    ),
    "gradients": Experiment(
        "How far back a loss reaches",
        "The TensorFlow note gives vanishing gradients as the reason why its vanilla RNN does "
        "not learn to multiply two numbers among a hundred, and expects more of LSTM and GRU. "
        "This is its net before any training, two layers of 30 units as Keras starts them, on "
        "the note's sequences: the norm of the gradient by the input of each step, relative to "
        "the last step's.",
        "The gradient vanishes in every cell, and before any training it is the vanilla RNN "
        "with tanh that reaches furthest: Keras starts its recurrent weights orthogonal, so "
        "that only tanh shortens the state. A GRU starts by replacing half of its state at each "
        "step; an LSTM keeps more, as its forget bias starts at 1. Yet GRU and LSTM learn to "
        "multiply here, and the vanilla RNN does not (`tasks/multiplication.py`): what counts "
        "is not how far a cell reaches at first, but that it can learn to.",
        gradients,
    ),
    "multiplication": Experiment(
        "Two numbers among a hundred",
        "The TensorFlow note trains that net for a hundred epochs on 2,048 sequences, and finds "
        "that the loss on the 512 held-out ones parts from it. It expects more of GRU and LSTM. "
        "Predicting the mean of all products gives a loss of 0.049.",
        "The vanilla RNN learns its sequences and not the task, as the note finds: its loss falls "
        "to half of that of the mean on what it is trained, and rises above it on what is held "
        "out. GRU and LSTM learn to multiply: both losses fall together, to less than a "
        "fiftieth.",
        multiplication,
        long=True,
    ),
    "position": Experiment(
        "Why a memory",
        "The RNN note begins with a feed-forward net that is told the position of a letter, and "
        "asks what it lacks. Here it reads the letters of hihello, endlessly repeated, beside a "
        "vanilla RNN of as many units. After h comes i or e, and after l comes l or o.",
        "Told the position, the feed-forward net spells hihello as the RNN does. But it has "
        "learned where a letter stands, not what came before: moved, it is lost. Trained from "
        "every letter, its position is worth nothing, and 5 of 7 letters (0.71) are the best "
        "that a net without a memory can do. The RNN has only the first letter to guess, so "
        "that 0.95 is the best to expect.",
        position,
    ),
}

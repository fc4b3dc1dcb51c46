"""Learning to multiply two numbers among a hundred: the loss on what is trained, and held out.

The TensorFlow note trains its vanilla RNN for a hundred epochs and finds that the two losses part.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from backends import registry
from bench.notes.found import Found, Row, banded
from bench.report.figures.figure import Axis, Figure, Panel
from bench.workers.pool import Progress
from tasks.multiplication import EPOCHS, Multiplication
from tasks.task import start_params

SEEDS = 3  # a training of 6,400 updates takes up to four minutes
CELLS: Mapping[str, str] = {"RNN": "rnn_tanh", "GRU": "gru", "LSTM": "lstm"}
SHOWN_EPOCHS = (10, 30, EPOCHS)
TRAINED, HELD_OUT = "trained", "held out"


def multiplication(seeds: int, progress: Progress) -> Found:
    """The mean squared error of each epoch, by cell, at most SEEDS initialisations of each."""
    seeds = min(seeds, SEEDS)
    losses: dict[str, dict[str, np.ndarray]] = {}
    for name, cell in CELLS.items():
        found = []
        for seed in range(seeds):
            found.append(trained(cell, seed, EPOCHS))
            progress(f"{name}, seed {seed}: {found[-1][-1][0]:.4f}, {found[-1][-1][1]:.4f}")
        both = np.array(found)  # (seeds, epochs, 2)
        losses[name] = {TRAINED: both[..., 0], HELD_OUT: both[..., 1]}
    rows = tuple(
        Row(
            f"loss of epoch {epoch}, {part}",
            None,
            {name: tuple(map(float, of[part][:, epoch - 1])) for name, of in losses.items()},
        )
        for epoch in SHOWN_EPOCHS
        for part in (TRAINED, HELD_OUT)
    )
    epochs = list(map(float, range(1, EPOCHS + 1)))
    panels = tuple(
        Panel(
            name,
            "lines",
            tuple(banded(part, epochs, values) for part, values in of.items()),
            Axis("epoch", log=False),
            Axis("mean squared error"),
        )
        for name, of in losses.items()
    )
    head = "Learning to multiply: what is trained, and what is held out"
    figure = Figure("multiplication.svg", head, head, "learning", (panels,))
    return Found("multiplication", seeds, rows, (), figure)


def trained(cell: str, seed: int, epochs: int) -> list[tuple[float, float]]:
    """After each epoch: the mean loss of its updates, and that of the held-out sequences."""
    task = Multiplication()
    spec = task.spec("source", cell=cell)
    data = task.training("source", 0, spec)
    of_epoch = task.target.steps // EPOCHS
    model: Any = registry.oracle().build(
        spec,
        start_params(task, spec, seed),
        device="cpu",
        dtype="float32",
        optimizer=task.target.optimizer,
    )
    held_out = model.place(data.held_out)
    found = []
    for epoch in range(epochs):
        losses = [
            float(model.to_host(model.train_step(model.place(data.batch(update))))["loss"])
            for update in range(1 + epoch * of_epoch, 1 + (epoch + 1) * of_epoch)
        ]
        outputs = model.to_host(model.forward(held_out))["outputs"]
        found.append((float(np.mean(losses)), task.score(outputs, data.held_out)["mse"]))
    return found

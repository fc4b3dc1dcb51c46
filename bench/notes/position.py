"""Why a net needs a memory: a feed-forward net that is told the position, and an RNN.

The RNN note begins with the feed-forward net. One that reads each step alone is a vanilla RNN that
takes a single step from a state of zeros, so the same backend computes both.
"""

from __future__ import annotations

import numpy as np

from backends import registry
from bench.notes.found import Found, Row, median_and_ends
from bench.report.figures.figure import Axis, Figure, Panel, Series
from bench.workers.pool import Progress
from tasks.hihello import HiHello
from tasks.spec import Batch, ModelSpec, OptimizerSpec, init_params

HIDDEN, BATCH, UPDATES = 16, 32, 300
OPTIMIZER = OptimizerSpec("adam", learning_rate=0.01)
NETS = ("feed-forward", "RNN")
LETTERS = 7  # of "hihello", at each of which a window can begin
_UNSEEN = 10**6  # a seed far from those of the updates


def position(seeds: int, progress: Progress) -> Found:
    """The share of next letters that each net predicts, trained on one start or on every start."""
    whats = {
        ("one", "own"): "trained on hihello from its first letter: accuracy there",
        ("one", "any"): "the same net, from any letter",
        ("any", "any"): "trained from any letter: accuracy there",
    }
    ours: dict[str, dict[str, list[float]]] = {what: {} for what in whats.values()}
    for net in NETS:
        for seed in range(seeds):
            for trained in ("one", "any"):
                found = _accuracies(net, seed, 1 if trained == "one" else BATCH)
                for (how, where), what in whats.items():
                    if how == trained:
                        ours[what].setdefault(net, []).append(found[where])
    rows = tuple(
        Row(what, None, {net: tuple(values) for net, values in of_nets.items()})
        for what, of_nets in ours.items()
    )
    for row in rows:
        progress(f"{row.what}: {row.ours}")
    panels = tuple(
        Panel(row.what, "dots", tuple(_dot(*each) for each in row.ours.items()), _ACCURACY)
        for row in rows
    )
    head = "Next letters that are predicted"
    figure = Figure("position.svg", head, head, "learning", tuple((panel,) for panel in panels))
    return Found("position", seeds, rows, (), figure)


_ACCURACY = Axis("accuracy", log=False)


def _dot(net: str, values: tuple[float, ...]) -> Series:
    median, low, high = median_and_ends(values)
    return Series(net, (median,), (0.0,), (low,), (high,))


def _accuracies(net: str, seed: int, batch: int) -> dict[str, float]:
    """Of a net that is trained on batches of so many windows; a single one begins with "h"."""
    alone = net == "feed-forward"
    task = HiHello()
    size = task.sizes["source"]
    letters, steps = size.input, size.steps
    spec = ModelSpec("rnn_tanh", letters + (steps if alone else 0), HIDDEN, output_size=letters)
    model = registry.oracle().build(
        spec, init_params(spec, seed), device="cpu", dtype="float32", optimizer=OPTIMIZER
    )

    def windows(count: int, of: int) -> Batch:
        found = task.batch(size.with_overrides(batch=count), of)
        return _steps_alone(found) if alone else found

    for update in range(UPDATES):
        model.train_step(model.place(windows(batch, 1000 * seed + update)))
    shown = {"own": windows(1, 0), "any": windows(8 * LETTERS, _UNSEEN + seed)}
    return {
        where: task.score(model.to_host(model.forward(model.place(given)))["outputs"], given)[
            "accuracy"
        ]
        for where, given in shown.items()
    }


def _steps_alone(batch: Batch) -> Batch:
    """(B·T,1,D+T): each step as a sequence of its own, with its position, one-hot."""
    size, steps, _ = batch.x.shape
    places = np.broadcast_to(np.eye(steps), (size, steps, steps))
    x = np.concatenate([batch.x, places], axis=-1)
    return Batch(x=x.reshape(size * steps, 1, -1), y=batch.y.reshape(size * steps, 1))

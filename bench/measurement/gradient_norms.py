"""How gradients vanish or explode: their norm against the distance from the loss.

The loss is at the last step. The gradient by the input of an earlier step passes through all later
steps, so it vanishes or explodes with their number. Only the oracle computes it, with a model in
which every step of every sequence reads a token of its own. Then the rows of the embedding's
gradient are the gradients by the inputs of the steps.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from backends import registry
from bench.records.workload import Workload
from tasks.spec import Batch, ModelSpec, Params, init_params, parameter_count

SEQUENCES = 8
MOST_PARAMETERS = 2_000_000  # larger models are left out
MOST_STEPS = 100  # distances beyond are left out


def of_workload(workload: Workload) -> tuple[float, ...]:
    """`norms` of its model, up to MOST_STEPS; empty if the model is too large."""
    if parameter_count(workload.spec) > MOST_PARAMETERS:
        return ()
    return _norms(workload.spec, min(workload.steps, MOST_STEPS))


@lru_cache(maxsize=64)  # all phases of a model share them
def _norms(spec: ModelSpec, steps: int) -> tuple[float, ...]:
    return tuple(norms(spec, steps).tolist())


def norms(spec: ModelSpec, steps: int, seed: int = 0) -> np.ndarray:
    """(T,) 2-norms for T = `steps`, backwards from the last step; random parameters and inputs.

    It uses the cell, sizes and layers of `spec`, forward in time, with parameters of `init_params`.
    A single output gets a second one, because the loss of one class has no gradient.
    """
    tokens = SEQUENCES * steps
    asked = replace(
        spec,
        vocab_size=tokens,
        train_embedding=True,
        bidirectional=False,
        dropout=0.0,
        readout="last_step",
        loss="cross_entropy",
        time_reduction="mean",
    )
    if asked.logit_size < 2:
        asked = replace(asked, output_size=2)
    x = np.arange(tokens).reshape(SEQUENCES, steps)
    batch = Batch(x=x, y=np.arange(SEQUENCES) % asked.logit_size)
    return _by_step(asked, init_params(asked, seed), batch)


def of_inputs(spec: ModelSpec, params: Params, batch: Batch) -> np.ndarray:
    """(T,) 2-norms of the gradients of the loss by x (B,T,D), backwards from the last step."""
    size, steps, inputs = batch.x.shape
    tokens = size * steps
    asked = replace(spec, vocab_size=tokens, train_embedding=True)
    table = {"E": batch.x.reshape(tokens, inputs)}
    given = replace(batch, x=np.arange(tokens).reshape(size, steps))
    return _by_step(asked, table | params, given)


def _by_step(spec: ModelSpec, params: Params, batch: Batch) -> np.ndarray:
    """The same, where every step of every sequence reads a token of its own."""
    model = registry.load("numpy").build(spec, params, device="cpu", dtype="float64")
    gradient = model.to_host(model.bptt(model.place(batch)))["grad.E"]
    by_step = gradient.reshape(*batch.x.shape, -1)
    return np.sqrt(np.square(by_step).sum(axis=(0, 2)))[::-1]

"""How far back a loss is felt: the gradient's size against the distance from the loss.

The loss stands at the last step. BPTT's gradient by the input of a step is what reaches that step
through all the later ones: it vanishes or explodes with their number. Asked of the oracle alone, by
a model in which every step of every sequence reads a token of its own: then the rows of the
embedding's gradient are the gradients by the inputs, step by step.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from backends import registry
from bench.records.workload import Workload
from tasks.spec import Batch, ModelSpec, init_params, parameter_count

SEQUENCES = 8
MOST_PARAMETERS, MOST_STEPS = 2_000_000, 100  # beyond which the oracle is not asked, and not seen


def of_workload(workload: Workload) -> tuple[float, ...]:
    """`norms` of its model, as far back as MOST_STEPS; empty where the model is too large."""
    if parameter_count(workload.spec) > MOST_PARAMETERS:
        return ()
    return _norms(workload.spec, min(workload.steps, MOST_STEPS))


@lru_cache(maxsize=64)  # the phases of a model have the same
def _norms(spec: ModelSpec, steps: int) -> tuple[float, ...]:
    return tuple(norms(spec, steps).tolist())


def norms(spec: ModelSpec, steps: int, seed: int = 0) -> np.ndarray:
    """(T,) 2-norms for T = `steps`, the step of the loss first; random parameters and inputs.

    Of `spec` its cell, sizes and layers are used, forward in time; parameters are `init_params`.
    One with a single output is given a second: the loss of one class has no gradient.
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
    model = registry.load("numpy").build(
        asked, init_params(asked, seed), device="cpu", dtype="float64"
    )
    placed = model.place(batch)
    gradient = model.to_host(model.bptt(placed))["grad.E"]
    by_step = gradient.reshape(SEQUENCES, steps, -1)
    return np.sqrt(np.square(by_step).sum(axis=(0, 2)))[::-1]

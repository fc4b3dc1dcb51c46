"""hello_batch: the forward pass of the Lab-11-1 note, which prints its outputs. Forward alone.

The note makes a net with torch.manual_seed(0); torch.nn.RNN(4, 2). It feeds `hello`, `eolll` and
`lleel`, one-hot over h e l o, as three steps of a batch of five: time first, though it names the
axes batch and sequence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tasks.batch import time_first
from tasks.letters import Letters
from tasks.spec import Batch, ModelSpec, Params, init_params
from tasks.task import Shape, Size, find_size, named, without_head

WORDS = ("hello", "eolll", "lleel")
LETTERS = Letters("helo")
PARAMS: Params = {
    "l0.fwd.W_xh": np.array(
        [
            [-0.005293981172144413, 0.37932288646698, -0.5819807648658752, -0.5203874707221985],
            [-0.27234524488449097, 0.1896158903837204, -0.014010033570230007, 0.5606575012207031],
        ]
    ).T,
    "l0.fwd.W_hh": np.array(
        [
            [-0.06275151669979095, 0.1871093362569809],
            [-0.2136969119310379, -0.13899271190166473],
        ]
    ).T,
    # The one bias of this project is the sum of torch's two.
    "l0.fwd.b": np.array([-0.6755334138870239, -0.4683041572570801])  # b_ih
    + np.array([-0.2914857566356659, 0.026193760335445404]),  # b_hh
}
PRINTED = """
    -0.7497 -0.6135 -0.5282 -0.2473 -0.9136 -0.4269 -0.9136 -0.4269 -0.9028  0.1180
    -0.5753 -0.0070 -0.9052  0.2597 -0.9173 -0.1989 -0.9173 -0.1989 -0.8996 -0.2725
    -0.9077 -0.3205 -0.8944 -0.2902 -0.5134 -0.0288 -0.5134 -0.0288 -0.9127 -0.2222
"""
OUTPUTS = np.array(PRINTED.split(), float).reshape(3, 5, 2)  # (T,B,H)


class HelloBatch:
    """The three words; a larger batch repeats their letters, a longer one the words.

    It is measured in the forward pass alone, because the note trains nothing: the labels y are 0
    and mean nothing.
    """

    name: str = "hello_batch"
    shape: Shape = "many-to-many"
    sizes: Mapping[str, Size] = named(source=Size(batch=5, steps=3, input=4, hidden=2))
    sets: frozenset[str] = frozenset(("vocab_size", "readout", "loss"))
    own_lengths: None = None
    phases: tuple[str, ...] = ("forward",)
    target: None = None

    def spec(self, size: str | Size, **overrides: Any) -> ModelSpec:
        """The model: without a head, as in the note; with the changes of ADD_HEAD C = 4.

        Raises KeyError for an unknown size, ValueError for D < 4.
        """
        size = find_size(self.sizes, size)
        spec = size.model(loss="cross_entropy")
        head = None if without_head(size, overrides) else len(LETTERS)
        spec = replace(spec, **{"output_size": head, **overrides})
        LETTERS.expect_columns(self.name, spec)
        return spec

    def params(self, spec: ModelSpec, seed: int) -> Params:
        """Those of the note, wherever all of them have the shapes of this model; others random."""
        params = init_params(spec, seed)
        fits = all(
            name in params and params[name].shape == value.shape for name, value in PARAMS.items()
        )
        return {**params, **PARAMS} if fits else params

    def batch(self, size: str | Size, seed: int, spec: ModelSpec | None = None) -> Batch:
        """x (B,T,D) float64 one-hot, without the seed; y (B,T) int64 zeros."""
        size = find_size(self.sizes, size)
        ids = np.stack([LETTERS.ids(word) for word in WORDS])
        ids = ids[np.arange(size.steps) % len(WORDS)]
        ids = ids[:, np.arange(size.batch) % len(WORDS[0])]  # (T,B)
        return time_first(LETTERS.inputs(ids, spec or self.spec(size)), np.zeros_like(ids))

    def score(self, outputs: np.ndarray, batch: Batch) -> dict[str, float]:
        """`difference`: the largest one from a printed number, of outputs (B,T,2).

        The note has printed none for outputs of another width, nor for later steps.
        """
        if outputs.shape[:-1] != batch.y.shape:
            raise ValueError(f"outputs are {outputs.shape}; expected {(*batch.y.shape, 'C')}")
        if outputs.shape[-1] != OUTPUTS.shape[-1]:
            return {}
        printed = OUTPUTS[:, np.arange(len(outputs)) % OUTPUTS.shape[1]].swapaxes(0, 1)  # (B,3,2)
        steps = min(outputs.shape[1], len(OUTPUTS))
        off = np.abs(outputs[:, :steps] - printed[:, :steps])
        return {"difference": float(off.max())}

"""long_sentence: read a sentence symbol by symbol, predict the next one-hot vector. Many-to-many.

Source: the character note. Its sentence stands between a start and an end symbol: 49 steps. The
loss is the squared error, mean over the 35 symbols and summed over the steps. At Adam 0.001 the
note prints 2.5141 at the start, 1.6394 after 10 epochs, 1.1483 after 40, 0.7463 after 100, 0.3597
after 200 and 0.2556 after 250. It gives no seed, and it trains two biases where we train one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tasks import metrics
from tasks.letters import Letters
from tasks.spec import Batch, ModelSpec, OptimizerSpec, Params
from tasks.task import Shape, Size, Target, find_size, named

TEXT = "hello pytorch. how long can a rnn cell remember?"
START, END = "0", "1"
SYMBOLS = Letters("abcdefghijklmnopqrstuvwxyz ?!.,:;" + START + END)


class LongSentence:
    """Windows of the endlessly repeated sentence; a batch of one starts at its start symbol.

    The target is the last loss that the note prints. The vanilla RNN of the source size reaches it
    after 214 to 294 updates with 20 of 20 initialisations, and its loss lies around that of the
    note all the way. A bidirectional net sees the answer one step ahead, so use it for timing, not
    learning.
    """

    name: str = "long_sentence"
    shape: Shape = "many-to-many"
    sizes: Mapping[str, Size] = named(
        source=Size(batch=1, steps=len(TEXT) + 1, input=len(SYMBOLS), hidden=len(SYMBOLS))
    )
    sets: frozenset[str] = frozenset(("readout", "loss"))
    own_lengths: None = None
    phases: None = None
    target: Target = Target(
        metric="loss",
        threshold=0.2556,
        optimizer=OptimizerSpec("adam", learning_rate=0.001),
        steps=1000,
        larger_is_better=False,
    )

    def spec(self, size: str | Size, **overrides: Any) -> ModelSpec:
        """The model: C = 35, the symbols.

        Raises KeyError for an unknown size, ValueError for too small a D or V, or too few outputs.
        """
        size = find_size(self.sizes, size)
        spec = size.model(output_size=len(SYMBOLS), loss="mse", time_reduction="sum")
        spec = replace(spec, **overrides)
        SYMBOLS.expect_columns(self.name, spec)
        if spec.logit_size < len(SYMBOLS):
            raise ValueError(
                f"the model has {spec.logit_size} outputs; long_sentence needs at least "
                f"{len(SYMBOLS)}, one per symbol of {SYMBOLS.known!r}"
            )
        return spec

    def params(self, spec: ModelSpec, seed: int) -> Params:
        """As torch initialises the note's net: its b is the sum of two random biases.

        An embedding E (V,D) with room for it starts one-hot.
        """
        params = SYMBOLS.params(spec, seed)
        rng = np.random.default_rng((seed, 1))
        for name in [n for n in params if n.endswith(".b") and f"{n}_hh" not in params]:
            second = rng.uniform(-1.0, 1.0, params[name].shape) / math.sqrt(spec.hidden_size)
            params[name] = params[name] + second
        return params

    def batch(self, size: str | Size, seed: int, spec: ModelSpec | None = None) -> Batch:
        """x (B,T,D) float64 one-hot, or (B,T) int64 ids; y (B,T,C) float64, the next one-hot."""
        size = find_size(self.sizes, size)
        spec = spec or self.spec(size)
        ids = SYMBOLS.windows(START + TEXT + END, size, seed)
        return Batch(
            x=SYMBOLS.inputs(ids[:, :-1], spec), y=np.eye(len(SYMBOLS), spec.logit_size)[ids[:, 1:]]
        )

    def score(self, outputs: np.ndarray, batch: Batch) -> dict[str, float]:
        """Of outputs (B,T,C): `loss`, the note's squared error summed over the steps, and
        `accuracy`, the share of symbols that the argmax predicts.
        """
        found = batch.y.shape[1] * metrics.mse(outputs, batch)
        labels = replace(batch, y=batch.y.argmax(axis=-1))
        return {"loss": found, "accuracy": metrics.accuracy(outputs, labels)}

    def spell(self, outputs: np.ndarray) -> list[str]:
        """The predicted symbols of each sequence, from outputs (B,T,35)."""
        return SYMBOLS.spell(outputs)

    def free_run(self, advance: Callable[[np.ndarray], np.ndarray]) -> str:
        """What a model writes when it reads its own outputs: as long as the sentence.

        `advance` takes one step: an input (1,1,35) to outputs (1,1,35), and keeps the state. As in
        the note, the raw outputs are the next input, not their argmax.
        """
        x = np.eye(len(SYMBOLS))[SYMBOLS.ids(START)[None]]
        written = []
        for _ in TEXT:
            x = advance(x)
            written += SYMBOLS.spell(x)
        return "".join(written)

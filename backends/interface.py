"""The whole contract between a framework and the harness.

A plugin has these members and imports nothing from this project. Arrays are numpy arrays. Names,
shapes, gate orders and equations are those of `tasks.spec`. A member that serves only a refused
phase may be missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from tasks.spec import Batch, ModelSpec, OptimizerSpec, Params

PHASES = ("forward", "bptt", "train_step")
FEATURES = {
    "lengths": "sequences of different lengths",  # Batch.lengths
    "stream": "one step at a time",  # Model.begin, place_input, advance
    "stateful": "training with the state carried from batch to batch",  # Model.begin, train_chunk
}
DTYPES = ("float32", "float64", "tf32", "bfloat16", "float16")


class Backend(Protocol):
    """One variant: one name, one row of a table."""

    name: str

    # Pure members: they import no framework.

    def environment(self, *, threads: int, device: str, dtype: str) -> Mapping[str, str]:
        """The environment variables to set before its worker process starts."""
        ...

    def refusal(self, spec: ModelSpec, *, device: str, dtype: str, phase: str) -> str | None:
        """Why it cannot do this, in a sentence; None if it can."""
        ...

    def optimizer(self, spec: OptimizerSpec) -> OptimizerSpec:
        """What its update really does: `spec` with its own eps placement."""
        ...

    # In the worker only.

    def versions(self) -> Mapping[str, str]:
        """Versions of the distributions that it runs on; imports the framework."""
        ...

    def devices(self) -> Sequence[str]:
        """The devices it can use here: "cpu", "cuda:0", ..."""
        ...

    def build(
        self,
        spec: ModelSpec,
        params: Params,
        *,
        device: str,
        dtype: str,
        optimizer: OptimizerSpec | None = None,
    ) -> Model:
        """A model that holds `params`. Raises ValueError if `refusal` gives a reason."""
        ...

    # Optional and pure; a backend without it goes on working, and is refused where one is asked:
    # supports(feature, spec, *, device, dtype) -> str | None    why it does not offer a feature of
    #     FEATURES; None if it does
    # Optional, in the worker only; None if unknown:
    # threads() -> int | None              the threads that the framework itself uses
    # peak_bytes(device) -> int | None     peak memory on a device since the last build
    # stopwatch(device) -> Any | None      start(), and stop() -> seconds by the device's own events


class Model(Protocol):
    """A built model. The harness calls `sync` inside the timing, after each timed call."""

    def load(self, params: Params) -> None:
        """Untimed. Load new parameters into the same compiled model, and reset the optimizer.

        Earlier results stay unchanged until the next call of a phase.
        """
        ...

    def place(self, batch: Batch) -> Any:
        """Untimed. Copy a batch to the device, nothing else. Several batches are used in turn."""
        ...

    def forward(self, placed: Any) -> Any:
        """Timed. The outputs and every last state, without gradients."""
        ...

    def bptt(self, placed: Any) -> Any:
        """Timed. The loss and the dense gradient of every trainable parameter, through T steps."""
        ...

    def train_step(self, placed: Any) -> Any:
        """Timed. bptt plus one optimizer update in place; returns the loss before the update."""
        ...

    def sync(self, result: Any) -> None:
        """Timed. Return when `result` is computed."""
        ...

    def to_host(self, result: Any) -> dict[str, np.ndarray]:
        """Untimed. The result as numpy arrays.

        forward: outputs (B,T,C) or (B,C), which are hidden states without a head; "l0.fwd.h" (B,H)
        for every layer and direction, for an LSTM also "l0.fwd.c". bptt: loss () and
        "grad.<parameter>". train_step: loss (). advance: outputs (B,C), and the states of the carry
        by the same names as forward; of (None, output) the outputs alone. train_chunk: loss (), and
        the states of the carry.
        """
        ...

    # Of the feature "stream". The harness holds the loop over time, and syncs every step. Inputs
    # are placed in any order, long before they are used, and may be used again; the carries of
    # several streams advance in turn.

    def begin(self, state: Mapping[str, np.ndarray] | None, batch_size: int) -> Any:
        """Untimed. The carry of a new stream of `batch_size` sequences; no input has come yet.

        `state` is that of a Batch, "l0.fwd.h0" (B,H); None: zeros.
        """
        ...

    def place_input(self, x: np.ndarray) -> Any:
        """Untimed. Copy the input of one step to the device: (B,D) float or (B,) int."""
        ...

    def advance(self, carry: Any, x: Any) -> tuple[Any, Any]:
        """Timed. One step of one stream: (its next carry, its output (B,C)).

        A carry is used once: the model may overwrite it. The pair is what `sync` and `to_host` get.
        It stays unchanged until its carry is used.
        """
        ...

    # Of the feature "stateful", beside `begin`.

    def train_chunk(self, placed: Any, carry: Any) -> tuple[Any, Any]:
        """Timed. A train_step of a batch that starts from `carry`: (its result, the next carry).

        The batch's own state is not used. Gradients end at the start of the chunk. The next carry
        are the last states, computed before the update. A carry is used once.
        """
        ...

    def params(self) -> Params:
        """The present parameters by canonical name."""
        ...

    def path(self) -> str:
        """What really ran, read from the framework; called after the last round."""
        ...

"""The whole contract between a framework and the harness, on one screen.

A plugin has these members and imports nothing of this project. Arrays are numpy arrays; names,
shapes, gate orders and equations are `tasks.spec`'s. Members that serve only a phase which the
backend refuses may be absent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from tasks.spec import Batch, ModelSpec, OptimizerSpec, Params

PHASES = ("forward", "bptt", "train_step")
DTYPES = ("float32", "float64", "tf32", "bfloat16")


class Backend(Protocol):
    """One variant, one name, one row of a table."""

    name: str

    # Pure: these import no framework.

    def environment(self, *, threads: int, device: str, dtype: str) -> Mapping[str, str]:
        """Environment variables to set before its worker process starts."""
        ...

    def refusal(self, spec: ModelSpec, *, device: str, dtype: str, phase: str) -> str | None:
        """Why it cannot do this, in a sentence; None if it can."""
        ...

    def optimizer(self, spec: OptimizerSpec) -> OptimizerSpec:
        """What its update really does: the same spec, with its own eps placement."""
        ...

    # In the worker only.

    def versions(self) -> Mapping[str, str]:
        """Versions of what it runs on, by distribution name; imports the framework."""
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
        """A model that holds `params`. Raises ValueError where `refusal` gives a reason."""
        ...

    # Optional, in the worker only; None where it is not known:
    # threads() -> int | None              how many the framework itself uses
    # peak_bytes(device) -> int | None     most memory held on a device since the last build
    # stopwatch(device) -> Any | None      start(), and stop() -> seconds by the device's own events


class Model(Protocol):
    """A built model. The harness calls `sync` inside the timing, after each timed call."""

    def load(self, params: Params) -> None:
        """New parameters into the same compiled model; untimed; resets the optimizer.

        A result that was given before stays what it was until the next call of a phase.
        """
        ...

    def place(self, batch: Batch) -> Any:
        """Host to device, nothing else; untimed. Several placed batches are used in turn."""
        ...

    def forward(self, placed: Any) -> Any:
        """Timed. Outputs and every last state; keeps no gradients."""
        ...

    def bptt(self, placed: Any) -> Any:
        """Timed. Loss and the dense gradient of every trainable parameter, through all T steps."""
        ...

    def train_step(self, placed: Any) -> Any:
        """Timed. bptt and one optimizer update in place; gives the loss before the update."""
        ...

    def sync(self, result: Any) -> None:
        """Return when `result` is computed."""
        ...

    def to_host(self, result: Any) -> dict[str, np.ndarray]:
        """Untimed.

        forward: outputs (B,T,C) or (B,C), hidden states where there is no head; "l0.fwd.h" (B,H)
        for every layer and direction, LSTM also "l0.fwd.c". bptt: loss () and
        "grad.<parameter>". train_step: loss ().
        """
        ...

    def params(self) -> Params:
        """The parameters it holds now, by canonical name."""
        ...

    def path(self) -> str:
        """What really ran, read from the framework; called after the last round."""
        ...

"""Streams: one step of a model at a time, with the state carried from step to step.

The harness alone holds the loop. All inputs are placed before the first is used, in any order.
While the steps run, it is drawn which stream comes next, which of its inputs it gets, and after how
many steps it begins anew. So no program can compute a step ahead, or use what it remembers.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np

from backends.interface import Model
from tasks.spec import Batch

STREAMS = 3  # that advance in turn, where a single batch is placed


class Stream:
    """One stream: its inputs, its carry, and the inputs that it got since it began."""

    def __init__(self, model: StreamedModel, inputs: list[Any], begin: Callable[[], Any]) -> None:
        self._model, self._inputs, self._begin = model, inputs, begin
        self._random = random.Random()
        self._left = 0  # steps until it begins anew
        self._loads = model.loads
        self.given: tuple[Any, Any] | None = None  # carry and input of the next step, if drawn
        self.result: Any = None  # of its last step
        self.path: list[int] = []  # the numbers of its inputs since it began
        self.run = 0  # how often it has begun
        self.ready()

    def ready(self) -> None:
        """Draw the next input, and begin anew if that is due; untimed."""
        if self.given is not None:
            return  # a new stream, whose first input is drawn
        if not self._left or self._loads != self._model.loads:
            # Often through as many steps as there are, and otherwise fewer.
            most = len(self._inputs)
            self._left = most if self._random.random() < 0.5 else self._random.randint(1, most)
            self._loads, self.run, self.path = self._model.loads, self.run + 1, []
            carry = self._begin()
        else:
            carry = self.result[0]
        self._left -= 1
        self.path.append(self._random.randrange(len(self._inputs)))
        self.given = carry, self._inputs[self.path[-1]]

    def again(self) -> tuple[Any, Any]:
        """The same input once more, for steps whose results nobody reads; then it begins anew."""
        self._left = 0
        return self.result[0], self._inputs[self.path[-1]]

    def about(self) -> dict[str, np.ndarray]:
        """Where it is, to stand beside the result of its last step."""
        return {"path": np.array(self.path), "run": np.array(self.run)}


class StreamedModel:
    """A model with one more phase, `stream`, whose placed batches are streams."""

    def __init__(self, model: Model, dtype: np.dtype) -> None:
        """`dtype` is that of the inputs on the host, if they are no token ids."""
        self._model, self._dtype = model, dtype
        self._advance, self._place_input = model.advance, model.place_input
        self._sync, self._to_host = model.sync, model.to_host
        self.loads = 0  # how often parameters were loaded: then every stream begins anew

    def __getattr__(self, member: str) -> Any:
        return getattr(self._model, member)

    def load(self, params: dict[str, np.ndarray]) -> None:
        self._model.load(params)
        self.loads += 1

    def place(self, batch: Batch) -> Stream:
        """A stream of B sequences in step, from the batch's state; its T inputs are placed now."""
        rows, steps = batch.x.shape[:2]
        placed: list[Any] = [None] * steps
        for step in np.random.default_rng().permutation(steps):
            placed[step] = self._model.place_input(np.ascontiguousarray(batch.x[:, step]))
        return Stream(self, placed, lambda: self._model.begin(batch.state, rows))

    def on_host(self, batch: Batch) -> list[np.ndarray]:
        """The inputs of its steps, (B,D) or (B,), as a program would have them."""
        x = batch.x if batch.x.dtype.kind in "iu" else batch.x.astype(self._dtype)
        return [np.ascontiguousarray(x[:, step]) for step in range(x.shape[1])]

    def stream(self, stream: Stream) -> Any:
        """One step: (carry, output)."""
        given = stream.given or stream.again()
        stream.given = None
        stream.result = result = self._advance(*given)
        return result

    def with_transfers(self, stream: Stream, x: np.ndarray) -> None:
        """One step from its input on the host to its output on the host."""
        carry, _ = stream.given or stream.again()
        stream.given = None
        stream.result = self._advance(carry, self._place_input(x))
        self._sync(stream.result)
        self._to_host((None, stream.result[1]))

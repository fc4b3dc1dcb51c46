"""One step at a time in numpy: the buffers of a single step, which all streams share."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from backends.numpy.net import Arrays, Workspace
from tasks.spec import ModelSpec

MakeWorkspace = Callable[[tuple[int, int, bool]], Workspace]  # of Workspace.shape


def states_of(carry: Arrays | None) -> Arrays:
    """Copies of the states of a carry by the names of a result."""
    return {name.removesuffix("0"): state.copy() for name, state in (carry or {}).items()}


class Stepper:
    """A carry holds the states (B,H) by their names in a Batch, and is overwritten."""

    def __init__(self, spec: ModelSpec, dtype: np.dtype, make: MakeWorkspace) -> None:
        self._spec, self._dtype, self._make = spec, dtype, make
        self._work: Workspace | None = None
        self._last: list[tuple[str, np.ndarray]] = []

    def begin(self, state: Mapping[str, np.ndarray] | None, batch_size: int) -> Arrays:
        names = [f"{name}0" for name in self._spec.state_names()]
        if state is not None:
            return {name: np.array(state[name], self._dtype) for name in names}
        shape = batch_size, self._spec.hidden_size
        return {name: np.zeros(shape, self._dtype) for name in names}

    def place_input(self, x: np.ndarray) -> np.ndarray:
        """(B,1,D) or (B,1): a sequence of one step."""
        return np.array(x, np.intp if self._spec.vocab_size is not None else self._dtype)[:, None]

    def advance(self, carry: Arrays, x: np.ndarray) -> tuple[Arrays, np.ndarray]:
        work = self._workspace(len(x))
        work.run(x, carry)
        for name, state in self._last:
            np.copyto(carry[name], state)
        return carry, work.rows.copy()

    def to_host(self, result: tuple[Arrays | None, np.ndarray]) -> Arrays:
        carry, outputs = result
        return {"outputs": outputs.copy()} | states_of(carry)

    def _workspace(self, batch_size: int) -> Workspace:
        if self._work is None or self._work.shape[0] != batch_size:
            self._work = self._make((batch_size, 1, False))
            self._last = [(f"{name}0", state) for name, state in self._work.last_states().items()]
        return self._work

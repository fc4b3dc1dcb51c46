"""How a mutant is made: the numpy backend with one thing changed on the way in, within, or out.

`Mutation` has a hook for each place where a backend can go wrong; what is not given is correct.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from backends.numpy.backend import NumpyBackend
from tasks.spec import Batch, ModelSpec, OptimizerSpec, Params

Host = dict[str, np.ndarray]
Change = Callable[[ModelSpec, str, np.ndarray], np.ndarray]


def _as_it_is(spec: ModelSpec, name: str, array: np.ndarray) -> np.ndarray:
    return array


@dataclass(frozen=True)
class Mutation:
    """What is done to a model's specification, parameters, batches and results."""

    spec: Callable[[ModelSpec], ModelSpec] = lambda spec: spec
    dtype: Callable[[str], str] = lambda dtype: dtype
    optimizer: Callable[[OptimizerSpec], OptimizerSpec] = lambda spec: spec  # declared
    into: Change = _as_it_is  # a parameter on its way in
    out: Change = _as_it_is  # a parameter or gradient on its way out
    batch: Callable[[ModelSpec, Batch], Batch] = lambda spec, batch: batch
    host: Callable[[ModelSpec, Host], Host] = lambda spec, host: host
    within: Callable[[], contextlib.AbstractContextManager[Any]] = contextlib.nullcontext
    model: Callable[[Any], Any] = lambda model: model  # a wrapper around the whole
    ops: Any = np  # what it computes with


class Advanced(NamedTuple):
    """The result of a step of a stream."""

    carry: Any
    output: Any


class Mutated:
    """`backends.interface.Model`, through the hooks of a mutation."""

    def __init__(
        self, mutation: Mutation, spec: ModelSpec, params: Params, build: Callable[..., Any]
    ) -> None:
        self._mutation, self._spec = mutation, spec
        with mutation.within():
            self._correct = build(mutation.spec(spec), self._in(params))

    def _in(self, params: Params) -> Params:
        return {n: self._mutation.into(self._spec, n, np.array(a)) for n, a in params.items()}

    def _out(self, arrays: Mapping[str, np.ndarray]) -> Host:
        def changed(name: str, array: np.ndarray) -> np.ndarray:
            return self._mutation.out(self._spec, name.removeprefix("grad."), array)

        return {name: changed(name, array) for name, array in arrays.items()}

    def load(self, params: Params) -> None:
        self._correct.load(self._in(params))

    def place(self, batch: Batch) -> Any:
        return self._correct.place(self._mutation.batch(self._spec, batch))

    def __getattr__(self, phase: str) -> Any:
        """The phases and the members of a stream, within what is patched."""

        def call(*given: Any) -> Any:
            with self._mutation.within():
                return getattr(self._correct, phase)(*given)

        return call

    def advance(self, carry: Any, x: Any) -> Advanced:
        with self._mutation.within():
            return Advanced(*self._correct.advance(carry, x))

    def sync(self, result: Any) -> None:
        self._correct.sync(result)

    def to_host(self, result: Any) -> Host:
        if isinstance(result, Advanced) or (isinstance(result, tuple) and result[0] is None):
            return self._correct.to_host(result)  # of a stream, which no hook changes
        return self._mutation.host(self._spec, self._out(self._correct.to_host(result)))

    def params(self) -> Params:
        return self._out(self._correct.params())

    def path(self) -> str:
        return "numpy, with one thing changed"


class Mutant(NumpyBackend):
    """`backends.interface.Backend` under the name of what is wrong with it."""

    def __init__(self, name: str, mutation: Mutation) -> None:
        super().__init__(mutation.ops)
        self.name, self._mutation = name, mutation

    def optimizer(self, spec: OptimizerSpec) -> OptimizerSpec:
        return self._mutation.optimizer(spec)

    def build(
        self,
        spec: ModelSpec,
        params: Params,
        *,
        device: str,
        dtype: str,
        optimizer: OptimizerSpec | None = None,
    ) -> Any:
        def build(spec: ModelSpec, params: Params) -> Any:
            own = self._mutation.dtype(dtype)
            model = NumpyBackend.build(
                self, spec, params, device=device, dtype=own, optimizer=optimizer
            )
            return self._mutation.model(model)

        return Mutated(self._mutation, spec, params, build)

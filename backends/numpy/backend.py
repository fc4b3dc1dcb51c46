"""numpy: a hand-written forward pass and BPTT; in float64 it is the oracle."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from backends.features import lacking
from backends.interface import PHASES
from backends.numpy.net import Arrays, Placed, Workspace
from backends.numpy.optimizers import UPDATES
from backends.numpy.scan import reorder
from backends.numpy.stream import Stepper, states_of
from tasks.batch import check_batch
from tasks.spec import Batch, ModelSpec, OptimizerSpec, Params, check_params, param_shapes

DTYPES = ("float32", "float64")

Advanced = tuple[Arrays | None, np.ndarray]  # the result of a step of a stream: carry, output (B,C)


def numpy_backend() -> NumpyBackend:
    """The variant "numpy"."""
    return NumpyBackend()


class NumpyBackend:
    """`backends.interface.Backend`; `ops` replaces functions of numpy, which the oracle needs."""

    name = "numpy"

    def __init__(self, ops: Any = np) -> None:
        self._ops = ops
        if _threadpoolctl_can_tell():
            self.threads = _blas_threads

    def environment(self, *, threads: int, device: str, dtype: str) -> Mapping[str, str]:
        libraries = ("OPENBLAS", "OMP", "MKL", "BLIS")
        counts = {f"{library}_NUM_THREADS": str(threads) for library in libraries}
        return counts | {"VECLIB_MAXIMUM_THREADS": str(threads), "CUDA_VISIBLE_DEVICES": ""}

    def refusal(self, spec: ModelSpec, *, device: str, dtype: str, phase: str) -> str | None:
        if device != "cpu":
            return f"numpy computes only on the cpu, not on {device}"
        if dtype == "bfloat16":
            return "numpy has no bfloat16; it computes in float32 and float64"
        if dtype not in DTYPES:
            return f"numpy has fast products only in {' and '.join(DTYPES)}, not in {dtype}"
        if phase not in PHASES:
            return f"phase {phase!r} is unknown; expected one of {', '.join(PHASES)}"
        return None

    def supports(self, feature: str, spec: ModelSpec, *, device: str, dtype: str) -> str | None:
        return lacking(feature, ("lengths", "stream", "stateful"))

    def optimizer(self, spec: OptimizerSpec) -> OptimizerSpec:
        return spec  # Adam implements both eps placements

    def versions(self) -> Mapping[str, str]:
        return {"numpy": np.__version__}

    def devices(self) -> Sequence[str]:
        return ("cpu",)

    def build(
        self,
        spec: ModelSpec,
        params: Params,
        *,
        device: str,
        dtype: str,
        optimizer: OptimizerSpec | None = None,
    ) -> NumpyModel:
        if reason := self.refusal(spec, device=device, dtype=dtype, phase="forward"):
            raise ValueError(reason)
        return NumpyModel(spec, params, np.dtype(dtype), optimizer, self._ops)


@dataclass(frozen=True)
class Result:
    """The result of the last call, in buffers that the next call of the model overwrites."""

    phase: str
    call: int
    work: Workspace
    loss: np.floating | None = None
    carry: Arrays | None = None  # of train_chunk


class NumpyModel:
    """A `backends.interface.Model`. Parameters and gradients are views of two vectors."""

    def __init__(
        self,
        spec: ModelSpec,
        params: Params,
        dtype: np.dtype,
        optimizer: OptimizerSpec | None,
        ops: Any = np,
    ) -> None:
        self._spec, self._dtype, self._ops = spec, dtype, ops
        shapes = {name: param_shapes(spec)[name] for name in spec.trainable()}
        self._theta, self._values = _flat(shapes, dtype)
        self._gradient, self._gradients = _flat(shapes, dtype)
        if spec.vocab_size is not None and not spec.train_embedding:
            self._values["E"] = np.empty(param_shapes(spec)["E"], dtype)
        self._update = (
            None if optimizer is None else UPDATES[optimizer.name](optimizer, self._theta)
        )
        self._works: dict[bool, Workspace] = {}
        self._rng = np.random.default_rng(0)
        self._stepper = Stepper(spec, dtype, partial(self._new_workspace, keep=False))
        self.begin, self.place_input = self._stepper.begin, self._stepper.place_input
        self.advance = self._stepper.advance
        self._calls = 0
        self.load(params)

    def load(self, params: Params) -> None:
        check_params(self._spec, params)
        for name, value in self._values.items():
            value[...] = reorder(self._spec, name, np.asarray(params[name]), canonical=False)
        if self._update is not None:
            self._update.reset()

    def place(self, batch: Batch) -> Placed:
        check_batch(self._spec, batch)
        integer = self._spec.vocab_size is not None, self._spec.loss == "cross_entropy"
        x, y = (
            np.array(array, np.intp if is_integer else self._dtype)
            for array, is_integer in zip((batch.x, batch.y), integer, strict=True)
        )
        weight = None if batch.weight is None else np.array(batch.weight, self._dtype)
        state = {name: np.array(h, self._dtype) for name, h in (batch.state or {}).items()}
        lengths = None if batch.lengths is None else np.array(batch.lengths, np.intp)
        return Placed(x, y, weight, state, lengths)

    def forward(self, placed: Placed) -> Result:
        work = self._workspace(placed, keep=False)
        work.forward(placed)
        return self._result("forward", work)

    def bptt(self, placed: Placed) -> Result:
        work = self._workspace(placed, keep=True)
        work.forward(placed)
        return self._result("bptt", work, work.backward(placed))

    def train_step(self, placed: Placed) -> Result:
        work, loss = self._updated(placed)
        return self._result("train_step", work, loss)

    def train_chunk(self, placed: Placed, carry: Arrays) -> tuple[Result, Arrays]:
        work, loss = self._updated(replace(placed, state=carry))
        for name, state in work.last_states().items():
            np.copyto(carry[f"{name}0"], state)
        return self._result("train_chunk", work, loss, carry), carry

    def _updated(self, placed: Placed) -> tuple[Workspace, np.floating]:
        """Make one update; the loss before it."""
        if self._update is None:
            raise ValueError(
                "train_step needs an optimizer; build with optimizer=OptimizerSpec(...)"
            )
        work = self._workspace(placed, keep=True)
        work.forward(placed)
        loss = work.backward(placed)
        self._update.step(self._gradient)
        return work, loss

    def sync(self, result: Result | Advanced) -> None:
        """Nothing to wait for: every call returns with its results computed."""

    def to_host(self, result: Result | Advanced) -> Arrays:
        if isinstance(result, tuple):
            return self._stepper.to_host(result)
        if result.call != self._calls:
            raise ValueError(
                f"the buffers of this result, of call {result.call}, hold that of call "
                f"{self._calls}; read a result before the next call"
            )
        if result.phase == "forward":
            return result.work.outputs_and_states()
        host = {"loss": np.array(result.loss)} | states_of(result.carry)
        if result.phase == "bptt":
            gradients = self._canonical(self._gradients)
            host |= {f"grad.{name}": gradient for name, gradient in gradients.items()}
        return host

    def params(self) -> Params:
        return self._canonical(self._values)

    def path(self) -> str:
        masks = " with masks" if any(work.shape[2] for work in self._works.values()) else ""
        return f"numpy ufuncs in place{masks}, products by {_blas()}"

    def _canonical(self, arrays: Arrays) -> Arrays:
        return {
            name: reorder(self._spec, name, arrays[name], canonical=True).copy()
            for name in param_shapes(self._spec)
            if name in arrays
        }

    def _workspace(self, placed: Placed, *, keep: bool) -> Workspace:
        """The buffers for a batch of this shape; reused if the last batch had the same shape."""
        if keep not in self._works or self._works[keep].shape != placed.shape:
            self._works.clear()  # one at a time: training does not keep the buffers of forward
            self._works[keep] = self._new_workspace(placed.shape, keep=keep)
        return self._works[keep]

    def _new_workspace(self, shape: tuple[int, int, bool], *, keep: bool) -> Workspace:
        gradients = self._gradients if keep else None
        return Workspace(self._spec, self._values, gradients, shape, self._rng, self._ops)

    def _result(
        self,
        phase: str,
        work: Workspace,
        loss: np.floating | None = None,
        carry: Arrays | None = None,
    ) -> Result:
        self._calls += 1
        return Result(phase, self._calls, work, loss, carry)


def _flat(shapes: Mapping[str, tuple[int, ...]], dtype: np.dtype) -> tuple[np.ndarray, Arrays]:
    """One vector (P) for arrays of these shapes, and the arrays as views of it."""
    sizes = [math.prod(shape) for shape in shapes.values()]
    flat = np.zeros(sum(sizes), dtype)
    parts = np.split(flat, np.cumsum(sizes)[:-1])
    views = {
        name: part.reshape(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)
    }
    return flat, views


def _blas_pools() -> list[dict[str, Any]]:
    """The pools that threadpoolctl lists for numpy's own BLAS, or all if none has its name."""
    from threadpoolctl import threadpool_info

    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    return [pool for pool in pools if "numpy" in pool["filepath"]] or pools


def _blas() -> str:
    """Name and version of the BLAS that numpy calls: as loaded, or else as configured."""
    if _threadpoolctl_can_tell():
        return " + ".join(f"{pool['internal_api']} {pool['version']}" for pool in _blas_pools())
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return f"{blas['name']} {blas['version']} (by its build configuration)"


def _blas_threads() -> int:
    """The number of threads that numpy's BLAS reports."""
    return max(pool["num_threads"] for pool in _blas_pools())


def _threadpoolctl_can_tell() -> bool:
    """Whether threadpoolctl is installed and supports this BLAS; it does not support Accelerate."""
    return importlib.util.find_spec("threadpoolctl") is not None and bool(_blas_pools())

"""Everything around a net in JAX, the same for all such variants.

That is compilation, devices, loss, optimizer, and a description of what ran. A net is a pure
function (`Net`). Its parameters are an argument of the compiled functions, so new ones need no new
trace.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from backends.jax.net import Net, Placed
from backends.jax.phases import compile_phases, compile_training, optax_update
from backends.jax.xla import product_dtypes, summary
from tasks.batch import check_batch
from tasks.spec import Batch, ModelSpec, OptimizerSpec, Params, check_params, param_shapes

# float32 means true fp32 on every device: by default, recent GPUs would multiply in TF32.
PRECISION = {
    **dict.fromkeys(("float32", "float64"), "highest"),
    "tf32": "tensorfloat32",
    "bfloat16": "default",  # nothing is rounded but the operands, which have it already
}
# What parameters, loss and optimizer have, and what the net computes in.
STORAGE = {"float64": "float64", **dict.fromkeys(("float32", "tf32", "bfloat16"), "float32")}
COMPUTED = STORAGE | {"bfloat16": "bfloat16"}


NO_OPTIMIZER = "train_step needs an optimizer; build with optimizer=OptimizerSpec(...)"


class JaxModel:
    """A net with its parameters on one device."""

    def __init__(
        self,
        spec: ModelSpec,
        net: Net,
        params: Params,
        *,
        device: Any,
        dtype: str,
        optimizer: OptimizerSpec | None,
    ) -> None:
        self._spec, self._net, self._device = spec, net, device
        self._storage = np.dtype(STORAGE[dtype])
        self._mixed = COMPUTED[dtype] if COMPUTED[dtype] != STORAGE[dtype] else ""
        self._update = None if optimizer is None else optax_update(optimizer)
        self._phases = compile_phases(spec, net, PRECISION[dtype])
        if self._update is not None:
            self._phases |= compile_training(spec, net, PRECISION[dtype], self._update)
        self._last_call: tuple[str, tuple[Any, ...]] | None = None  # a phase, and its arguments
        self.load(params)

    def load(self, params: Params) -> None:
        import jax

        check_params(self._spec, params)
        # A copy, because on the CPU a device array may share the memory of its numpy array.
        host = {name: np.array(value, self._storage) for name, value in params.items()}
        self._trainable, self._frozen = jax.device_put(self._net.split(host), self._device)
        if self._update is not None:
            self._moments = jax.device_put(self._update.init(self._trainable), self._device)
        self._step = 0 if self._spec.dropout and self._spec.num_layers > 1 else None

    def place(self, batch: Batch) -> Placed:
        import jax

        check_batch(self._spec, batch)
        cast = self._cast
        weight = None if batch.weight is None else np.array(batch.weight, self._storage)
        state = None if batch.state is None else {n: cast(v) for n, v in batch.state.items()}
        lengths = None if batch.lengths is None else cast(batch.lengths)
        placed = Placed(cast(batch.x), cast(batch.y), weight, state, lengths)
        return jax.device_put(placed, self._device)

    def _cast(self, value: np.ndarray) -> np.ndarray:
        """A copy, as the device stores it."""
        return np.array(value, np.int32 if value.dtype.kind in "iu" else self._storage)

    def forward(self, placed: Placed) -> dict[str, Any]:
        return self._run("forward", placed)

    def bptt(self, placed: Placed) -> dict[str, Any]:
        return self._run("bptt", placed)

    def train_step(self, placed: Placed) -> dict[str, Any]:
        if self._update is None:
            raise ValueError(NO_OPTIMIZER)
        (self._trainable, self._moments), result = self._run("train_step", placed)
        return result

    def begin(self, state: Mapping[str, np.ndarray] | None, batch_size: int) -> dict[str, Any]:
        import jax

        zeros = np.zeros((batch_size, self._spec.hidden_size), self._storage)
        names = [f"{name}0" for name in self._spec.state_names()]
        host = {name: zeros if state is None else self._cast(state[name]) for name in names}
        return jax.device_put(host, self._device)

    def place_input(self, x: np.ndarray) -> Any:
        import jax

        return jax.device_put(self._cast(x), self._device)

    def advance(self, carry: dict[str, Any], x: Any) -> tuple[dict[str, Any], Any]:
        self._last_call = "advance", (carry, x)
        return self._phases["advance"](self._trainable, self._frozen, carry, x)

    def train_chunk(
        self, placed: Placed, carry: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        if self._update is None:
            raise ValueError(NO_OPTIMIZER)
        self._last_call = "train_chunk", (placed, carry)
        held = self._held("train_chunk")
        chunk = self._phases["train_chunk"](held, self._frozen, placed, carry)
        (self._trainable, self._moments), result = chunk
        return result, {f"{name}0": result[name] for name in self._spec.state_names()}

    def _run(self, phase: str, placed: Placed) -> Any:
        if self._step is not None:
            self._step += 1
        self._last_call = phase, (placed, self._step)
        return self._phases[phase](self._held(phase), self._frozen, placed, self._step)

    def _held(self, phase: str) -> Any:
        trains = phase in ("train_step", "train_chunk")
        return (self._trainable, self._moments) if trains else self._trainable

    def sync(self, result: Any) -> None:
        import jax

        # One program computes loss and update, so the update is done when the loss is.
        jax.block_until_ready(result)

    def to_host(self, result: Any) -> dict[str, np.ndarray]:
        if isinstance(result, tuple):  # of `advance`
            carry, outputs = result
            states = {name[:-1]: state for name, state in (carry or {}).items()}
            result = {"outputs": outputs, **states}
        return {name: np.array(value, self._storage) for name, value in result.items()}

    def params(self) -> Params:
        held = {**self._net.names(self._trainable), **self._net.names(self._frozen)}
        return {name: np.array(held[name]) for name in param_shapes(self._spec)}

    def path(self) -> str:
        if self._last_call is None:
            raise ValueError("nothing has run yet; call forward, bptt or train_step before path")
        phase, given = self._last_call
        lowered = self._phases[phase].lower(self._held(phase), self._frozen, *given)
        padded = phase != "advance" and given[0].lengths is not None
        lengths = f", lengths by {self._net.lengths_by}" if padded else ""
        training = phase not in ("forward", "advance")
        what = f"{self._net.describe(training=training)}{lengths}"
        hlo = lowered.compile().as_text()
        if self._mixed:
            what += f", cast to {self._mixed}, products computed in {product_dtypes(hlo)}"
        return f"{what}; {summary(hlo)}"

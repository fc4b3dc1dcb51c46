"""Everything around a net in JAX, the same for all such variants.

That is compilation, devices, loss, optimizer, and a description of what ran. A net is a pure
function (`Net`). Its parameters are an argument of the compiled functions, so new ones need no new
trace.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

from backends.jax.xla import summary
from tasks.batch import check_batch
from tasks.spec import Batch, ModelSpec, OptimizerSpec, Params, check_params, param_shapes

# float32 means true fp32 on every device: by default, recent GPUs would multiply in TF32.
PRECISION = {"float32": "highest", "float64": "highest", "tf32": "tensorfloat32"}
STORAGE = {"float32": "float32", "float64": "float64", "tf32": "float32"}


class Net(Protocol):
    """A model as a pure function of its parameters, which are two pytrees."""

    def split(self, params: Params) -> tuple[Any, Any]:
        """Canonical host parameters -> the trainable and the frozen tree."""
        ...

    def names(self, tree: Any) -> dict[str, Any]:
        """The leaves of a tree, or of a gradient of the trainable tree, by canonical name."""
        ...

    def apply(
        self, trainable: Any, frozen: Any, batch: Placed, *, training: bool, key: Any
    ) -> dict[str, Any]:
        """The batch's x, state and lengths -> outputs (B,T,C) or (B,C), last states by name.

        With lengths each direction keeps to its sequence; outputs in the padding are any. `key` is
        for the dropout masks; None: no dropout.
        """
        ...

    @property
    def lengths_by(self) -> str:
        """How its layers keep to the lengths of the sequences."""
        ...

    def describe(self, *, training: bool) -> str:
        """Describe what runs the layers."""
        ...


class Placed(NamedTuple):
    """A batch on the device; jit compiles separately with and without what may be None."""

    x: Any  # (B,T,D) | (B,T)
    y: Any  # (B,T) | (B,) | (B,T,C) | (B,C)
    weight: Any  # (B,T) | None
    state: Any  # {"l0.fwd.h0": (B,H), ...} | None
    lengths: Any = None  # (B,) | None

    def real(self) -> Any:
        """(B,T) bool: which steps are no padding; with lengths only."""
        import jax.numpy as jnp

        return jnp.arange(self.x.shape[1]) < self.lengths[:, None]


def loss(spec: ModelSpec, outputs: Any, batch: Placed) -> Any:
    """tasks.loss.loss in JAX: outputs (B,T,C) or (B,C) -> ()."""
    import jax
    import jax.numpy as jnp

    if spec.loss == "mse":
        each = ((outputs - batch.y) ** 2).mean(axis=-1)
    else:
        log_p = jax.nn.log_softmax(outputs)
        each = -jnp.take_along_axis(log_p, batch.y[..., None], axis=-1)[..., 0]
    weight = batch.weight
    if batch.lengths is not None and spec.readout == "every_step":
        weight = batch.real().astype(each.dtype) * (1.0 if weight is None else weight)
    if weight is not None:
        total, weights = (weight * each).sum(), weight.sum()
        if spec.time_reduction == "sum":
            return total / len(each)
        return jnp.where(weights == 0.0, 0.0, total / jnp.where(weights == 0.0, 1.0, weights))
    if spec.time_reduction == "sum":
        return each.sum() / len(each)
    return each.mean()


def compile_phases(spec: ModelSpec, net: Net, precision: str, update: Any) -> dict[str, Any]:
    """The jitted function of each phase; `update` is an optax transformation, or None.

    All take (held, frozen parameters, batch, step). `held` are the trainable parameters, in
    train_step with the optimizer's state. `step` seeds the dropout masks; None: no dropout. In its
    place `train_chunk` takes a carry, which is the state of a batch; `advance` takes a carry and an
    input.
    """
    import jax
    import jax.numpy as jnp

    def forward(trainable: Any, frozen: Any, batch: Placed, step: Any) -> dict[str, Any]:
        with jax.default_matmul_precision(precision):
            out = net.apply(trainable, frozen, batch, training=False, key=None)
        if batch.lengths is not None and spec.readout == "every_step":
            out["outputs"] = jnp.where(batch.real()[..., None], out["outputs"], 0.0)
        return out

    def batch_loss(trainable: Any, frozen: Any, batch: Placed, step: Any) -> Any:
        key = None if step is None else jax.random.fold_in(jax.random.key(0), step)
        with jax.default_matmul_precision(precision):
            out = net.apply(trainable, frozen, batch, training=True, key=key)
        return loss(spec, out["outputs"], batch)

    def bptt(trainable: Any, frozen: Any, batch: Placed, step: Any) -> dict[str, Any]:
        value, grads = jax.value_and_grad(batch_loss)(trainable, frozen, batch, step)
        return {"loss": value, **{f"grad.{n}": g for n, g in net.names(grads).items()}}

    def train_step(held: Any, frozen: Any, batch: Placed, step: Any) -> tuple[Any, dict[str, Any]]:
        import optax

        trainable, moments = held
        value, grads = jax.value_and_grad(batch_loss)(trainable, frozen, batch, step)
        changes, moments = update.update(grads, moments, trainable)
        return (optax.apply_updates(trainable, changes), moments), {"loss": value}

    def advance(trainable: Any, frozen: Any, carry: Any, x: Any) -> tuple[Any, Any]:
        with jax.default_matmul_precision(precision):
            one = Placed(x[:, None], None, None, carry)
            out = net.apply(trainable, frozen, one, training=False, key=None)
        outputs = out.pop("outputs")
        carry = {f"{name}0": state for name, state in out.items()}
        return carry, outputs[:, 0] if spec.readout == "every_step" else outputs

    def train_chunk(held: Any, frozen: Any, batch: Placed, carry: Any) -> tuple[Any, Any]:
        import optax

        def chunk_loss(trainable: Any) -> tuple[Any, Any]:
            with jax.default_matmul_precision(precision):
                one = batch._replace(state=carry)
                out = net.apply(trainable, frozen, one, training=True, key=None)
            return loss(spec, out.pop("outputs"), batch), out

        trainable, moments = held
        (value, states), grads = jax.value_and_grad(chunk_loss, has_aux=True)(trainable)
        changes, moments = update.update(grads, moments, trainable)
        return (optax.apply_updates(trainable, changes), moments), {"loss": value, **states}

    phases = {"forward": jax.jit(forward), "bptt": jax.jit(bptt), "advance": jax.jit(advance)}
    if update is not None:
        phases["train_step"] = jax.jit(train_step, donate_argnums=0)
        phases["train_chunk"] = jax.jit(train_chunk, donate_argnums=0)
    return phases


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
        self._update = None if optimizer is None else optax_update(optimizer)
        self._phases = compile_phases(spec, net, PRECISION[dtype], self._update)
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
        return {name: np.array(value) for name, value in result.items()}

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
        return f"{what}; {summary(lowered.compile().as_text())}"


def optax_update(spec: OptimizerSpec) -> Any:
    """optax's own update; its Adam adds eps to the corrected sqrt(v)."""
    import optax

    if spec.name == "sgd":
        return optax.sgd(spec.learning_rate)
    return optax.adam(spec.learning_rate, b1=spec.beta1, b2=spec.beta2, eps=spec.eps)

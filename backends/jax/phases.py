"""The phases of a net in JAX as compiled functions, with the loss and the optimizer."""

from __future__ import annotations

from typing import Any

from backends.jax.net import Net, Placed
from tasks.spec import ModelSpec, OptimizerSpec


def loss(spec: ModelSpec, outputs: Any, batch: Placed) -> Any:
    """tasks.loss.loss in JAX, at least in float32: outputs (B,T,C) or (B,C) -> ()."""
    import jax
    import jax.numpy as jnp

    outputs = outputs.astype(jnp.promote_types(outputs.dtype, jnp.float32))
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


def compile_phases(spec: ModelSpec, net: Net, precision: str) -> dict[str, Any]:
    """The jitted functions that leave the parameters as they are.

    All take (trainable parameters, frozen ones). Then `forward` and `bptt` take a batch and a step,
    which seeds the dropout masks (None: no dropout); `advance` takes a carry, which is the state
    of a batch, and an input.
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

    def advance(trainable: Any, frozen: Any, carry: Any, x: Any) -> tuple[Any, Any]:
        with jax.default_matmul_precision(precision):
            one = Placed(x[:, None], None, None, carry)
            out = net.apply(trainable, frozen, one, training=False, key=None)
        outputs = out.pop("outputs")
        carry = {f"{name}0": state for name, state in out.items()}
        return carry, outputs[:, 0] if spec.readout == "every_step" else outputs

    return {"forward": jax.jit(forward), "bptt": jax.jit(bptt), "advance": jax.jit(advance)}


def compile_training(spec: ModelSpec, net: Net, precision: str, update: Any) -> dict[str, Any]:
    """The jitted functions that update the parameters; `update` is an optax transformation.

    They take ((trainable parameters, the optimizer's state), frozen parameters, batch), then
    `train_step` a step as in `compile_phases`, and `train_chunk` a carry; they give the first of
    these again, and the result.
    """
    import jax
    import optax

    def update_by(grads: Any, held: Any) -> Any:
        trainable, moments = held
        changes, moments = update.update(grads, moments, trainable)
        return optax.apply_updates(trainable, changes), moments

    def outputs_of(trainable: Any, frozen: Any, batch: Placed, step: Any) -> dict[str, Any]:
        key = None if step is None else jax.random.fold_in(jax.random.key(0), step)
        with jax.default_matmul_precision(precision):
            return net.apply(trainable, frozen, batch, training=True, key=key)

    def train_step(held: Any, frozen: Any, batch: Placed, step: Any) -> tuple[Any, dict[str, Any]]:
        def batch_loss(trainable: Any) -> Any:
            return loss(spec, outputs_of(trainable, frozen, batch, step)["outputs"], batch)

        value, grads = jax.value_and_grad(batch_loss)(held[0])
        return update_by(grads, held), {"loss": value}

    def train_chunk(held: Any, frozen: Any, batch: Placed, carry: Any) -> tuple[Any, Any]:
        def chunk_loss(trainable: Any) -> tuple[Any, Any]:
            out = outputs_of(trainable, frozen, batch._replace(state=carry), None)
            return loss(spec, out.pop("outputs"), batch), out

        (value, states), grads = jax.value_and_grad(chunk_loss, has_aux=True)(held[0])
        return update_by(grads, held), {"loss": value, **states}

    return {
        "train_step": jax.jit(train_step, donate_argnums=0),
        "train_chunk": jax.jit(train_chunk, donate_argnums=0),
    }


def optax_update(spec: OptimizerSpec) -> Any:
    """optax's own update; its Adam adds eps to the corrected sqrt(v)."""
    import optax

    if spec.name == "sgd":
        return optax.sgd(spec.learning_rate)
    return optax.adam(spec.learning_rate, b1=spec.beta1, b2=spec.beta2, eps=spec.eps)

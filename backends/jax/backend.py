"""JAX: cells that read like their equations, and `lax.scan` over time.

Axes as in tasks.spec. Parameters are a dict by canonical name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from backends.jax.base import JaxBackend
from backends.jax.net import Placed
from tasks.spec import ModelSpec, Params


def rnn_tanh(w: Mapping[str, Any], carry: tuple[Any, ...], a: Any) -> tuple[Any, ...]:
    """a (B,H) = x W_xh + b; carry (h,), h (B,H)."""
    import jax.numpy as jnp

    (h,) = carry
    return (jnp.tanh(a + h @ w["W_hh"]),)


def rnn_relu(w: Mapping[str, Any], carry: tuple[Any, ...], a: Any) -> tuple[Any, ...]:
    """a (B,H) = x W_xh + b; carry (h,), h (B,H)."""
    import jax

    (h,) = carry
    return (jax.nn.relu(a + h @ w["W_hh"]),)


def gru(w: Mapping[str, Any], carry: tuple[Any, ...], a: Any) -> tuple[Any, ...]:
    """a (B,3H) = x W_xh + b; carry (h,), h (B,H); gates r, z, n."""
    import jax.numpy as jnp
    from jax.nn import sigmoid

    (h,) = carry
    u = h @ w["W_hh"] + w.get("b_hh", 0.0)
    (a_r, a_z, a_n), (u_r, u_z, u_n) = jnp.split(a, 3, axis=-1), jnp.split(u, 3, axis=-1)
    r, z = sigmoid(a_r + u_r), sigmoid(a_z + u_z)
    n = jnp.tanh(a_n + r * u_n)
    return ((1.0 - z) * n + z * h,)


def lstm(w: Mapping[str, Any], carry: tuple[Any, ...], a: Any) -> tuple[Any, ...]:
    """a (B,4H) = x W_xh + b; carry (h, c), both (B,H); gates i, f, g, o."""
    import jax.numpy as jnp
    from jax.nn import sigmoid

    h, c = carry
    i, f, g, o = jnp.split(a + h @ w["W_hh"], 4, axis=-1)
    c = sigmoid(f) * c + sigmoid(i) * jnp.tanh(g)
    return sigmoid(o) * jnp.tanh(c), c


CELLS = {"rnn_tanh": rnn_tanh, "rnn_relu": rnn_relu, "gru": gru, "lstm": lstm}


def hoists_input(cell: str, *, device: str, training: bool) -> bool:
    """Whether x W_xh + b is one product over all steps, before the scan.

    Measured on the CPU: only the forward pass of the vanilla RNN gets faster, because the loop has
    to read the large product back step by step. On CUDA it is not measured; common practice is one
    large product and a smaller kernel per step.
    """
    return device != "cpu" or (cell in ("rnn_tanh", "rnn_relu") and not training)


def scan_layer(
    cell: Callable[..., tuple[Any, ...]],
    w: Mapping[str, Any],
    xs: Any,
    carry: tuple[Any, ...],
    *,
    reverse: bool,
    hoist: bool,
    keep: bool,
    real: Any = None,
    unroll: int = 1,
) -> tuple[tuple[Any, ...], Any]:
    """xs (T,B,I), carry of (B,H) -> last carry, hs (T,B,H) in the order of xs, or None.

    Where `real` (T,B,1) is False, a step leaves the carry as it is. Each pass of the loop makes
    `unroll` steps. Parameters are cast to the dtype of xs within a step, so that their gradients
    add up over the steps in their own.
    """
    import jax.numpy as jnp
    from jax import lax

    def cast(w: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value.astype(xs.dtype) for name, value in w.items()}

    def project(w: Mapping[str, Any], x: Any) -> Any:
        return x @ w["W_xh"] + w.get("b", 0.0)

    def step(carry: tuple[Any, ...], given: Any) -> tuple[tuple[Any, ...], Any]:
        (x, is_real), v = given, cast(w)
        new = cell(v, carry, x if hoist else project(v, x))
        if is_real is not None:
            new = tuple(jnp.where(is_real, n, c) for n, c in zip(new, carry, strict=True))
        return new, new[0] if keep else None

    rows = project(cast(w), xs) if hoist else xs
    return lax.scan(step, carry, (rows, real), reverse=reverse, unroll=unroll)


@dataclass(frozen=True)
class ScanNet:
    """The whole model on `scan_layer`; both trees are dicts by canonical name."""

    spec: ModelSpec
    device: str  # cpu | cuda
    dtype: str
    unroll: int = 1
    lengths_by: str = "a mask at each step"

    def split(self, params: Params) -> tuple[Params, Params]:
        trainable = self.spec.trainable()
        frozen = {name: value for name, value in params.items() if name not in trainable}
        return {name: params[name] for name in trainable}, frozen

    def names(self, tree: dict[str, Any]) -> dict[str, Any]:
        return tree

    def apply(
        self, trainable: Any, frozen: Any, batch: Placed, *, training: bool, key: Any
    ) -> dict[str, Any]:
        import jax
        import jax.numpy as jnp

        spec, params = self.spec, {**trainable, **frozen}
        x, state = batch.x, batch.state
        real = None if batch.lengths is None else batch.real().T[..., None]  # (T,B,1)
        hoist = hoists_input(spec.cell, device=self.device, training=training)
        every_step = spec.readout == "every_step"
        kinds = ("h", "c") if spec.cell == "lstm" else ("h",)
        xs = params["E"][x.T] if spec.vocab_size is not None else x.swapaxes(0, 1)  # (T,B,D)
        xs = xs.astype(self.dtype)
        zeros = jnp.zeros((x.shape[0], spec.hidden_size), self.dtype)
        last: dict[str, Any] = {}
        for layer in range(spec.num_layers):
            if layer and key is not None:
                kept = jax.random.bernoulli(
                    jax.random.fold_in(key, layer), 1.0 - spec.dropout, xs.shape
                )
                xs = jnp.where(kept, xs / (1.0 - spec.dropout), 0.0)
            hs = []
            for direction in spec.directions:
                prefix = f"l{layer}.{direction}."
                w = {n.removeprefix(prefix): v for n, v in params.items() if n.startswith(prefix)}
                carry = tuple(
                    state[f"{prefix}{k}0"].astype(self.dtype) if state else zeros for k in kinds
                )
                carry, h_steps = scan_layer(
                    CELLS[spec.cell],
                    w,
                    xs,
                    carry,
                    reverse=direction == "bwd",
                    hoist=hoist,
                    keep=every_step or layer + 1 < spec.num_layers,
                    real=real,
                    unroll=self.unroll,
                )
                last.update({f"{prefix}{k}": v for k, v in zip(kinds, carry, strict=True)})
                hs.append(h_steps if h_steps is not None else carry[0])
            xs = jnp.concatenate(hs, axis=-1)  # (T,B,F); of the last step alone (B,F)
        if spec.output_size is not None:
            # The bias is added in its own dtype. In bfloat16 XLA on a CPU would add up its gradient
            # in bfloat16 as well (docs/decisions/0019).
            logits = xs @ params["W_hy"].astype(self.dtype)
            xs = logits.astype(params["b_y"].dtype) + params["b_y"]
        return {"outputs": xs.swapaxes(0, 1) if every_step else xs, **last}

    def describe(self, *, training: bool) -> str:
        hoist = hoists_input(self.spec.cell, device=self.device, training=training)
        steps = f", {self.unroll} steps a pass" if self.unroll > 1 else ""
        return f"lax.scan{steps}, input product {'before' if hoist else 'in'} the scan"


UNROLLED = 8  # steps per pass of the loop


def jax_scan() -> JaxBackend:
    """The variant "jax"."""
    return JaxBackend("jax", ScanNet, ("jax", "jaxlib", "optax"))


def jax_unrolled() -> JaxBackend:
    """The variant "jax-unrolled": several steps per pass of the loop, and a longer program."""
    net = partial(ScanNet, unroll=UNROLLED)
    return JaxBackend("jax-unrolled", net, ("jax", "jaxlib", "optax"))

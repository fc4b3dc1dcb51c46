"""Flax' older API, linen: `nn.RNN` over linen's own cells.

A linen module holds no parameters; they are nested dicts, as the pure function that
`backends.jax.model` compiles needs them. Axes as in tasks.spec. Each gate has arrays of its own:

    RNN   W_xh, b  i.kernel, i.bias;  W_hh  h.kernel
    LSTM  W_xh     ii, if, ig, io (kernels);  W_hh, b  hi, hf, hg, ho (kernels, biases)
    GRU   W_xh     ir, iz, in (kernels);  W_hh  hr, hz, hn (kernels)
          b, b_hh  added in ir.bias and iz.bias; separate in in.bias and hn.bias for n
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from backends.jax.base import JaxBackend
from backends.jax.model import STORAGE
from backends.jax.net import Placed
from tasks.spec import ModelSpec, Params

# The gates of a parameter by linen's names: (layer of the cell, kernel or bias).
_KERNELS = {"W_xh": "i", "W_hh": "h"}
_GATES = {
    "rnn_tanh": ("",),
    "rnn_relu": ("",),
    "lstm": ("i", "f", "g", "o"),
    "gru": ("r", "z", "n"),
}


def make_cell(spec: ModelSpec, dtype: str) -> Any:
    """linen's cell, for an `nn.RNN`, which adopts it."""
    from flax import linen as nn

    options = {
        "features": spec.hidden_size,
        "dtype": dtype,
        "param_dtype": STORAGE[dtype],
        "parent": None,
    }
    if spec.cell == "lstm":
        return nn.OptimizedLSTMCell(**options)
    if spec.cell == "gru":
        return nn.GRUCell(**options)
    activation = nn.tanh if spec.cell == "rnn_tanh" else nn.relu
    return nn.SimpleCell(activation_fn=activation, **options)


def make_module(spec: ModelSpec, dtype: str) -> Any:
    """The model; x (B,T,D) or ids (B,T), state by name, lengths (B,) -> outputs, last states."""
    import jax.numpy as jnp
    from flax import linen as nn

    kinds = ("c", "h") if spec.cell == "lstm" else ("h",)  # the order of linen's carry
    at = {"dtype": dtype, "param_dtype": STORAGE[dtype]}

    class RecurrentNet(nn.Module):
        @nn.compact
        def __call__(self, x: Any, state: Any, lengths: Any, training: bool) -> dict[str, Any]:
            zeros = jnp.zeros((x.shape[0], spec.hidden_size), dtype)
            if spec.vocab_size is not None:
                x = nn.Embed(spec.vocab_size, spec.input_size, name="embed", **at)(x)
            else:
                x = x.astype(dtype)
            last: dict[str, Any] = {}
            for layer in range(spec.num_layers):
                if layer and spec.dropout:
                    x = nn.Dropout(spec.dropout, deterministic=not training)(x)
                hs, ends = [], []
                for direction in spec.directions:
                    name = f"l{layer}.{direction}"
                    carry = tuple(
                        state[f"{name}.{k}0"].astype(dtype) if state else zeros for k in kinds
                    )
                    rnn = nn.RNN(
                        make_cell(spec, dtype),
                        return_carry=True,
                        reverse=direction == "bwd",
                        keep_order=True,
                        name=name.replace(".", "_"),
                    )
                    end, h_steps = rnn(
                        x,
                        initial_carry=carry if len(carry) > 1 else carry[0],
                        seq_lengths=lengths,
                    )
                    end = end if len(carry) > 1 else (end,)
                    last.update({f"{name}.{k}": v for k, v in zip(kinds, end, strict=True)})
                    hs.append(h_steps)
                    ends.append(end[-1])
                x = jnp.concatenate(hs, axis=-1)
            if spec.readout == "last_step":
                x = jnp.concatenate(ends, axis=-1)
            if spec.output_size is not None:
                x = nn.Dense(spec.output_size, name="head", **at)(x)
            return {"outputs": x, **last}

    return RecurrentNet()


def to_linen(spec: ModelSpec, params: Params) -> dict[str, Any]:
    """Canonical parameters -> linen's nested dicts; the GRU's biases of r and z are added."""
    tree: dict[str, Any] = {}
    if "E" in params:
        tree["embed"] = {"embedding": params["E"]}
    if "W_hy" in params:
        tree["head"] = {"kernel": params["W_hy"], "bias": params["b_y"]}
    gates = _GATES[spec.cell]
    for _, _, prefix in spec.stack():
        if f"{prefix}.W_xh" not in params:
            continue
        cell: dict[str, dict[str, Any]] = {}
        for kind, side in _KERNELS.items():
            blocks = np.split(params[f"{prefix}.{kind}"], len(gates), axis=-1)
            cell |= {f"{side}{g}": {"kernel": w} for g, w in zip(gates, blocks, strict=True)}
        b = np.split(params[f"{prefix}.b"], len(gates))
        if spec.cell == "gru":
            b_r, b_z, b_n = np.split(params[f"{prefix}.b_hh"], 3)
            cell["hn"]["bias"] = b_n
            b = [b[0] + b_r, b[1] + b_z, b[2]]
        side = "h" if spec.cell == "lstm" else "i"
        for gate, bias in zip(gates, b, strict=True):
            cell[f"{side}{gate}"]["bias"] = bias
        tree[prefix.replace(".", "_")] = {"cell": cell}
    return tree


def to_canonical(spec: ModelSpec, tree: Any) -> dict[str, Any]:
    """The inverse for gradients: both addends of a bias get the gradient of their sum."""
    import jax.numpy as jnp

    named: dict[str, Any] = {}
    if "embed" in tree:
        named["E"] = tree["embed"]["embedding"]
    gates = _GATES[spec.cell]
    for _, _, prefix in spec.stack():
        cell = tree[prefix.replace(".", "_")]["cell"]
        for kind, side in _KERNELS.items():
            blocks = [cell[f"{side}{gate}"]["kernel"] for gate in gates]
            named[f"{prefix}.{kind}"] = jnp.concatenate(blocks, axis=-1)
        side = "h" if spec.cell == "lstm" else "i"
        b = [cell[f"{side}{gate}"]["bias"] for gate in gates]
        named[f"{prefix}.b"] = jnp.concatenate(b)
        if spec.cell == "gru":
            named[f"{prefix}.b_hh"] = jnp.concatenate([b[0], b[1], cell["hn"]["bias"]])
    if "head" in tree:
        named |= {"W_hy": tree["head"]["kernel"], "b_y": tree["head"]["bias"]}
    return named


class LinenNet:
    """The module as a `Net`; the trainable tree is linen's own.

    The frozen tree holds what linen's tree cannot restore: a given embedding, and the two biases of
    a GRU.
    """

    lengths_by: str = "seq_lengths"

    def __init__(self, spec: ModelSpec, *, device: str, dtype: str) -> None:
        self._spec, self._module = spec, make_module(spec, dtype)

    def split(self, params: Params) -> tuple[Any, Any]:
        trainable = {name: params[name] for name in self._spec.trainable()}
        frozen = {name: v for name, v in params.items() if name not in trainable}
        if self._spec.cell == "gru":
            frozen |= {n: v for n, v in params.items() if n.endswith((".b", ".b_hh"))}
        return to_linen(self._spec, trainable), frozen

    def names(self, tree: Any) -> dict[str, Any]:
        return to_canonical(self._spec, tree) if "l0_fwd" in tree else tree

    def apply(
        self, trainable: Any, frozen: Any, batch: Placed, *, training: bool, key: Any
    ) -> dict[str, Any]:
        tree = dict(trainable)
        if "E" in frozen:
            tree["embed"] = {"embedding": frozen["E"]}
        masks = {} if key is None else {"dropout": key}
        given = batch.x, batch.state, batch.lengths, training and bool(masks)
        return self._module.apply({"params": tree}, *given, rngs=masks)

    def describe(self, *, training: bool) -> str:
        cell = make_cell(self._spec, "float32")
        return f"linen.RNN, {type(cell).__name__}"


@dataclass(frozen=True)
class LinenBackend(JaxBackend):
    """Like every net in JAX, without what linen's cells cannot hold."""

    def refusal(self, spec: ModelSpec, *, device: str, dtype: str, phase: str) -> str | None:
        if not spec.bias:
            return "linen's cells always have a bias"
        if spec.cell == "gru" and phase == "train_step":
            return "linen's GRU has one bias for r and z instead of two, so it trains differently"
        return super().refusal(spec, device=device, dtype=dtype, phase=phase)


def flax_linen() -> LinenBackend:
    """The variant "flax-linen"."""
    return LinenBackend("flax-linen", LinenNet, ("jax", "jaxlib", "flax", "optax"))

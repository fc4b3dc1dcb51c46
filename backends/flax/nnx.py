"""Flax NNX: `nnx.RNN` over Flax's own cells, as a pure function of its parameters.

This is the functional idiom of Flax. The module is split once, its parameters are plain nested
dicts, and a compiled function merges them again while it is traced; `nnx.jit` would traverse the
module at every call. `backends.jax` provides compilation, devices and the optimizer. Axes as in
tasks.spec.

Parameters map without permutation, because Flax orders the gates i, f, g, o and r, z, n as well:

    W_xh  dense_i.kernel (I,G*H)     b     dense_i.bias (RNN, GRU) or dense_h.bias (LSTM)
    W_hh  dense_h.kernel (H,G*H)     b_hh  dense_h.bias (GRU)
"""

from __future__ import annotations

from functools import partial
from typing import Any

from backends.jax.base import JaxBackend
from backends.jax.model import STORAGE
from backends.jax.net import Placed
from tasks.spec import ModelSpec, Params, param_shapes


def make_cell(spec: ModelSpec, layer: int, *, dtype: str, rngs: Any) -> Any:
    """Flax's cell for a layer, with the biases of tasks.spec, which its options do not offer."""
    from flax import nnx

    sizes = spec.layer_input_size(layer), spec.hidden_size
    own = partial(nnx.Linear, dtype=dtype, param_dtype=STORAGE[dtype], rngs=rngs)
    if spec.cell == "lstm":
        cell = nnx.OptimizedLSTMCell(*sizes, dtype=dtype, param_dtype=STORAGE[dtype], rngs=rngs)
        if not spec.bias:
            cell.dense_h = own(spec.hidden_size, 4 * spec.hidden_size, use_bias=False)
        return cell
    if spec.cell == "gru":
        cell = nnx.GRUCell(*sizes, dtype=dtype, param_dtype=STORAGE[dtype], rngs=rngs)
        # nnx.GRUCell has no recurrent bias (google/flax#5594), but its equation accepts one.
        cell.dense_h = own(spec.hidden_size, 3 * spec.hidden_size, use_bias=spec.bias)
        if not spec.bias:
            cell.dense_i = own(sizes[0], 3 * spec.hidden_size, use_bias=False)
        return cell
    act = nnx.tanh if spec.cell == "rnn_tanh" else nnx.relu
    cell = nnx.SimpleCell(
        *sizes, activation_fn=act, dtype=dtype, param_dtype=STORAGE[dtype], rngs=rngs
    )
    if not spec.bias:
        cell.dense_i = own(*sizes, use_bias=False)
    return cell


def make_module(spec: ModelSpec, *, dtype: str) -> Any:
    """The model as an `nnx.Module`; x (B,T,D) or ids (B,T) -> outputs and last states by name."""
    import jax
    import jax.numpy as jnp
    from flax import nnx

    class RecurrentNet(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            options = {"param_dtype": STORAGE[dtype], "dtype": dtype, "rngs": rngs}
            if spec.vocab_size is not None:
                self.embed = nnx.Embed(spec.vocab_size, spec.input_size, **options)
            for layer, direction, _ in spec.stack():
                rnn = nnx.RNN(
                    make_cell(spec, layer, dtype=dtype, rngs=rngs),
                    return_carry=True,
                    reverse=direction == "bwd",
                    keep_order=True,
                    rngs=False,
                )
                setattr(self, f"l{layer}_{direction}", rnn)
            self.dropout = nnx.Dropout(spec.dropout)
            if spec.output_size is not None:
                self.head = nnx.Linear(spec.feature_size, spec.output_size, **options)

        def __call__(
            self, x: Any, state: Any, lengths: Any, *, training: bool, key: Any
        ) -> dict[str, Any]:
            xs = self.embed(x) if spec.vocab_size is not None else x.astype(dtype)
            kinds = ("c", "h") if spec.cell == "lstm" else ("h",)  # the order of Flax' carry
            zeros = jnp.zeros((x.shape[0], spec.hidden_size), dtype)
            last: dict[str, Any] = {}
            for layer in range(spec.num_layers):
                if layer:
                    masks = None if key is None else jax.random.fold_in(key, layer)
                    xs = self.dropout(xs, deterministic=not training, rngs=masks)
                hs, ends = [], []
                for direction in spec.directions:
                    name = f"l{layer}.{direction}"
                    start = tuple(
                        state[f"{name}.{k}0"].astype(dtype) if state else zeros for k in kinds
                    )
                    rnn = getattr(self, name.replace(".", "_"))
                    carry, h_steps = rnn(
                        xs,
                        initial_carry=start if len(start) > 1 else start[0],
                        seq_lengths=lengths,
                    )
                    carry = carry if len(start) > 1 else (carry,)
                    last.update({f"{name}.{k}": v for k, v in zip(kinds, carry, strict=True)})
                    hs.append(h_steps)
                    ends.append(carry[-1])
                xs = jnp.concatenate(hs, axis=-1)
            if spec.readout == "last_step":
                xs = jnp.concatenate(ends, axis=-1)
            return {"outputs": self.head(xs) if spec.output_size is not None else xs, **last}

    # Abstract: only shapes, because initial values would be overwritten.
    return nnx.eval_shape(lambda: RecurrentNet(nnx.Rngs(0)))


def paths(spec: ModelSpec) -> dict[str, tuple[str, ...]]:
    """The path of each canonical parameter in the module."""
    fixed = {"E": ("embed", "embedding"), "W_hy": ("head", "kernel"), "b_y": ("head", "bias")}
    in_cell = {
        "W_xh": ("dense_i", "kernel"),
        "W_hh": ("dense_h", "kernel"),
        "b": ("dense_h" if spec.cell == "lstm" else "dense_i", "bias"),
        "b_hh": ("dense_h", "bias"),
    }

    def path(name: str) -> tuple[str, ...]:
        if name in fixed:
            return fixed[name]
        layer, direction, kind = name.split(".")
        return (f"{layer}_{direction}", "cell", *in_cell[kind])

    return {name: path(name) for name in param_shapes(spec)}


class FlaxNet:
    """The module as a `Net`; both trees are its own nested dicts."""

    lengths_by: str = "seq_lengths"

    def __init__(self, spec: ModelSpec, *, device: str, dtype: str) -> None:
        from flax import nnx
        from flax.traverse_util import flatten_dict

        self._spec, self._paths = spec, paths(spec)
        self._names = {path: name for name, path in self._paths.items()}
        module = make_module(spec, dtype=dtype)
        self._cell = module.l0_fwd.cell
        self._graph, state = nnx.split(module)
        found = {p: v.shape for p, v in flatten_dict(nnx.to_pure_dict(state)).items()}
        expected = {self._paths[name]: shape for name, shape in param_shapes(spec).items()}
        if found != expected:
            raise RuntimeError(f"the module of this Flax has {found}; expected {expected}")

    def split(self, params: Params) -> tuple[Any, Any]:
        from flax.traverse_util import unflatten_dict

        trainable = self._spec.trainable()
        held = {self._paths[name]: params[name] for name in trainable}
        frozen = {self._paths[name]: v for name, v in params.items() if name not in trainable}
        return unflatten_dict(held), unflatten_dict(frozen)

    def names(self, tree: Any) -> dict[str, Any]:
        from flax.traverse_util import flatten_dict

        return {self._names[path]: value for path, value in flatten_dict(tree).items()}

    def apply(
        self, trainable: Any, frozen: Any, batch: Placed, *, training: bool, key: Any
    ) -> dict[str, Any]:
        from flax import nnx

        # With a given initial carry nnx.RNN draws none, which jax.grad could not trace.
        module = nnx.merge(self._graph, trainable, frozen)
        return module(batch.x, batch.state, batch.lengths, training=training, key=key)

    def describe(self, *, training: bool) -> str:
        cell = type(self._cell).__name__
        if self._spec.cell == "gru" and self._cell.dense_h.bias is not None:
            cell += " given a recurrent bias"
        return f"nnx.RNN, {cell}"


def flax_nnx() -> JaxBackend:
    """The variant "flax"."""
    return JaxBackend("flax", FlaxNet, ("jax", "jaxlib", "flax", "optax"))

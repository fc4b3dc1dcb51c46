"""Keras on JAX: `stateless_call` and `jax.jit`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from backends.jax.xla import XlaPeak, product_dtypes, xla_threads
from backends.keras.net import Cudnn, Placed, is_mixed
from backends.keras.steps import (
    Advanced,
    Chunk,
    Forward,
    FreshOptimizer,
    Gradients,
    Loss,
    Steps,
    advanced,
)


class Jax:
    keras_backend: str = "jax"
    packages: tuple[str, ...] = ("jax", "jaxlib")
    float64_refusal: str | None = (
        "Keras on JAX computes float64 layers partly in float32 (its dtype promotion and tanh "
        "round to it); run it in float32"
    )
    index_dtype: str = "int32"
    use_cudnn: Cudnn = "auto"

    def __init__(self) -> None:
        self._peak = XlaPeak()

    def environment(self, *, threads: int, device: str) -> Mapping[str, str]:
        return {
            "PJRT_NPROC": str(threads),
            "JAX_PLATFORMS": "cpu" if device == "cpu" else "cuda,cpu",
            "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        }

    def prepare(self) -> None:
        pass

    def allow_tf32(self, allowed: bool) -> None:
        import jax

        precision = "tensorfloat32" if allowed else "highest"
        jax.config.update("jax_default_matmul_precision", precision)

    def gpu_count(self) -> int:
        import jax

        return sum(device.platform in ("gpu", "cuda") for device in jax.local_devices())

    def threads(self) -> int | None:
        return xla_threads()

    def forget_peak(self, device: str) -> None:
        self._peak.begin(device)

    def peak_bytes(self, device: str) -> int | None:
        return self._peak.read(device)

    def put(self, array: np.ndarray) -> Any:
        import jax.numpy as jnp

        return jnp.asarray(array)

    def numpy(self, tensor: Any) -> np.ndarray:
        return np.asarray(tensor)

    def steps(self, net: Any, loss: Loss, optimizer: Any, device: str) -> Steps:
        return JaxSteps(net, loss, optimizer, device)


class JaxSteps:
    """`stateless_call` and `stateless_apply` in one `jax.jit` per phase; holds the state itself."""

    def __init__(self, net: Any, loss: Loss, optimizer: Any, device: str) -> None:
        import jax

        platform, _, index = device.partition(":")
        self._device = jax.local_devices(backend=platform)[int(index or 0)]
        self._net, self._optimizer = net, optimizer
        self._fresh = FreshOptimizer(optimizer)
        self._trainable: list[Any] = []
        self._frozen: list[Any] = []  # a given embedding, and the seeds of the dropout
        self._moments: list[Any] = []  # the optimizer's variables

        def forward(trainable: Any, frozen: Any, batch: Placed) -> Forward:
            result, _ = net.stateless_call(trainable, frozen, **batch.inputs(), training=False)
            return Forward(*result)

        def net_loss(trainable: Any, frozen: Any, batch: Placed) -> tuple[Any, Any]:
            (outputs, states), frozen = net.stateless_call(
                trainable, frozen, **batch.inputs(), training=True
            )
            return loss(outputs, batch), (frozen, states)

        def bptt(trainable: Any, frozen: Any, batch: Placed) -> tuple[Gradients, Any]:
            gradient = jax.value_and_grad(net_loss, has_aux=True)
            (value, (frozen, _)), gradients = gradient(trainable, frozen, batch)
            return Gradients(value, gradients), frozen

        def train_step(trainable: Any, frozen: Any, moments: Any, batch: Placed) -> Any:
            (value, gradients), frozen = bptt(trainable, frozen, batch)
            trainable, moments = optimizer.stateless_apply(moments, gradients, trainable)
            return Gradients(value, None), trainable, frozen, moments

        def advance(trainable: Any, frozen: Any, carry: list[Any], x: Any) -> Advanced:
            result, _ = net.stateless_call(trainable, frozen, x, state=carry, training=False)
            return advanced(*result)

        def train_chunk(
            trainable: Any, frozen: Any, moments: Any, batch: Placed, carry: list[Any]
        ) -> Any:
            gradient = jax.value_and_grad(net_loss, has_aux=True)
            batch = batch._replace(state=carry)
            (value, (frozen, states)), gradients = gradient(trainable, frozen, batch)
            trainable, moments = optimizer.stateless_apply(moments, gradients, trainable)
            return Chunk(value, states), trainable, frozen, moments

        self._forward, self._bptt = jax.jit(forward), jax.jit(bptt)
        self._train_chunk = jax.jit(train_chunk, donate_argnums=(0, 1, 2))
        self._advance = jax.jit(advance)
        self._train_step = jax.jit(train_step, donate_argnums=(0, 1, 2))
        self._ran: tuple[str, tuple[Any, ...]] | None = None

    def forward(self, batch: Placed) -> Forward:
        self._ran = "forward", (batch,)
        return self._forward(self._trainable, self._frozen, batch)

    def bptt(self, batch: Placed) -> Gradients:
        self._ran = "bptt", (batch,)
        result, self._frozen = self._bptt(self._trainable, self._frozen, batch)
        return result

    def train_step(self, batch: Placed) -> Gradients:
        self._ran = "train_step", (batch,)
        result, self._trainable, self._frozen, self._moments = self._train_step(
            self._trainable, self._frozen, self._moments, batch
        )
        return result

    def advance(self, carry: list[Any], x: Any) -> Advanced:
        self._ran = "advance", (carry, x)
        return self._advance(self._trainable, self._frozen, carry, x)

    def train_chunk(self, batch: Placed, carry: list[Any]) -> Chunk:
        self._ran = "train_chunk", (batch, carry)
        result, self._trainable, self._frozen, self._moments = self._train_chunk(
            self._trainable, self._frozen, self._moments, batch, carry
        )
        return result

    def sync(self, result: Any) -> None:
        import jax

        jax.block_until_ready((result, self._trainable, self._frozen, self._moments))

    def reset(self) -> None:
        self._fresh.restore()
        self._trainable = self._copy(self._net.trainable_variables)
        self._frozen = self._copy(self._net.non_trainable_variables)
        self._moments = [] if self._optimizer is None else self._copy(self._optimizer.variables)

    def _copy(self, variables: Sequence[Any]) -> list[Any]:
        import jax
        import jax.numpy as jnp

        # A copy, because a train step donates the memory of its arguments.
        return [jax.device_put(jnp.array(v.value), self._device) for v in variables]

    def write_back(self) -> None:
        for variable, value in zip(self._net.trainable_variables, self._trainable, strict=True):
            variable.assign(value)

    def path(self) -> str:
        if self._ran is None:
            return "nothing ran"
        phase, given = self._ran
        moments = [self._moments] if phase in ("train_step", "train_chunk") else []
        compiled = {
            "forward": self._forward,
            "bptt": self._bptt,
            "train_step": self._train_step,
            "advance": self._advance,
            "train_chunk": self._train_chunk,
        }[phase]
        lowered = compiled.lower(self._trainable, self._frozen, *moments, *given)
        hlo = lowered.compile().as_text()
        loops = len(re.findall(r"\bwhile\(", hlo))
        calls = Counter(re.findall(r'custom_call_target="([^"]+)"', hlo))
        parts = [f"{loops} while loop{'' if loops == 1 else 's'}"]
        parts += [f"{n} {name}" for name, n in sorted(calls.items())]
        if is_mixed(self._net):
            parts += [f"{self._net.dtype_policy.name}, products computed in {product_dtypes(hlo)}"]
        return f"jax.jit, XLA: {', '.join(parts)}"

"""Keras on torch: eager calls and `loss.backward()`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

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
from backends.torch import gpu
from backends.torch.operators import in_words, operator_calls, operator_dtypes


class Torch:
    keras_backend: str = "torch"
    packages: tuple[str, ...] = ("torch",)
    float64_refusal: str | None = (
        "Keras on torch computes float64 layers partly in float32 (its matmul rounds to it); "
        "run it in float32"
    )
    index_dtype: str = "int64"
    use_cudnn: Cudnn = "auto"

    def environment(self, *, threads: int, device: str) -> Mapping[str, str]:
        return {}

    def prepare(self) -> None:
        pass

    def allow_tf32(self, allowed: bool) -> None:
        gpu.set_float32_products(tf32=allowed)

    def gpu_count(self) -> int:
        import torch

        return torch.cuda.device_count()

    def threads(self) -> int:
        import torch

        return torch.get_num_threads()

    def forget_peak(self, device: str) -> None:
        gpu.forget_peak(device)

    def peak_bytes(self, device: str) -> int | None:
        return gpu.peak_bytes(device)

    def put(self, array: np.ndarray) -> Any:
        from keras import ops

        return ops.convert_to_tensor(array)

    def numpy(self, tensor: Any) -> np.ndarray:
        import torch

        host = tensor.detach().cpu()
        return (host.float() if host.dtype == torch.bfloat16 else host).numpy()

    def steps(self, net: Any, loss: Loss, optimizer: Any, device: str) -> Steps:
        return TorchSteps(net, loss, optimizer, device)


class TorchSteps:
    """Eager calls; gradients from `loss.backward()`."""

    def __init__(self, net: Any, loss: Loss, optimizer: Any, device: str) -> None:
        self._net, self._loss, self._optimizer = net, loss, optimizer
        self._device, self._fresh = device, FreshOptimizer(optimizer)
        self._ran: tuple[Callable[..., Any], tuple[Any, ...]] | None = None

    def forward(self, batch: Placed) -> Forward:
        import keras
        import torch

        self._ran = self.forward, (batch,)
        with torch.inference_mode(), keras.device(self._device):
            return Forward(*self._net(**batch.inputs(), training=False))

    def bptt(self, batch: Placed) -> Gradients:
        return self._backward(batch)[0]

    def train_step(self, batch: Placed) -> Gradients:
        return Gradients(self._update(batch)[0], None)

    def train_chunk(self, batch: Placed, carry: list[Any]) -> Chunk:
        loss, states = self._update(batch._replace(state=carry))
        return Chunk(loss, [state.detach() for state in states])

    def _backward(self, batch: Placed) -> tuple[Gradients, list[Any]]:
        """Loss and gradients; the last states."""
        import keras

        self._ran = self.bptt, (batch,)
        with keras.device(self._device):
            self._net.zero_grad()
            outputs, states = self._net(**batch.inputs(), training=True)
            loss = self._loss(outputs, batch)
            loss.backward()
        gradients = [v.value.grad for v in self._net.trainable_variables]
        return Gradients(loss.detach(), gradients), states

    def _update(self, batch: Placed) -> tuple[Any, list[Any]]:
        """Make one update: the loss before it, and the last states."""
        import keras
        import torch

        (loss, gradients), states = self._backward(batch)
        with torch.no_grad(), keras.device(self._device):
            self._optimizer.apply(gradients, self._net.trainable_variables)
        return loss, states

    def advance(self, carry: list[Any], x: Any) -> Advanced:
        import keras
        import torch

        self._ran = self.advance, (carry, x)
        with torch.inference_mode(), keras.device(self._device):
            return advanced(*self._net(x, state=carry, training=False))

    def sync(self, result: Any) -> None:
        import torch

        if self._device.startswith("gpu"):  # keras.device leaves torch's current device alone
            torch.cuda.synchronize(self._device.replace("gpu", "cuda"))

    def reset(self) -> None:
        self._fresh.restore()

    def write_back(self) -> None:
        pass

    def path(self) -> str:
        if self._ran is None:
            return "nothing ran"
        step, given = self._ran
        if is_mixed(self._net):
            found = in_words(
                operator_dtypes(lambda: step(*given)), r"mm|addmm|bmm|.*(_rnn|lstm|gru).*"
            )
            return f"torch, eager, {self._net.dtype_policy.name}: {found}"
        counts = operator_calls(lambda: step(*given))
        fused = [
            f"{n} {key}" for key, n in sorted(counts.items()) if re.search(r"_rnn|lstm|gru", key)
        ]
        products = sum(counts[name] for name in ("mm", "addmm", "bmm"))
        loops = ", ".join(fused) or "no fused recurrent op"
        return f"torch, eager: {loops}, {products} matrix products"

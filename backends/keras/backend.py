"""Keras 3 on TensorFlow, JAX and torch: the same layers, with a custom step on each.

Keras reads `KERAS_BACKEND` once, when it is imported, so each variant needs its own process. Keras
keeps the learning rate in float32, and computes Adam's bias correction in the dtype of the
parameters.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np

from backends.features import lacking
from backends.interface import PHASES
from backends.keras.net import Placed, batch_loss, build_net, to_canonical, to_keras, variables
from backends.keras.on_jax import Jax
from backends.keras.on_tensorflow import TensorFlow
from backends.keras.on_torch import Torch
from backends.keras.steps import Advanced, Chunk, Engine, Forward, Gradients
from tasks.batch import check_batch
from tasks.spec import Batch, ModelSpec, OptimizerSpec, Params, check_params


def keras_tensorflow() -> KerasBackend:
    """The variant "keras-tensorflow": a plain graph, like Keras' `jit_compile="auto"` on a CPU."""
    return KerasBackend("keras-tensorflow", TensorFlow())


def keras_tensorflow_jit() -> KerasBackend:
    """The variant "keras-tensorflow-jit": the same step compiled by XLA."""
    return KerasBackend("keras-tensorflow-jit", TensorFlow(jit=True))


def keras_tensorflow_unrolled() -> KerasBackend:
    """The variant "keras-tensorflow-unrolled": a graph with every time step written out."""
    return KerasBackend("keras-tensorflow-unrolled", TensorFlow(), unroll=True)


def keras_jax() -> KerasBackend:
    return KerasBackend("keras-jax", Jax())


def keras_torch() -> KerasBackend:
    return KerasBackend("keras-torch", Torch())


@dataclass(frozen=True)
class KerasBackend:
    built_for: ClassVar[str] = "train_step"  # the phase that every model of it computes
    name: str
    engine: Engine
    unroll: bool = False  # the layers' loops over time are written out

    def environment(self, *, threads: int, device: str, dtype: str) -> Mapping[str, str]:
        pools = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        hidden = {"CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {}
        return {
            "KERAS_BACKEND": self.engine.keras_backend,
            **dict.fromkeys(pools, str(threads)),
            **hidden,
            **self.engine.environment(threads=threads, device=device),
        }

    def refusal(self, spec: ModelSpec, *, device: str, dtype: str, phase: str) -> str | None:
        if phase not in PHASES:
            return f"phase {phase!r} is unknown; expected one of {', '.join(PHASES)}"
        if not re.fullmatch(r"cpu|cuda(:\d+)?", device):
            return f"device {device!r} is not supported; expected cpu, cuda or cuda:N"
        if dtype == "float16":
            return (
                "mixed_float16 scales the loss (LossScaleOptimizer), so its gradients are those of "
                "another loss, and without the scale small ones become 0; use bfloat16"
            )
        if dtype not in ("float32", "float64", "tf32", "bfloat16"):
            return f"dtype {dtype!r} is not supported; expected float32, float64, tf32 or bfloat16"
        if dtype == "tf32" and device == "cpu":
            return "tf32 exists only on a GPU; the CPU has float32 and float64"
        return self.engine.float64_refusal if dtype == "float64" else None

    def supports(self, feature: str, spec: ModelSpec, *, device: str, dtype: str) -> str | None:
        if feature == "lengths" and self.unroll and spec.bidirectional:
            return "Keras' Bidirectional gives wrong outputs where unrolled layers have a mask"
        return lacking(feature, ("lengths", "stream", "stateful"))

    def optimizer(self, spec: OptimizerSpec) -> OptimizerSpec:
        return replace(spec, eps_placement="uncorrected")

    def versions(self) -> Mapping[str, str]:
        self._prepare()
        names = ("keras", *self.engine.packages)
        return {name: importlib.import_module(name).__version__ for name in names}

    def devices(self) -> Sequence[str]:
        self._prepare()
        return ["cpu", *(f"cuda:{i}" for i in range(self.engine.gpu_count()))]

    def threads(self) -> int | None:
        self._prepare()
        return self.engine.threads()

    def peak_bytes(self, device: str) -> int | None:
        return self.engine.peak_bytes(device)

    def build(
        self,
        spec: ModelSpec,
        params: Params,
        *,
        device: str,
        dtype: str,
        optimizer: OptimizerSpec | None = None,
    ) -> KerasModel:
        """Raises ValueError if `refusal` gives a reason."""
        reason = self.refusal(spec, device=device, dtype=dtype, phase=self.built_for)
        if reason is not None:
            raise ValueError(f"{self.name}: {reason}")
        check_params(spec, params)
        self._prepare()
        self.engine.allow_tf32(dtype == "tf32")
        self.engine.forget_peak(device)
        stored = "float64" if dtype == "float64" else "float32"
        policy = "mixed_bfloat16" if dtype == "bfloat16" else stored
        net = partial(build_net, policy=policy, use_cudnn=self.engine.use_cudnn, unroll=self.unroll)
        return KerasModel(spec, self.engine, params, device, stored, optimizer, net)

    def _prepare(self) -> None:
        import keras

        runs, expected = keras.backend.backend(), self.engine.keras_backend
        if runs != expected:
            raise RuntimeError(
                f"Keras runs on {runs!r}; {self.name} expected {expected!r}: set "
                f"KERAS_BACKEND={expected} before the interpreter starts"
            )
        self.engine.prepare()


class KerasModel:
    """The net on one device, with its optimizer and the steps of its Keras backend."""

    def __init__(
        self,
        spec: ModelSpec,
        engine: Engine,
        params: Params,
        device: str,
        dtype: str,
        optimizer: OptimizerSpec | None,
        net: Callable[[ModelSpec], Any],
    ) -> None:
        self._spec, self._dtype, self._index_dtype = spec, dtype, engine.index_dtype
        self._put, self._numpy = engine.put, engine.numpy
        self._masked = False  # whether the last batch had lengths
        self._device = "cpu" if device == "cpu" else f"gpu:{device.partition(':')[2] or 0}"
        with self._on_device():
            self._net = net(spec)
            self._optimizer = None if optimizer is None else _keras_optimizer(optimizer, dtype)
            if self._optimizer is not None:
                self._optimizer.build(self._net.trainable_variables)
            self._variables = variables(spec, self._net)
            loss = partial(batch_loss, spec)
            self._steps = engine.steps(self._net, loss, self._optimizer, self._device)
        names = {id(variable): name for name, variable in self._variables.items()}
        self._trainable = [names[id(variable)] for variable in self._net.trainable_variables]
        self.load(params)

    def _on_device(self) -> Any:
        import keras

        return keras.device(self._device)

    def load(self, params: Params) -> None:
        check_params(self._spec, params)
        with self._on_device():
            for name, value in to_keras(self._spec, params).items():
                self._variables[name].assign(np.asarray(value, self._dtype))
            self._steps.reset()

    def place(self, batch: Batch) -> Placed:
        check_batch(self._spec, batch)
        tensor = self._tensor
        with self._on_device():
            given, names = batch.state, self._spec.state_names()
            state = None if given is None else [tensor(given[f"{name}0"]) for name in names]
            weight = None if batch.weight is None else tensor(batch.weight.astype(self._dtype))
            lengths = None if batch.lengths is None else tensor(batch.lengths)
            self._masked = lengths is not None
            return Placed(tensor(batch.x), tensor(batch.y), weight, state, lengths)

    def _tensor(self, value: np.ndarray) -> Any:
        """On the present device, in the model's dtype or that of token ids."""
        # A copy, because a tensor on the CPU may share the memory of its numpy array.
        dtype = self._index_dtype if value.dtype.kind in "iu" else self._dtype
        return self._put(np.array(value, dtype))

    def forward(self, placed: Placed) -> Forward:
        return self._steps.forward(placed)

    def bptt(self, placed: Placed) -> Gradients:
        return self._steps.bptt(placed)

    def train_step(self, placed: Placed) -> Gradients:
        self._expect_optimizer()
        return self._steps.train_step(placed)

    def train_chunk(self, placed: Placed, carry: list[Any]) -> tuple[Chunk, list[Any]]:
        self._expect_optimizer()
        chunk = self._steps.train_chunk(placed._replace(state=None), carry)
        return chunk, chunk.states

    def _expect_optimizer(self) -> None:
        if self._optimizer is None:
            raise ValueError(
                "train_step needs an optimizer; build with optimizer=OptimizerSpec(...)"
            )

    def begin(self, state: Mapping[str, np.ndarray] | None, batch_size: int) -> list[Any]:
        zeros = np.zeros((batch_size, self._spec.hidden_size))
        names = self._spec.state_names()
        with self._on_device():
            return [self._tensor(zeros if state is None else state[f"{n}0"]) for n in names]

    def place_input(self, x: np.ndarray) -> Any:
        """(B,1,D) or (B,1): a sequence of one step."""
        with self._on_device():
            return self._tensor(x[:, None])

    def advance(self, carry: list[Any], x: Any) -> Advanced:
        return self._steps.advance(carry, x)

    def sync(self, result: Forward | Gradients | Advanced | Chunk) -> None:
        self._steps.sync(result)

    def to_host(self, result: Forward | Gradients | Advanced | Chunk) -> dict[str, np.ndarray]:
        if isinstance(result, Gradients):
            return self._gradients_to_host(result)
        if isinstance(result, Chunk):
            named, states = {"loss": result.loss}, result.states
        else:
            outputs, states = result if isinstance(result, Forward) else result[::-1]
            named = {"outputs": outputs}
        if states is not None:
            named |= dict(zip(self._spec.state_names(), states, strict=True))
        # Under mixed_bfloat16 some of them are in it, which numpy does not have.
        return {name: np.asarray(self._numpy(v), self._dtype) for name, v in named.items()}

    def _gradients_to_host(self, result: Gradients) -> dict[str, np.ndarray]:
        host = {"loss": self._numpy(result.loss)}
        if result.gradients is not None:
            values = [self._numpy(gradient) for gradient in result.gradients]
            named = to_canonical(self._spec, dict(zip(self._trainable, values, strict=True)))
            host |= {f"grad.{name}": value for name, value in named.items()}
        return host

    def params(self) -> Params:
        self._steps.write_back()
        # A copy, because on the CPU an array may share the memory of its parameter.
        held = {name: np.array(self._numpy(v.value)) for name, v in self._variables.items()}
        return to_canonical(self._spec, held)

    def path(self) -> str:
        return f"{self._steps.path()}{', layers masked' if self._masked else ''}"


def _keras_optimizer(spec: OptimizerSpec, dtype: str) -> Any:
    from keras import optimizers

    if spec.name == "sgd":
        return optimizers.SGD(float(spec.learning_rate))
    # Keras rounds a beta to float32 before it takes powers, unless it is a numpy float64.
    real = np.float64 if dtype == "float64" else float
    return optimizers.Adam(
        float(spec.learning_rate),
        beta_1=real(spec.beta1),
        beta_2=real(spec.beta2),
        epsilon=spec.eps,
    )

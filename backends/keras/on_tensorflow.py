"""Keras on TensorFlow: `tf.function` and `GradientTape`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
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


class TensorFlow:
    """`jit`: compile the step to one XLA program, which cannot contain cuDNN's recurrent op."""

    keras_backend: str = "tensorflow"
    packages: tuple[str, ...] = ("tensorflow",)
    float64_refusal: str | None = None
    index_dtype: str = "int64"

    def __init__(self, *, jit: bool = False) -> None:
        self._jit = jit
        self.use_cudnn: Cudnn = False if jit else "auto"

    def environment(self, *, threads: int, device: str) -> Mapping[str, str]:
        return {
            "TF_NUM_INTRAOP_THREADS": str(threads),
            "TF_NUM_INTEROP_THREADS": str(threads),
            "TF_CPP_MIN_LOG_LEVEL": "2",  # errors only
            "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        }

    def prepare(self) -> None:
        import tensorflow as tf

        # The runtime reads these variables itself; TensorFlow's getters only know its setters.
        threading, env = tf.config.threading, os.environ
        if "TF_NUM_INTRAOP_THREADS" in env:
            threading.set_intra_op_parallelism_threads(int(env["TF_NUM_INTRAOP_THREADS"]))
        if "TF_NUM_INTEROP_THREADS" in env:
            threading.set_inter_op_parallelism_threads(int(env["TF_NUM_INTEROP_THREADS"]))
        tf.get_logger().setLevel("ERROR")  # with many models it warns about many traces

    def allow_tf32(self, allowed: bool) -> None:
        import tensorflow as tf

        tf.config.experimental.enable_tensor_float_32_execution(allowed)

    def gpu_count(self) -> int:
        import tensorflow as tf

        return len(tf.config.list_physical_devices("GPU"))

    def threads(self) -> int | None:
        """Threads of the pool within one operation; None if TensorFlow chose them itself."""
        import tensorflow as tf

        return tf.config.threading.get_intra_op_parallelism_threads() or None

    def forget_peak(self, device: str) -> None:
        import tensorflow as tf

        if device != "cpu":
            tf.config.experimental.reset_memory_stats(_gpu(device))

    def peak_bytes(self, device: str) -> int | None:
        import tensorflow as tf

        if device == "cpu":
            return None
        return int(tf.config.experimental.get_memory_info(_gpu(device))["peak"])

    def put(self, array: np.ndarray) -> Any:
        import tensorflow as tf

        return tf.convert_to_tensor(array)

    def numpy(self, tensor: Any) -> np.ndarray:
        return tensor.numpy()

    def steps(self, net: Any, loss: Loss, optimizer: Any, device: str) -> Steps:
        return TensorFlowSteps(net, loss, optimizer, device, jit=self._jit)


def _gpu(device: str) -> str:
    """TensorFlow's name of "cuda" or "cuda:N"."""
    return f"GPU:{device.partition(':')[2] or 0}"


class TensorFlowSteps:
    """`tf.function` around each phase, traced once per shape; gradients from a GradientTape."""

    def __init__(self, net: Any, loss: Loss, optimizer: Any, device: str, *, jit: bool) -> None:
        import tensorflow as tf

        def forward(batch: Placed) -> Forward:
            with tf.device(device):
                return Forward(*net(**batch.inputs(), training=False))

        def bptt(batch: Placed) -> Gradients:
            with tf.device(device):
                with tf.GradientTape() as tape:
                    outputs, _ = net(**batch.inputs(), training=True)
                    value = loss(outputs, batch)
                gradients = tape.gradient(value, net.trainable_variables)
                # The gradient of an embedding is IndexedSlices; the contract asks for dense ones.
                return Gradients(value, [tf.convert_to_tensor(g) for g in gradients])

        def train_step(batch: Placed) -> Gradients:
            value, gradients = bptt(batch)
            optimizer.apply(gradients, net.trainable_variables)
            return Gradients(value, None)

        def advance(carry: list[Any], x: Any) -> Advanced:
            with tf.device(device):
                return advanced(*net(x, state=carry, training=False))

        def train_chunk(batch: Placed, carry: list[Any]) -> Chunk:
            with tf.device(device):
                with tf.GradientTape() as tape:
                    outputs, states = net(**{**batch.inputs(), "state": carry}, training=True)
                    value = loss(outputs, batch)
                gradients = tape.gradient(value, net.trainable_variables)
                dense = [tf.convert_to_tensor(g) for g in gradients]
                optimizer.apply(dense, net.trainable_variables)
                return Chunk(value, states)

        self._phases = {
            phase.__name__: tf.function(phase, jit_compile=jit)
            for phase in (forward, bptt, train_step, advance, train_chunk)
        }
        self._net, self._device, self._fresh = net, device, FreshOptimizer(optimizer)
        self._ran: tuple[str, tuple[Any, ...]] | None = None

    def _run(self, phase: str, *given: Any) -> Any:
        self._ran = phase, given
        return self._phases[phase](*given)

    def forward(self, batch: Placed) -> Forward:
        return self._run("forward", batch)

    def bptt(self, batch: Placed) -> Gradients:
        return self._run("bptt", batch)

    def train_step(self, batch: Placed) -> Gradients:
        return self._run("train_step", batch)

    def advance(self, carry: list[Any], x: Any) -> Advanced:
        return self._run("advance", carry, x)

    def train_chunk(self, batch: Placed, carry: list[Any]) -> Chunk:
        return self._run("train_chunk", batch, carry)

    def sync(self, result: Any) -> None:
        import tensorflow as tf

        # On the CPU a call returns with its values computed; on a GPU its stream may still run.
        if self._device.startswith("gpu"):
            tf.test.experimental.sync_devices()

    def reset(self) -> None:
        self._fresh.restore()

    def write_back(self) -> None:
        pass

    def path(self) -> str:
        import tensorflow as tf

        if self._ran is None:
            return "nothing ran"
        phase, given = self._ran
        concrete = self._phases[phase].get_concrete_function(*given)
        graph = concrete.graph.as_graph_def()
        nodes = [*graph.node, *(n for f in graph.library.function for n in f.node_def)]
        ops = Counter(node.op.removeprefix("Stateless") for node in nodes)
        counts = [f"{ops[op]} {op}" for op in ("CudnnRNNV3", "While") if ops[op]]
        xla = concrete.function_def.attr["_XlaMustCompile"].b
        if is_mixed(self._net):
            policy = self._net.dtype_policy.name
            computed = Counter(
                f"{op} in {tf.as_dtype(node.attr['T'].type).name}"
                for op in ("MatMul", "BiasAddGrad")
                for node in nodes
                if op in node.op
            )
            counts += [f"{n} {words}" for words, n in computed.items()]
            counts[0] = f"{policy}, {counts[0]}"
        return f"tf.function, {'XLA' if xla else 'graph'}: {', '.join(counts) or 'no loop'}"

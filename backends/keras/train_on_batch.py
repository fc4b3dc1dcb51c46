"""Keras' own step: `compile`, then `train_on_batch`, including its metrics.

Most users of Keras run this; `keras-tensorflow` is the custom step that the guides of Keras show
for speed. This variant times only `train_step`: `train_on_batch` returns no gradients, and
`predict_on_batch` would be the same graph as `keras-tensorflow`. The checks get forward and
gradients from the same net in the way of `keras-tensorflow`.

The metric is reset before each step, so that the loss is that of one batch and can be compared.
`fit` resets it once per epoch. This costs a few scalar assignments per step, and `path` says so.
"""

from __future__ import annotations

from typing import Any

from backends.keras.backend import KerasBackend
from backends.keras.net import Placed, is_mixed
from backends.keras.on_tensorflow import TensorFlow, TensorFlowSteps
from backends.keras.steps import Gradients, Loss, Steps
from tasks.spec import ModelSpec


class TrainOnBatch(TensorFlow):
    """The engine of Keras on TensorFlow, with Keras' own step."""

    def steps(self, net: Any, loss: Loss, optimizer: Any, device: str) -> Steps:
        return TrainOnBatchSteps(net, loss, optimizer, device, jit=False)


class TrainOnBatchSteps(TensorFlowSteps):
    """`train_on_batch` of a compiled model around the net."""

    def __init__(self, net: Any, loss: Loss, optimizer: Any, device: str, *, jit: bool) -> None:
        super().__init__(net, loss, optimizer, device, jit=jit)
        self._trained = None if optimizer is None else _compiled(net, loss, optimizer)

    def train_step(self, batch: Placed) -> Gradients:
        import tensorflow as tf

        assert self._trained is not None  # KerasModel has checked it
        with tf.device(self._device):
            self._trained.reset_metrics()  # otherwise the loss is the mean of all batches so far
            value = self._trained.train_on_batch(batch, batch)
        self._ran = "train_on_batch", (batch,)
        return Gradients(tf.convert_to_tensor(value), None)

    def path(self) -> str:
        if self._ran is None or self._ran[0] != "train_on_batch":
            return super().path()
        assert self._trained is not None
        how = "XLA" if self._trained.jit_compile else "graph"
        policy = f", {self._net.dtype_policy.name}" if is_mixed(self._net) else ""
        metrics = f"{len(self._trained.metrics)} metric, reset at each step"
        return f"Model.train_on_batch, {how}{policy}, {metrics}"


def _compiled(net: Any, loss: Loss, optimizer: Any) -> Any:
    """A keras.Model that is trained on batches: both x and y are a whole batch."""
    import keras

    class Trained(keras.Model):
        def __init__(self) -> None:
            super().__init__(dtype=net.dtype)
            self.net = net

        def call(self, batch: Placed, training: bool = False) -> Any:
            outputs, _ = self.net(**batch.inputs(), training=training)
            return outputs

        def compute_loss(
            self,
            x: Any = None,
            y: Any = None,
            y_pred: Any = None,
            sample_weight: Any = None,
            training: bool = True,
        ) -> Any:
            return loss(y_pred, y)

    trained = Trained()
    trained.built = True  # because the net is built
    trained.compile(optimizer=optimizer, loss="mse")  # unused: `compute_loss` is overridden
    return trained


class TrainOnBatchBackend(KerasBackend):
    """Like Keras on TensorFlow, with train_step as its only phase."""

    def refusal(self, spec: ModelSpec, *, device: str, dtype: str, phase: str) -> str | None:
        if phase in ("forward", "bptt"):
            return f"train_on_batch is a training step only; use keras-tensorflow for {phase}"
        if dtype == "float64":
            return "train_on_batch gives its loss as a metric, which Keras keeps in float32"
        if spec.vocab_size is not None and spec.train_embedding:
            # Its gradient stays sparse, so the update differs from that of the contract.
            return "train_on_batch updates an embedding from sparse gradients, unlike Adam"
        return super().refusal(spec, device=device, dtype=dtype, phase=phase)

    def supports(self, feature: str, spec: ModelSpec, *, device: str, dtype: str) -> str | None:
        if feature in ("stream", "stateful"):
            return f"train_on_batch is a step of whole batches; use keras-tensorflow for {feature}"
        return super().supports(feature, spec, device=device, dtype=dtype)


def keras_tensorflow_train_on_batch() -> TrainOnBatchBackend:
    """The variant "keras-tensorflow-train_on_batch"."""
    return TrainOnBatchBackend("keras-tensorflow-train_on_batch", TrainOnBatch())

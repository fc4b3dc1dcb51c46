"""What users of Keras call for one prediction at a time: `Model.predict`, or the model itself.

Both are slow for small nets (keras-team/keras#11006): `predict` sets up a loop over batches, with
callbacks, for each call, and a model that is called outside of a `tf.function` runs op by op.
`keras-tensorflow` wraps the same step into a `tf.function`. They compute forward passes only: of a
whole sequence, or of one step with the states as further inputs and outputs of the model.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from backends.features import lacking
from backends.keras.backend import KerasBackend
from backends.keras.net import Placed, is_mixed
from backends.keras.on_tensorflow import TensorFlow, TensorFlowSteps
from backends.keras.steps import Advanced, Forward, Loss, Steps, advanced
from tasks.spec import ModelSpec


class Predict(TensorFlow):
    """The engine of Keras on TensorFlow, with `Model.predict`."""

    def put(self, array: np.ndarray) -> np.ndarray:
        """The array itself: `predict` moves its inputs and outputs in each call."""
        return array

    def numpy(self, tensor: Any) -> np.ndarray:
        return np.asarray(tensor)

    def steps(self, net: Any, loss: Loss, optimizer: Any, device: str) -> Steps:
        return PredictSteps(net, loss, optimizer, device, jit=False)


class Call(TensorFlow):
    """The engine of Keras on TensorFlow, where the model is called without a `tf.function`."""

    def steps(self, net: Any, loss: Loss, optimizer: Any, device: str) -> Steps:
        return CallSteps(net, loss, optimizer, device, jit=False)


class PredictSteps(TensorFlowSteps):
    """`predict` of a model around the net, with all sequences in one batch."""

    def __init__(self, net: Any, loss: Loss, optimizer: Any, device: str, *, jit: bool) -> None:
        super().__init__(net, loss, optimizer, device, jit=jit)
        self._model = _predicting(net)

    def forward(self, batch: Placed) -> Forward:
        return Forward(*self._predict(batch.x, batch.state))

    def advance(self, carry: list[Any], x: Any) -> Advanced:
        return advanced(*self._predict(x, carry))

    def _predict(self, x: Any, state: list[Any] | None) -> Any:
        import tensorflow as tf

        given = {"x": x} if state is None else {"x": x, "state": state}
        with tf.device(self._device):
            return self._model.predict(given, batch_size=len(x), verbose=0)

    def path(self) -> str:
        how = "XLA" if self._model.jit_compile else "graph"
        return f"Model.predict, {how}{_policy(self._net)}"


class CallSteps(TensorFlowSteps):
    """The net called as it is."""

    def forward(self, batch: Placed) -> Forward:
        import tensorflow as tf

        with tf.device(self._device):
            return Forward(*self._net(batch.x, state=batch.state, training=False))

    def advance(self, carry: list[Any], x: Any) -> Advanced:
        import tensorflow as tf

        with tf.device(self._device):
            return advanced(*self._net(x, state=carry, training=False))

    def path(self) -> str:
        return f"Model.__call__, eager{_policy(self._net)}"


def _policy(net: Any) -> str:
    return f", layers in {net.dtype_policy.name}" if is_mixed(net) else ""


def _predicting(net: Any) -> Any:
    """A keras.Model of one input for `predict`: a dict with x and, if given, the states."""
    import keras

    class Predicting(keras.Model):
        def __init__(self) -> None:
            super().__init__(dtype=net.dtype)
            self.net = net

        def call(self, given: dict[str, Any], training: bool = False) -> Any:
            return self.net(given["x"], state=given.get("state"), training=training)

    model = Predicting()
    model.built = True  # because the net is built
    model.compile()
    return model


class PointByPointBackend(KerasBackend):
    """Like Keras on TensorFlow, without what these calls do not compute."""

    built_for: ClassVar[str] = "forward"

    def refusal(self, spec: ModelSpec, *, device: str, dtype: str, phase: str) -> str | None:
        call = "predict" if isinstance(self.engine, Predict) else "a call of the model"
        if phase in ("bptt", "train_step"):
            return f"{call} gives no gradients; use keras-tensorflow for {phase}"
        if dtype == "float64" and isinstance(self.engine, Predict):
            return "Keras' predict converts numpy arrays to float32"
        return super().refusal(spec, device=device, dtype=dtype, phase=phase)

    def supports(self, feature: str, spec: ModelSpec, *, device: str, dtype: str) -> str | None:
        """Streams alone: sequences of different lengths are for the variants that train them."""
        return lacking(feature, ("stream",))


def keras_tensorflow_predict() -> PointByPointBackend:
    """The variant "keras-tensorflow-predict"."""
    return PointByPointBackend("keras-tensorflow-predict", Predict())


def keras_tensorflow_call() -> PointByPointBackend:
    """The variant "keras-tensorflow-call"."""
    return PointByPointBackend("keras-tensorflow-call", Call())

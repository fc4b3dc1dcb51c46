"""A backward LSTM of Keras on JAX: are its outputs in the same order with cuDNN as without?

Where a layer goes backwards and returns sequences, keras/src/backend/jax/rnn.py turns cuDNN's
outputs round, and Bidirectional does so again. Bidirectional has one fused call for both
directions, which does not; with dropout it calls two layers.

Needs: keras, jax
"""

import os
import sys

device = sys.argv[1] if len(sys.argv) > 1 else "cuda"
os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_PLATFORMS"] = "cpu" if device == "cpu" else "cuda,cpu"
os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"

import jax
import keras
import numpy as np

print(f"keras {keras.__version__}, jax {jax.__version__}, on {device}")
if device != "cpu" and jax.default_backend() == "cpu":
    print("skipped: JAX finds no GPU")
    sys.exit()
jax.config.update("jax_default_matmul_precision", "highest")
inputs = np.random.default_rng(0).standard_normal((2, 7, 4)).astype("float32")


def backward(use_cudnn):
    return keras.layers.LSTM(5, go_backwards=True, return_sequences=True, use_cudnn=use_cudnn)


def both(use_cudnn, dropout=0.0):
    layer = keras.layers.LSTM(5, return_sequences=True, dropout=dropout, use_cudnn=use_cudnn)
    return keras.layers.Bidirectional(layer)


cases = {
    "go_backwards": backward,
    "Bidirectional": both,
    "Bidirectional with dropout": lambda use_cudnn: both(use_cudnn, dropout=0.1),
}
wrong = []
for name, make in cases.items():
    fast, loop = make("auto"), make(False)
    found, _ = fast(inputs), loop(inputs)
    loop.set_weights(fast.get_weights())
    error = float(np.abs(np.asarray(found) - np.asarray(loop(inputs))).max())
    print(f"{name}: with cuDNN and without differ by up to {error:.1e}")
    wrong += [name] if not error < 1e-4 else []
if wrong:
    print(f"reproduced: {', '.join(wrong)} differ from Keras' own loop")
else:
    print("not reproduced: all agree with Keras' own loop")

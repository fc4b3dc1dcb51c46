"""JAX's cuDNN LSTM on sequences of several lengths: does it agree with its own reference?

jax-ml/jax#15183: gradients were NaN, and both directions gave other outputs than `lstm_ref`.

Needs: jax
"""

import os
import sys

device = sys.argv[1] if len(sys.argv) > 1 else "cuda"
os.environ["JAX_PLATFORMS"] = "cpu" if device == "cpu" else "cuda,cpu"
os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import rnn

print(f"jax {jax.__version__}, on {device}")
if device != "cpu" and jax.default_backend() == "cpu":
    print("skipped: JAX finds no GPU")
    sys.exit()
jax.config.update("jax_default_matmul_precision", "highest")

INPUTS, UNITS, STEPS = 8, 4, 7
LENGTHS = jnp.array([4, 5, 7, 1, 1, 3, 1, 2], jnp.int32)
REAL = (jnp.arange(STEPS) < LENGTHS[:, None])[..., None]


def reference(x, h_0, c_0, weights, both):
    sizes = {"input_size": INPUTS, "hidden_size": UNITS, "num_layers": 1, "bidirectional": both}
    parts = rnn.unpack_lstm_weights(weights, **sizes)
    return rnn.lstm_ref(x, h_0, c_0, *parts, LENGTHS, **sizes, dropout=0.0)


def cudnn(x, h_0, c_0, weights, both):
    if device == "cpu":  # cuDNN is not there: this rehearses the program
        return reference(x, h_0, c_0, weights, both)
    return rnn.lstm(x, h_0, c_0, weights, LENGTHS, INPUTS, UNITS, 1, 0.0, both)


def loss(lstm, both):
    def of(*arguments):
        y, h_n, c_n = lstm(*arguments, both)
        return jnp.where(REAL, jnp.sin(y), 0.0).sum() + (h_n * h_n).sum() + jnp.cos(c_n).sum()

    return of


def random(seed, *shape):
    return np.random.default_rng(seed).uniform(-0.5, 0.5, shape).astype("float32")


wrong = []
for both in (False, True):
    directions = 1 + both
    count = rnn.get_num_params_in_lstm(INPUTS, UNITS, 1, both)
    states = [random(seed, directions, len(LENGTHS), UNITS) for seed in (1, 2)]
    arguments = (random(0, len(LENGTHS), STEPS, INPUTS), *states, random(3, count))
    results = []
    for lstm in (cudnn, reference):
        y, h_n, c_n = lstm(*arguments, both)
        gradients = jax.grad(loss(lstm, both), argnums=(0, 1, 2, 3))(*arguments)
        results.append((jnp.where(REAL, y, 0.0), h_n, c_n, *gradients))
    names = ("outputs", "h", "c", "grad x", "grad h", "grad c", "grad weights")
    for name, ours, theirs in zip(names, *results, strict=True):
        error = float(jnp.abs(ours - theirs).max() / jnp.abs(theirs).max())
        print(f"{'both directions' if both else 'one direction'}, {name}: {error:.1e}")
        wrong += [f"{name} ({directions} direction(s))"] if not error < 1e-3 else []
if wrong:
    print(f"reproduced: {', '.join(wrong)} differ from lstm_ref")
else:
    print("not reproduced: every result and gradient agrees with lstm_ref")

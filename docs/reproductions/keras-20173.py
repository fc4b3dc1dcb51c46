"""A Keras GRU that returns its state, on a TensorFlow GPU: one state, or one for each row?

keras-team/keras#20173 and tensorflow/tensorflow#83119: it gave as many states as the batch has
rows. keras-team/keras#21603 mends it.

Needs: keras, tensorflow
"""

import os
import sys

device = sys.argv[1] if len(sys.argv) > 1 else "cuda"
os.environ["KERAS_BACKEND"] = "tensorflow"
if device == "cpu":
    os.environ["CUDA_VISIBLE_DEVICES"] = ""

import keras
import numpy as np
import tensorflow as tf

ROWS, STEPS, INPUTS, UNITS = 4, 10, 8, 16

print(f"keras {keras.__version__}, tensorflow {tf.__version__}, on {device}")
if device != "cpu" and not tf.config.list_physical_devices("GPU"):
    print("skipped: TensorFlow finds no GPU")
    sys.exit()

gru = keras.layers.GRU(UNITS, return_sequences=True, return_state=True)
outputs, *states = gru(tf.random.normal((ROWS, STEPS, INPUTS)))
shapes = [tuple(state.shape) for state in states]
right = shapes == [(ROWS, UNITS)] and np.allclose(states[0], outputs[:, -1], atol=1e-4)
print(f"{'not ' if right else ''}reproduced: {len(states)} state(s), of shape {shapes[0]}")

"""TensorFlow's gradient of a bias in bfloat16: does it add up the rows in bfloat16?

BiasAddGrad of 2,000 rows of ones is 2,000. A sum in bfloat16 that adds one row after the other ends
at 256, where the next number is 258. Beside it the same in float16, the sum that `tf.reduce_sum`
takes of the same rows, and the error where the rows are gradients of a softmax; these are also
added up in a loop, which rounds each sum.

Needs: tensorflow
"""

import os
import sys

device = sys.argv[1] if len(sys.argv) > 1 else "cuda"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"
if device == "cpu":
    os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy as np
import tensorflow as tf

ROWS, CLASSES = 2000, 3

# With N threads the rows are N parts, whose sums are added.
tf.config.threading.set_intra_op_parallelism_threads(1)
print(f"tensorflow {tf.__version__}, on {device}")
if device != "cpu" and not tf.config.list_physical_devices("GPU"):
    print("skipped: TensorFlow finds no GPU")
    sys.exit()

found = {}
for dtype in (tf.bfloat16, tf.float16):
    ones = tf.ones((ROWS, CLASSES), dtype)
    found[dtype] = float(tf.raw_ops.BiasAddGrad(out_backprop=ones)[0])
    added = float(tf.reduce_sum(ones, axis=0)[0])
    print(f"{dtype.name}: BiasAddGrad gives {found[dtype]:g}, reduce_sum {added:g}")

rng = np.random.default_rng(0)
wrong = tf.nn.softmax(rng.standard_normal((ROWS, CLASSES))).numpy()
wrong[np.arange(ROWS), rng.integers(CLASSES, size=ROWS)] -= 1
rows = tf.cast(wrong / ROWS, tf.bfloat16)
exact = tf.reduce_sum(tf.cast(rows, tf.float64), axis=0)
loop = np.zeros(CLASSES, tf.bfloat16.as_numpy_dtype)
for row in rows.numpy():
    loop = loop + row
for name, total in (
    ("BiasAddGrad", tf.raw_ops.BiasAddGrad(out_backprop=rows)),
    ("the loop", tf.constant(loop)),
    ("reduce_sum", tf.reduce_sum(rows, axis=0)),
):
    error = float(tf.norm(tf.cast(total, tf.float64) - exact) / tf.norm(exact))
    print(f"gradients of a softmax: {name} is off by {error:.4f}")

if abs(found[tf.bfloat16] - ROWS) > ROWS / 100:
    print(f"reproduced: {ROWS} ones are {found[tf.bfloat16]:g}")
else:
    print(f"not reproduced: {ROWS} ones are {found[tf.bfloat16]:g}")

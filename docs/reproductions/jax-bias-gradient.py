"""JAX's gradient of a bias in bfloat16: does it add up the rows in bfloat16?

A bias (3) in bfloat16 is added to rows of shape (64,64,3). Its gradient is a sum over both axes,
and 4,096 where each row's gradient is 1. On a CPU XLA adds up windows of 32 x 32 rows, one row
after the other, and rounds each sum to bfloat16: a window ends at 256, where the next number is
258. Beside it the same rows along one axis, and the bias added in float32.

Needs: jax
"""

import os
import sys

device = sys.argv[1] if len(sys.argv) > 1 else "cuda"
os.environ["JAX_PLATFORMS"] = "cpu" if device == "cpu" else "cuda,cpu"
os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"

import jax
import jax.numpy as jnp

print(f"jax {jax.__version__}, on {device}")
if device != "cpu" and jax.default_backend() == "cpu":
    print("skipped: JAX finds no GPU")
    sys.exit()


def gradient(shape, dtype):
    """Of a bias that is added in `dtype` to rows in bfloat16, where each row's gradient is 1."""

    def total(bias, rows, weights):
        return ((rows.astype(dtype) + bias.astype(dtype)).astype(jnp.float32) * weights).sum()

    rows, weights = jnp.zeros(shape, jnp.bfloat16), jnp.ones(shape, jnp.float32)
    return float(jax.jit(jax.grad(total))(jnp.zeros(shape[-1]), rows, weights)[0])


cases = {
    "64 x 64 rows": ((64, 64, 3), jnp.bfloat16),
    "4096 rows": ((4096, 3), jnp.bfloat16),
    "64 x 64 rows, bias added in float32": ((64, 64, 3), jnp.float32),
}
wrong = []
for name, (shape, dtype) in cases.items():
    found = gradient(shape, dtype)
    print(f"{name}: the gradient is {found:g}")
    wrong += [f"{name} of 1 are {found:g}"] if abs(found - 4096) > 41 else []
if wrong:
    print(f"reproduced: {'; '.join(wrong)}")
else:
    print("not reproduced: each is within 1 % of 4096")

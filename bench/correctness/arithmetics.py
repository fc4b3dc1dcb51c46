"""Arithmetics that are less exact than numpy's, to show what they do to each tensor.

Each is an object with functions of numpy, some of them replaced, as `backends.numpy.scan` takes it.
There is no one bfloat16 arithmetic: frameworks differ in what they round. BFLOAT16 are three
emulations in float32, from what every framework rounds to all that one of them may round.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.correctness.tolerances import MOST_OF_TANH, SHAKES, TANH_SHAKE

WINDOW = 32


class Functions:
    """The functions of numpy, but for those that a subclass replaces."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


class TanhOff(Functions):
    """A tanh that is off by as much: always to the larger side, or by random signs from `seed`.

    The absolute error is at most MOST_OF_TANH of it: zeros are no tanh of small numbers.
    """

    def __init__(self, relative: float, absolute: float, seed: int | None) -> None:
        self._relative, self._absolute = relative, absolute
        self._seed, self._rng = seed, np.random.default_rng(seed)

    def tanh(self, x: np.ndarray, /, *, out: np.ndarray) -> None:
        np.tanh(x, out=out)
        sign = 1 if self._seed is None else self._rng.choice((-1, 1), out.shape)
        out *= 1 + self._relative * sign
        out += sign * np.minimum(self._absolute, MOST_OF_TANH * np.abs(out))


def round_to_bfloat16(a: np.ndarray) -> np.ndarray:
    """Round float32 in place to 8 bits of mantissa, ties to even, as bfloat16 stores it."""
    bits = a.view(np.uint32)
    bits += 0x7FFF + ((bits >> 16) & 1)
    bits &= 0xFFFF0000
    return a


class ProductsOfBfloat16(Functions):
    """Products get operands in bfloat16, and add up in float32."""

    def dot(self, a: np.ndarray, b: np.ndarray, *, out: np.ndarray) -> np.ndarray:
        return np.matmul(round_to_bfloat16(a.copy()), round_to_bfloat16(b.copy()), out=out)

    matmul = dot


class CarriedInBfloat16(ProductsOfBfloat16):
    """In addition the states, h and c, are carried from step to step in bfloat16."""

    def carried(self, state: np.ndarray) -> None:
        round_to_bfloat16(state)


class AllInBfloat16(ProductsOfBfloat16):
    """In addition every result is rounded, and so is every sum of gradients at each addition.

    Such sums go over the time steps, and over the places at which a token stands.
    """

    def dot(self, a: np.ndarray, b: np.ndarray, *, out: np.ndarray) -> np.ndarray:
        return round_to_bfloat16(super().dot(a, b, out=out))

    matmul = dot

    def add(self, a: Any, b: Any, *, out: np.ndarray) -> np.ndarray:
        return round_to_bfloat16(np.add(a, b, out=out))

    def subtract(self, a: Any, b: Any, *, out: np.ndarray) -> np.ndarray:
        return round_to_bfloat16(np.subtract(a, b, out=out))

    def multiply(self, a: Any, b: Any, *, out: np.ndarray) -> np.ndarray:
        return round_to_bfloat16(np.multiply(a, b, out=out))

    def tanh(self, x: np.ndarray, *, out: np.ndarray) -> np.ndarray:
        return round_to_bfloat16(np.tanh(x, out=out))

    def reciprocal(self, x: np.ndarray, *, out: np.ndarray) -> np.ndarray:
        """The last operation of a sigmoid, which frameworks round once."""
        return round_to_bfloat16(np.reciprocal(x, out=out))

    def over_steps(self, a: np.ndarray, b: np.ndarray, steps: int, out: np.ndarray) -> None:
        """The sum over a (T*B,K) or (T*B), b (T*B,N) -> out (K,N) or (N), one step at a time."""
        a, b = (part.reshape(steps, -1, *part.shape[1:]) for part in (a, b))
        one = np.empty_like(out)
        out.fill(0)
        for x, d in zip(a[::-1], b[::-1], strict=True):
            self.add(out, self.dot(x.T, d, out=one), out=out)

    def sum_rows(self, d: np.ndarray, out: np.ndarray) -> None:
        """The sum of the rows of d (N,C), in windows and then their sums.

        So does XLA on a CPU along one axis. Over two axes its windows are larger, and TensorFlow
        has none: what they lose is no bfloat16 to allow (docs/decisions/0019).
        """
        rows = round_to_bfloat16(d.copy())
        while len(rows) > 1:
            missing = -len(rows) % WINDOW
            windows = np.pad(rows, ((0, missing), (0, 0))).reshape(-1, WINDOW, d.shape[1])
            rows = windows[:, 0].copy()
            for place in range(1, WINDOW):
                self.add(rows, windows[:, place], out=rows)
        out[...] = rows[0]

    def add_rows(self, table: np.ndarray, ids: np.ndarray, rows: np.ndarray) -> None:
        """Add each of rows (N,D) to the row of the table (V,D) that ids (N) names."""
        for place, row in zip(ids, rows, strict=True):
            self.add(table[place], row, out=table[place])


BFLOAT16 = (ProductsOfBfloat16, CarriedInBfloat16, AllInBfloat16)


def approximations(dtype: str) -> Iterator[tuple[Any, int | None]]:
    """The runs in float32 that make the reference error of `dtype`, which is not float64.

    Each is what to compute with (None: numpy), and the seed by which its inputs are changed (None:
    they are not).
    """
    if dtype == "bfloat16":
        for seed in (None, *range(SHAKES)):
            yield from ((kind(), seed) for kind in BFLOAT16)
        return
    yield None, None
    yield from ((TanhOff(0.0, TANH_SHAKE, seed), seed) for seed in range(SHAKES))

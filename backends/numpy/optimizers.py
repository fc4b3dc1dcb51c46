"""SGD and Adam in numpy, for all parameters at once."""

from __future__ import annotations

import math

import numpy as np

from tasks.spec import OptimizerSpec


class Sgd:
    """p -= lr * g for all parameters at once: theta (P)."""

    def __init__(self, spec: OptimizerSpec, theta: np.ndarray) -> None:
        self._spec, self._theta, self._tmp = spec, theta, np.empty_like(theta)

    def reset(self) -> None:
        """SGD keeps nothing between steps."""

    def step(self, gradient: np.ndarray) -> None:
        """Update theta in place from its gradient (P)."""
        np.multiply(gradient, self._spec.learning_rate, out=self._tmp)
        np.subtract(self._theta, self._tmp, out=self._theta)


class Adam:
    """The equations of `OptimizerSpec` for all parameters at once: theta (P)."""

    def __init__(self, spec: OptimizerSpec, theta: np.ndarray) -> None:
        self._spec, self._theta = spec, theta
        self._m, self._v, self._tmp = (np.empty_like(theta) for _ in range(3))

    def reset(self) -> None:
        self._t = 0
        self._m.fill(0)
        self._v.fill(0)

    def step(self, gradient: np.ndarray) -> None:
        """Update theta in place from its gradient (P)."""
        spec, m, v, tmp = self._spec, self._m, self._v, self._tmp
        self._t += 1
        np.multiply(m, spec.beta1, out=m)
        np.multiply(gradient, 1 - spec.beta1, out=tmp)
        np.add(m, tmp, out=m)
        np.multiply(v, spec.beta2, out=v)
        np.multiply(gradient, gradient, out=tmp)
        np.multiply(tmp, 1 - spec.beta2, out=tmp)
        np.add(v, tmp, out=v)
        rate = spec.learning_rate / (1 - spec.beta1**self._t)
        root = math.sqrt(1 - spec.beta2**self._t)
        np.sqrt(v, out=tmp)
        if spec.eps_placement == "corrected":
            np.divide(tmp, root, out=tmp)  # sqrt(v^)
        else:
            rate *= root
        np.add(tmp, spec.eps, out=tmp)
        np.divide(m, tmp, out=tmp)
        np.multiply(tmp, rate, out=tmp)
        np.subtract(self._theta, tmp, out=self._theta)


UPDATES: dict[str, type[Sgd] | type[Adam]] = {"sgd": Sgd, "adam": Adam}

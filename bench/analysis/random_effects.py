"""The mean of estimates from several nodes that differ among themselves. Pure.

A random-effects mean: node i has the true value m + d_i, where d_i varies between the nodes with
the variance t^2, and its estimate has the variance v_i besides. With weights w_i = 1 / (v_i + t^2),
t^2 is the value at which sum w_i (x_i - mean)^2 equals its expectation k - 1 (Paule and Mandel,
1982), found by Newton's steps from 0 (DerSimonian and Kacker, 2007); it is 0 if the nodes differ by
less than their own variances explain. The interval is that of Hartung and Knapp (2001) with k - 1
degrees of freedom, never narrower than the usual one (Röver, Knapp and Friede, 2015). At Paule and
Mandel's t^2 the scale of Hartung and Knapp is at most 1, so the standard error is 1 / sqrt(sum w).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MOST_STEPS = 200
CLOSE = 1e-12  # relative change of t^2 that ends the steps


@dataclass(frozen=True)
class Means:
    """One mean for each of P effects; NaN where no node has the effect. All are (P,) arrays."""

    centre: np.ndarray
    standard_error: np.ndarray
    degrees: np.ndarray  # of freedom, of the standard error; 0 for a single node
    between: np.ndarray  # t^2, the variance between nodes
    nodes: np.ndarray  # how many have the effect


def means(effects: np.ndarray, variances: np.ndarray) -> Means:
    """The means of (nodes, P) effects with (nodes, P) variances; NaN where a node lacks one.

    The mean of a single node is its own value, with its own standard error and 0 degrees: nothing
    is known of the other nodes. Raises ValueError for a variance that is not above 0.
    """
    there = ~(np.isnan(effects) | np.isnan(variances))
    if not (variances[there] > 0).all():
        raise ValueError("a node's variance is not above 0; expected the square of its error")
    x, v = np.where(there, effects, 0.0), np.where(there, variances, 1.0)
    nodes = there.sum(axis=0)
    between = np.zeros(effects.shape[1])
    with np.errstate(invalid="ignore", divide="ignore"):
        for _ in range(MOST_STEPS):
            weights = np.where(there, 1 / (v + between), 0.0)
            centre = (weights * x).sum(axis=0) / weights.sum(axis=0)
            squares = weights * (x - centre) ** 2
            excess = squares.sum(axis=0) - (nodes - 1)
            # The excess falls convexly with t^2, so the steps come from below and never go past 0.
            step = np.where(excess > 0, excess / (weights * squares).sum(axis=0), 0.0)
            between = between + np.nan_to_num(step)
            if (step <= CLOSE * (between + CLOSE)).all():
                break
        total = weights.sum(axis=0)
        error = np.where(nodes > 0, 1 / np.sqrt(total), np.nan)
    return Means(centre, error, np.maximum(nodes - 1, 0).astype(float), between, nodes)

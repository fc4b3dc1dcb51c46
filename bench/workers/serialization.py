"""Arrays and models as plain values, to pass between processes with different numpy versions."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from tasks.spec import Batch, ModelSpec, OptimizerSpec

Packed = dict[str, Any]


def pack(arrays: Mapping[str, np.ndarray]) -> Packed:
    """Name -> (dtype, shape, bytes). Raises TypeError for anything but an array of numbers."""
    out = {}
    for name, value in arrays.items():
        if not isinstance(value, np.ndarray | np.generic) or value.dtype.kind not in "fiu":
            kind = getattr(value, "dtype", type(value).__name__)
            raise TypeError(f"{name} is {kind}; expected a numpy array of numbers")
        array = np.asarray(value)
        shape = tuple(int(size) for size in array.shape)
        out[name] = (array.dtype.str, shape, np.ascontiguousarray(array).tobytes())
    return out


def pack_spec(spec: ModelSpec | OptimizerSpec) -> Packed:
    """Its fields by name; `type(spec)(**packed)` is the inverse."""
    return dataclasses.asdict(spec)


def unpack(packed: Packed) -> dict[str, np.ndarray]:
    """The inverse of `pack`; the arrays are writable copies."""
    return {
        name: np.frombuffer(data, dtype=dtype).reshape(shape).copy()
        for name, (dtype, shape, data) in packed.items()
    }


def pack_batch(batch: Batch) -> Packed:
    arrays = {"x": batch.x, "y": batch.y}
    for name in ("weight", "lengths"):
        if (value := getattr(batch, name)) is not None:
            arrays[name] = value
    for name, value in (batch.state or {}).items():
        arrays[f"state.{name}"] = value
    return pack(arrays)


def unpack_batch(packed: Packed) -> Batch:
    arrays = unpack(packed)
    state = {
        name.removeprefix("state."): value
        for name, value in arrays.items()
        if name.startswith("state.")
    }
    optional = {name: arrays.get(name) for name in ("weight", "lengths")}
    return Batch(arrays["x"], arrays["y"], state=state or None, **optional)
